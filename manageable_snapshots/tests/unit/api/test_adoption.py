# SPDX-License-Identifier: Apache-2.0

"""What a POST leaves: a row, its quota and a message, or nothing."""

from unittest import mock

from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import quota
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.api import base

MANAGED = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa'


class AdoptionTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.service()

    def _rows(self):
        with self.database.reader(self.admin) as session:
            return snapshots.list_snapshots(
                session, self.admin, all_projects=True)

    def _metadata(self, snapshot_id):
        with self.database.reader(self.admin) as session:
            return snapshots.metadata(session, snapshot_id)

    def test_the_row_has_what_the_request_says(self):
        volume_id = self.volume(size=3)
        answer = self.adopt(volume_id, name='n', description='d',
                            metadata={'k': 'v'})
        row = self.snapshot_row(answer['id'])
        self.assertEqual(
            ('creating', '0%', volume_id, 3, 'n', 'd', base.PROJECT,
             self.admin.user_id),
            (row.status, row.progress, row.volume_id, row.volume_size,
             row.display_name, row.display_description, row.project_id,
             row.user_id))
        self.assertEqual({'k': 'v'}, self._metadata(row.id))

    def test_the_row_remembers_the_reference(self):
        answer = self.adopt(self.volume(), {'source-id': 'v/old'})
        self.assertEqual(
            {'source-id': 'v/old'},
            snapshots.recorded_reference(self.snapshot_row(answer['id'])))

    def test_a_worker_of_cinders_finds_its_columns_empty(self):
        self.client.is_ours = False
        row = self.snapshot_row(self.adopt(self.volume())['id'])
        self.assertEqual(
            (None, None, None),
            (row.provider_id, row.provider_location, row.provider_auth))
        # Should the message be lost, a worker of ours finds it.
        with self.database.reader(self.admin) as session:
            self.assertEqual([row.id], [
                each.id for each in snapshots.creating_on(
                    session, base.HOST) if snapshots.is_aside(each)])

    def test_the_worker_of_the_volume_is_told(self):
        answer = self.adopt(self.volume(host=f'{base.HOST}#pool'), 'old')
        self.assertEqual(
            [('manage_existing_snapshot', base.HOST, answer['id'],
              {'ref': {'source-name': 'old'}})], self.client.sent)

    def test_the_cluster_of_the_volume_is_told(self):
        self.service('node2@dir', cluster='c1@dir')
        volume_id = self.volume(host='gone@dir#pool',
                                cluster_name='c1@dir#pool')
        self.adopt(volume_id)
        self.assertEqual('c1@dir', self.client.sent[0][1])

    def test_the_quota_is_charged(self):
        self.adopt(self.volume(size=3))
        self.assertEqual(1, self.usage('snapshots'))
        self.assertEqual(3 + 3, self.usage('gigabytes'))
        self.assertEqual(1, self.usage('snapshots___DEFAULT__'))

    def test_sizes_can_be_left_out_of_the_quota(self):
        self.conf.set_override('no_snapshot_gb_quota', True)
        self.adopt(self.volume(size=3))
        self.assertEqual(1, self.usage('snapshots'))
        self.assertEqual(0, self.usage('gigabytes'))

    def test_a_full_quota_is_said_in_cinders_words(self):
        self.conf.set_override('quota_gigabytes', 9)
        message = self.adopt(self.volume(size=5), status=413)
        self.assertEqual(
            'VolumeSizeExceedsAvailableQuota: Requested volume or snapshot '
            'exceeds allowed gigabytes quota. Requested 5G, quota is 9G and '
            '5G has been consumed.', message)
        self.assertEqual([], self._rows())

    def test_nothing_is_left_when_no_worker_can_be_told(self):
        volume_id = self.volume(size=3)
        self.unreachable()
        message = self.adopt(volume_id, status=503, metadata={'k': 'v'})
        self.assertEqual(
            'The volume service node@dir cannot be reached at this time.',
            message)
        self.assertEqual([], self._rows())
        for resource, used in (
                ('snapshots', 0), ('snapshots___DEFAULT__', 0),
                ('gigabytes', 3), ('gigabytes___DEFAULT__', 3)):
            self.assertEqual(used, self.usage(resource))

    def test_nothing_is_left_of_a_commit_that_is_not_answered(self):
        volume_id = self.volume()
        for fate in ('committed', 'undone'):
            with self.subTest(fate=fate):
                self.lose(fate)
                self.assertEqual('The database does not answer.',
                                 self.adopt(volume_id, status=503))
                self.assertEqual([], self._rows())
                self.assertEqual(0, self.usage('snapshots'))
        self.assertEqual([], self.client.sent)

    def test_it_is_said_what_a_commit_may_have_left(self):
        volume_id = self.volume()
        self.lose('committed', 'away')
        message = self.adopt(volume_id, status=503)
        row, = self._rows()
        self.assertEqual(f'The request failed. Snapshot {row.id} may be '
                         'adopted all the same.', message)

    def test_nothing_is_left_either_when_the_message_cannot_be_made(self):
        volume_id = self.volume()
        self.client.failure = ZeroDivisionError()
        self.adopt(volume_id, status=500)
        self.assertEqual([], self._rows())
        self.assertEqual(0, self.usage('snapshots'))

    def test_what_a_worker_has_taken_up_is_accepted(self):
        volume_id = self.volume()

        def claim(snapshot_id):
            with self.database.writer(self.admin) as session:
                snapshots.claim(session, snapshot_id)

        self.unreachable(before=claim)
        answer = self.adopt(volume_id)
        self.assertEqual('creating', self.snapshot_row(answer['id']).status)
        self.assertEqual(1, self.usage('snapshots'))

    def test_what_somebody_has_deleted_meanwhile_was_accepted(self):
        volume_id = self.volume()

        def delete(snapshot_id):
            with self.database.writer(self.admin) as session:
                snapshots.delete(session, snapshot_id)
                quota.charge(session, self.conf, self.admin,
                             project_id=base.PROJECT, volume_type=None,
                             snapshots=-1, gigabytes=-1)

        self.unreachable(before=delete)
        self.adopt(volume_id)
        self.assertEqual(0, self.usage('snapshots'))

    def test_what_cannot_be_withdrawn_is_accepted(self):
        volume_id = self.volume()
        self.unreachable()
        with mock.patch.object(
                snapshots, 'withdraw',
                side_effect=exception.ServiceUnavailable('no database')):
            answer = self.adopt(volume_id)
        self.assertEqual('creating', self.snapshot_row(answer['id']).status)
        self.assertEqual(1, self.usage('snapshots'))
        self.assertIn('no database', self.log.output)

    def test_a_transaction_that_meets_another_is_repeated(self):
        create = snapshots.create
        with mock.patch.object(
                snapshots, 'create',
                side_effect=[engine.Conflict(), mock.DEFAULT],
                wraps=create):
            self.adopt(self.volume())
        self.assertEqual(1, len(self._rows()))
        self.assertEqual(1, self.usage('snapshots'))

    def test_a_volume_that_the_policy_hides_is_not_there(self):
        volume_id = self.volume()
        nobody = self.requester('role-of-nothing')
        self.assertEqual(
            f'Volume {volume_id} could not be found.',
            self.adopt(volume_id, status=404, requester=nobody))

    def test_a_token_without_a_project(self):
        operator = self.requester('admin', project_id=None)
        response = self.ask(
            'POST', '/manageable_snapshots',
            {'snapshot': {'volume_id': self.volume(), 'ref': 'old'}},
            version='3.8', status=400, requester=operator, project=False)
        self.assertEqual(
            'The request needs a token that is scoped to a project.',
            response['badRequest']['message'])

    def test_a_service_that_is_down(self):
        self.service('node3@dir', age=3600)
        message = self.adopt(self.volume(host='node3@dir#pool'), status=503)
        self.assertEqual('The volume service node3@dir is down.', message)
        self.assertIn('node3@dir is down', self.log.output)

    def test_who_may_not_see_the_host_of_a_volume_is_told_the_volume(self):
        self.service('node3@dir', age=3600)
        self.enforcer.set_rules({
            **self.enforcer.rules,
            'snapshot_extension:snapshot_manage':
                self.enforcer.rules['volume:get']}, overwrite=True)
        volume_id = self.volume(host='node3@dir#pool')
        self.assertEqual(
            f'The volume service of volume {volume_id} is down.',
            self.adopt(volume_id, status=503, requester=self.member))
        volume_id = self.volume()
        self.unreachable()
        self.assertEqual(
            f'The volume service of volume {volume_id} cannot be reached at '
            'this time.',
            self.adopt(volume_id, status=503, requester=self.member))

    def test_a_service_that_is_disabled(self):
        self.service('node3@dir', disabled=True)
        message = self.adopt(self.volume(host='node3@dir#pool'), status=503)
        self.assertEqual('The volume service node3@dir is disabled.', message)
        self.assertIn('node3@dir is disabled', self.log.output)

    def test_a_service_that_is_gone_is_not_named_to_everybody(self):
        volume_id = self.volume(host='secret@dir')
        self.assertIn('secret@dir', self.adopt(volume_id, status=404))
        self.enforcer.set_rules(
            {**self.enforcer.rules,
             'snapshot_extension:snapshot_manage':
                 self.enforcer.rules['admin_or_owner']})
        self.assertEqual(
            'Service cinder-volume could not be found.',
            self.adopt(volume_id, status=404, requester=self.member))

    def test_an_undo_whose_commit_is_lost_does_not_pass_for_success(self):
        self.unreachable()
        with mock.patch.object(snapshots, 'withdraw',
                               side_effect=engine.CommitLost()):
            self.assertIn('may be adopted all the same',
                          self.adopt(self.volume(), status=503))

    def test_a_volume_without_a_host(self):
        self.assertEqual(
            'Invalid volume: The snapshot cannot be created because volume '
            'has not been scheduled to any host.',
            self.adopt(self.volume(host=None), status=400))

    def test_a_volume_in_use(self):
        self.adopt(self.volume(status='in-use'))

    def test_a_volume_that_was_migrated(self):
        for status in None, 'success', 'error', 'deleting':
            with self.subTest(status=status):
                self.adopt(self.volume(migration_status=status))

    def test_a_volume_that_is_being_migrated(self):
        for status in ('starting', 'migrating', 'completing', 'none', '',
                       'target:11111111-1111-1111-1111-111111111111'):
            with self.subTest(status=status):
                self.assertEqual(
                    'Invalid volume: Snapshot cannot be created while volume '
                    'is migrating.',
                    self.adopt(self.volume(migration_status=status),
                               status=400))
        self.assertEqual([], self._rows())
        self.assertEqual(0, self.usage('snapshots'))

    def test_a_migration_that_starts_after_the_look_at_the_volume(self):
        volume_id = self.volume()
        with mock.patch.object(volumes, 'why_not_snapshottable',
                               side_effect=[None, exception.InvalidVolume(
                                   reason='it is migrating')]):
            self.assertEqual('Invalid volume: it is migrating',
                             self.adopt(volume_id, status=400))
        self.assertEqual([], self._rows())

    def test_volumes_that_cinder_takes_no_snapshots_of(self):
        for status, reason in (
                ('maintenance', 'The snapshot cannot be created when the '
                 'volume is in maintenance mode.'),
                ('error', 'The snapshot cannot be created when the volume is '
                 'in error status.'),
                ('replica_x', 'Snapshot of secondary replica is not allowed.')
        ):
            with self.subTest(status=status):
                self.assertEqual(
                    f'Invalid volume: {reason}',
                    self.adopt(self.volume(status=status), status=400))

    def test_volumes_that_are_busy(self):
        for status in ('creating', 'deleting', 'error_deleting', 'reserved',
                       'backing-up', 'restoring-backup', 'retyping',
                       'extending', 'downloading', 'uploading', 'detaching',
                       'attaching', 'awaiting-transfer', 'managing', None):
            with self.subTest(status=status):
                self.assertIn(
                    'status must be available, in-use',
                    self.adopt(self.volume(status=status), status=400))

    def test_older_workers_get_older_objects(self):
        volume_id = self.volume()
        with self.database.writer(self.admin) as session:
            session.query(models.Service).update(
                {'object_current_version': '1.38'})
        with mock.patch.object(self.client,
                               'manage_existing_snapshot') as cast:
            self.adopt(volume_id)
        self.assertEqual('1.5', cast.call_args.args[2][
            'versioned_object.version'])


class OwnerTest(base.ApiTestCase):
    """An administrator adopts for another project's volume."""

    def setUp(self):
        super().setUp()
        self.service()
        self.volume_id = self.volume(
            project_id=base.OTHER_PROJECT, user_id='its-user', size=3)

    def _usages(self):
        with self.database.reader(self.admin) as session:
            return {(row.project_id, row.resource): row.in_use
                    for row in session.query(models.QuotaUsage)
                    if row.resource in ('snapshots', 'gigabytes')}

    def _be_the_volumes(self):
        self.conf.set_override('snapshot_owner', 'volume',
                               'manageable_snapshots')

    def test_it_is_the_requesters(self):
        row = self.snapshot_row(self.adopt(self.volume_id)['id'])
        self.assertEqual((base.PROJECT, self.admin.user_id),
                         (row.project_id, row.user_id))
        self.assertEqual({(base.PROJECT, 'snapshots'): 1,
                          (base.PROJECT, 'gigabytes'): 3}, self._usages())

    def test_or_the_volumes(self):
        self._be_the_volumes()
        row = self.snapshot_row(self.adopt(self.volume_id)['id'])
        self.assertEqual((base.OTHER_PROJECT, 'its-user'),
                         (row.project_id, row.user_id))
        self.assertEqual(
            {(base.OTHER_PROJECT, 'snapshots'): 1,
             (base.OTHER_PROJECT, 'gigabytes'): 6}, self._usages())

    def test_whose_quota_it_is_in_may_be_full(self):
        self._be_the_volumes()
        with self.database.writer(self.admin) as session:
            session.add(models.Quota(project_id=base.OTHER_PROJECT,
                                     resource='snapshots', hard_limit=0))
        self.adopt(self.volume_id, status=413)
        self.conf.clear_override('snapshot_owner', 'manageable_snapshots')
        self.adopt(self.volume_id)

    def test_nothing_is_left_of_what_no_worker_heard(self):
        self._be_the_volumes()
        self.unreachable()
        self.adopt(self.volume_id, status=503)
        with self.database.reader(self.admin) as session:
            self.assertEqual([], snapshots.list_snapshots(
                session, self.admin, all_projects=True))
        self.assertEqual(
            {(base.OTHER_PROJECT, 'snapshots'): 0,
             (base.OTHER_PROJECT, 'gigabytes'): 3}, self._usages())

    def test_the_worker_is_told_whose_it_is(self):
        self._be_the_volumes()
        with mock.patch.object(self.client,
                               'manage_existing_snapshot') as cast:
            self.adopt(self.volume_id)
        self.assertEqual(
            base.OTHER_PROJECT,
            cast.call_args.args[2]['versioned_object.data']['project_id'])


class ManagedAlreadyTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.service()
        self.volume_id = self.volume()

    def _managed(self, **columns):
        snapshot_id = self.snapshot(self.volume_id, **columns)
        return snapshot_id, {'source-name': f'snapshot-{snapshot_id}'}

    def test_the_name_of_a_managed_snapshot(self):
        owner, ref = self._managed()
        self.assertEqual(
            f'Unable to manage existing snapshot. Snapshot {ref} is already '
            f'managed as {owner}.',
            self.adopt(self.volume_id, ref, status=400))
        self.assertEqual([], self.client.sent)
        self.assertEqual(0, self.usage('snapshots'))

    def test_a_managed_snapshot_of_another_project_is_not_named(self):
        _id, ref = self._managed()
        with self.database.writer(self.admin) as session:
            session.query(models.Volume).update(
                {'project_id': base.OTHER_PROJECT})
        self._let_owners_manage()
        self.assertEqual(
            f'Unable to manage existing snapshot. Snapshot {ref} is already '
            'managed.', self.adopt(self.volume_id, ref, status=400,
                                   requester=self.stranger))

    def _let_owners_manage(self):
        self.enforcer.set_rules(
            {**self.enforcer.rules,
             'snapshot_extension:snapshot_manage':
                 self.enforcer.rules['admin_or_owner']})

    def test_the_other_key_of_a_name(self):
        _id, ref = self._managed()
        self.adopt(self.volume_id, {'name': ref['source-name']}, status=400)

    def test_another_volume_may_have_a_snapshot_of_that_name(self):
        _id, ref = self._managed()
        other = self.volume()
        self.adopt(other, ref, status=400)
        self.adopt(other, {**ref, 'source-id': 'x'})

    def test_cinders_own_worker_might_take_it_for_the_managed_one(self):
        _id, ref = self._managed()
        other = self.volume()
        self.client.is_ours = False
        self.adopt(other, {**ref, 'source-id': 'x'}, status=400)

    def test_the_name_by_a_template_of_the_operator(self):
        self.conf.set_override('snapshot_name_template', 'cloud-%s-snap')
        snapshot_id, _ref = self._managed()
        self.adopt(self.volume_id, f'cloud-{snapshot_id}-snap', status=400)
        self.adopt(self.volume_id, f'snapshot-{snapshot_id}')

    def test_a_snapshot_that_is_gone_manages_nothing(self):
        snapshot_id, ref = self._managed()
        with self.database.writer(self.admin) as session:
            snapshots.delete(session, snapshot_id)
        self.adopt(self.volume_id, ref)

    def test_a_snapshot_on_another_backend_manages_nothing_here(self):
        elsewhere = self.volume(host='node@other#pool')
        snapshot_id = self.snapshot(elsewhere)
        self.adopt(self.volume_id, f'snapshot-{snapshot_id}')

    def test_a_snapshot_that_is_being_managed(self):
        first = self.adopt(self.volume_id)
        self.assertEqual(
            "Unable to manage existing snapshot. Snapshot {'source-name': "
            f"'old'}} is being managed as {first['id']}.",
            self.adopt(self.volume_id, status=400))
        self.assertEqual(1, self.usage('snapshots'))

    def test_one_name_of_a_snapshot_that_is_being_managed_by_two(self):
        self.adopt(self.volume_id,
                   {'source-name': 'old', 'source-id': 'v/old'})
        self.adopt(self.volume_id, {'source-name': 'old'}, status=400)
        self.adopt(self.volume_id, {'source-id': 'v/old'}, status=400)
        self.adopt(self.volume_id, {'source-id': 'v/other'})

    def test_two_names_of_a_snapshot_that_is_being_managed_by_one(self):
        self.adopt(self.volume_id, {'source-name': 'old'})
        self.adopt(self.volume_id,
                   {'source-name': 'old', 'source-id': 'v/old'}, status=400)

    def test_a_name_that_a_stock_api_sent(self):
        snapshot_id = self.snapshot(self.volume_id, status='creating')
        with self.database.writer(self.admin) as session:
            snapshots.record_reference(session, snapshot_id, 'old')
        self.adopt(self.volume_id, status=400)

    def test_a_namesake_of_another_volume(self):
        self.adopt(self.volume_id)
        self.adopt(self.volume())

    def test_after_a_failure_it_can_be_tried_again(self):
        first = self.adopt(self.volume_id)
        with self.database.writer(self.admin) as session:
            snapshots.make_error(session, first['id'], 'no reason')
        self.adopt(self.volume_id)

    def test_a_reference_that_was_too_long_to_remember(self):
        self.adopt(self.volume_id, 'x' * 5000)
        self.adopt(self.volume_id, 'y' * 5000)

    def test_another_projects_snapshot_is_not_named(self):
        self.adopt(self.volume_id)
        with self.database.writer(self.admin) as session:
            session.query(models.Volume).update(
                {'project_id': base.OTHER_PROJECT})
        self._let_owners_manage()
        self.assertEqual(
            "Unable to manage existing snapshot. Snapshot {'source-name': "
            "'old'} is being managed.",
            self.adopt(self.volume_id, status=400, requester=self.stranger))
