# SPDX-License-Identifier: Apache-2.0

import uuid

from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots import policies
from manageable_snapshots.tests.unit.standalone.api import base

_UNDELETABLE = ('Invalid snapshot: Snapshot status must be available or '
                'error and must not be part of a group.')


class CreateTest(base.StandaloneTestCase):

    def setUp(self):
        super().setUp()
        self.service()
        self.volume_id = self.volume(size=3)

    def create(self, status=202, requester=None, version='3.0', **snapshot):
        return self.ask(
            'POST', '/snapshots',
            {'snapshot': {'volume_id': self.volume_id, **snapshot}},
            status=status, requester=requester, version=version)

    def refuse(self, status=400, version='3.71', requester=None, **snapshot):
        message = self.refused(
            'POST', '/snapshots',
            {'snapshot': {'volume_id': self.volume_id, **snapshot}},
            status=status, version=version, requester=requester)
        self.assertEqual([], self.client.sent)
        self.assertEqual(0, self.usage('snapshots'))
        return message

    def set_status(self, status):
        with self.database.writer(self.admin) as session:
            volumes.update(session, self.volume_id, status=status)

    def test_worker_is_told_once_row_and_quota_are_there(self):
        def look(snapshot_id):
            row = self.snapshot_row(snapshot_id)
            seen.append((row.status, row.volume_id, row.volume_size,
                         self.usage('snapshots'), self.usage('gigabytes')))
        seen = []
        self.client.before = look
        view = self.create(requester=self.member)['snapshot']
        self.assertEqual([('creating', self.volume_id, 3, 1, 6)], seen)
        self.assertEqual([('create_snapshot', base.HOST, view['id'], {})],
                         self.client.sent)

    def test_sizes_of_snapshots_can_be_left_out_of_the_quota(self):
        self.conf.set_override('no_snapshot_gb_quota', True)
        self.create()
        self.assertEqual((1, 0), (self.usage('snapshots'),
                                  self.usage('gigabytes')))

    def test_answer_is_what_cinder_gives(self):
        view = self.create(name=' n ', description=' d ',
                           metadata={'k': 'v'})['snapshot']
        uuid.UUID(view.pop('id'))
        self.assertIsNotNone(view.pop('created_at'))
        self.assertEqual({
            'updated_at': None, 'name': 'n', 'description': 'd',
            'volume_id': self.volume_id, 'status': 'creating', 'size': 3,
            'metadata': {'k': 'v'}}, view)

    def test_old_name_of_the_name(self):
        self.assertEqual(
            'n', self.create(display_name='n')['snapshot']['name'])

    def test_a_volume_that_is_being_migrated(self):
        with self.database.writer(self.admin) as session:
            volumes.update(session, self.volume_id,
                           migration_status='migrating')
        self.assertEqual(
            'Invalid volume: Snapshot cannot be created while volume is '
            'migrating.', self.refuse())

    def test_a_rule_may_refer_to_the_volume(self):
        self.enforcer.set_rules(policies.policy.Rules.from_dict({
            **{name: str(rule) for name, rule in self.enforcer.rules.items()},
            'volume:create_snapshot': "'in-use':%(status)s"}))
        self.refuse(status=403)
        self.set_status('in-use')
        self.create(force=True)

    def test_volume_in_use_needs_force(self):
        self.set_status('in-use')
        self.assertEqual(
            f'Invalid volume: Volume {self.volume_id} status must be '
            'available, but current status is: in-use.',
            self.refuse(version='3.65'))
        self.refuse(version='3.65', force='no')
        self.create(version='3.65', force='yes')

    def test_force_has_no_meaning_from_3_66(self):
        self.set_status('in-use')
        self.create(version='3.66')
        self.create(version='3.66', force=True)

    def test_force_false_is_an_error_from_3_66(self):
        self.assertIn("Since microversion 3.66 the 'force' flag is invalid",
                      self.refuse(version='3.66', force=False))

    def test_volume_that_is_not_there_yet(self):
        self.set_status('creating')
        self.assertEqual(
            f'Invalid volume: Volume {self.volume_id} status must be '
            'available, in-use, but current status is: creating.',
            self.refuse())

    def test_unknown_volume(self):
        for volume_id in (None, str(uuid.uuid4())):
            self.assertEqual(f'Volume {volume_id} could not be found.',
                             self.refuse(volume_id=volume_id, status=404))

    def test_other_projects_volume(self):
        self.refuse(requester=self.stranger, status=404)

    def test_reader_may_not(self):
        self.refuse(requester=self.reader, status=403)

    def test_bodies_that_cannot_be(self):
        for snapshot in ({'volume_id': 'x'}, {'force': 'perhaps'},
                         {'force': None}, {'unknown': 1}, {'name': 5},
                         {'name': 'n' * 256}, {'description': '\a'},
                         {'metadata': {'k': None}}):
            self.assertIn('Invalid input for field/attribute',
                          self.refuse(**snapshot))

    def test_over_quota(self):
        self.conf.set_override('quota_snapshots', 0)
        self.assertEqual(
            'SnapshotLimitExceeded: Maximum number of snapshots allowed (0) '
            'exceeded',
            self.refuse(status=413))
        self.conf.set_override('quota_gigabytes', 5)
        self.assertIn('Requested 3G, quota is 5G and 3G has been consumed.',
                      self.refuse(status=413))

    def test_service_that_is_down(self):
        self.service(age=self.conf.service_down_time + 5)
        self.refuse(status=503)

    def test_nothing_is_left_when_no_worker_can_be_told(self):
        ids = []
        self.unreachable(ids.append)
        self.refuse(status=503)
        self.assertEqual(3, self.usage('gigabytes'))
        self.ask('GET', f'/snapshots/{ids[0]}', status=404)

    def test_worker_that_got_the_message_after_all_keeps_the_snapshot(self):
        def take(snapshot_id):
            with self.database.writer(self.admin) as session:
                snapshots.make_available(session, snapshot_id)
        self.unreachable(take)
        view = self.create()['snapshot']
        self.assertEqual('available', self.snapshot_row(view['id']).status)
        self.assertEqual(1, self.usage('snapshots'))

    def test_nothing_is_left_of_a_commit_that_is_not_answered(self):
        for fate in ('committed', 'undone'):
            with self.subTest(fate=fate):
                self.lose(fate)
                self.assertEqual('The database does not answer.',
                                 self.refuse(status=503))
                self.assertEqual(
                    [], self.ask('GET', '/snapshots')['snapshots'])
                self.assertEqual(0, self.usage('snapshots'))
        self.assertEqual([], self.client.sent)

    def test_it_is_said_what_a_commit_may_have_left(self):
        self.lose('committed', 'away')
        message = self.refused(
            'POST', '/snapshots', {'snapshot': {'volume_id': self.volume_id}},
            status=503)
        left, = self.ask('GET', '/snapshots')['snapshots']
        self.assertEqual(
            f'The request failed. Snapshot {left["id"]} may be left '
            '"creating".', message)

    def test_a_snapshot_that_a_worker_is_taking_is_not_withdrawn(self):
        def begin(snapshot_id):
            with self.database.writer(self.admin) as session:
                self.assertTrue(
                    snapshots.begin(session, snapshot_id, 'creating'))
        self.unreachable(begin)
        view = self.create()['snapshot']
        self.assertEqual('creating', self.snapshot_row(view['id']).status)
        self.assertEqual(1, self.usage('snapshots'))

    def test_an_error_names_the_service_to_who_may_see_it(self):
        self.unreachable()
        self.assertEqual(
            'The volume service node@dir cannot be reached at this time.',
            self.refuse(status=503))
        self.assertEqual(
            f'The volume service of volume {self.volume_id} cannot be '
            'reached at this time.', self.refused(
                'POST', '/snapshots',
                {'snapshot': {'volume_id': self.volume_id}}, status=503,
                requester=self.member))


class ShowTest(base.StandaloneTestCase):

    def setUp(self):
        super().setUp()
        self.snapshot_id = self.snapshot(
            self.volume(), metadata={'manage_error': 'it is gone'})

    def show(self, **options):
        return self.ask('GET', f'/snapshots/{self.snapshot_id}',
                        **options)

    def test_metadata_tells_why_an_adoption_failed(self):
        self.assertEqual({'manage_error': 'it is gone'},
                         self.show()['snapshot']['metadata'])

    def test_properties_come_with_microversions(self):
        before = set(self.show(version='3.0')['snapshot'])
        for version, new in (
                ('3.13', set()), ('3.14', {'group_snapshot_id'}),
                ('3.40', set()), ('3.41', {'user_id'}),
                ('3.64', set()), ('3.65', {'consumes_quota'}),
                ('3.71', set())):
            after = set(self.show(version=version)['snapshot'])
            self.assertEqual(new, after - before, version)
            before = after

    def test_what_a_policy_may_hide(self):
        self.enforcer.set_rules({
            **self.enforcer.rules,
            'volume_extension:extended_snapshot_attributes':
                self.enforcer.rules['admin_api']}, overwrite=True)
        hidden = {'os-extended-snapshot-attributes:progress',
                  'os-extended-snapshot-attributes:project_id'}
        self.assertLessEqual(hidden, set(self.show()['snapshot']))
        self.assertFalse(
            hidden & set(self.show(requester=self.member)['snapshot']))

    def test_other_projects_find_nothing(self):
        self.show(requester=self.stranger, status=404)

    def test_who_has_no_role_may_not(self):
        self.show(requester=self.requester('nobody'), status=403)


class ListTest(base.StandaloneTestCase):

    def setUp(self):
        super().setUp()
        self.volume_id = self.volume()

    def ids(self, query='', requester=None):
        answer = self.ask('GET', f'/snapshots?{query}', requester=requester)
        return [snapshot['id'] for snapshot in answer['snapshots']]

    def test_filters(self):
        wanted = self.snapshot(self.volume_id, status='error',
                               display_name='a')
        other = self.snapshot(self.volume())
        for query in ('status=error', 'name=a', 'display_name=a',
                      f'volume_id={self.volume_id}',
                      f'project_id={base.PROJECT}&name=a'):
            self.assertEqual([wanted], self.ids(query))
        self.assertCountEqual([wanted, other], self.ids())
        self.assertEqual([], self.ids('name=nope'))

    def test_all_projects_for_administrators(self):
        own = self.snapshot(self.volume_id)
        other = self.snapshot(self.volume_id,
                              project_id=base.OTHER_PROJECT)
        self.assertEqual([own], self.ids())
        self.assertCountEqual([own, other], self.ids('all_tenants=True'))
        self.assertEqual([other], self.ids('all_tenants=True',
                                           requester=self.stranger))

    def test_unknown_filters(self):
        self.assertEqual(
            'Invalid filters with_count are found in query options.',
            self.refused('GET', '/snapshots/detail?with_count=1'))

    def test_pages(self):
        wanted = {self.snapshot(self.volume_id, metadata={'number': str(n)})
                  for n in range(5)}
        path, found = '/snapshots/detail?limit=2', {}
        for _page in range(4):
            answer = self.ask('GET', path)
            found |= {snapshot['id']: snapshot['metadata']
                      for snapshot in answer['snapshots']}
            if 'snapshots_links' not in answer:
                break
            link, = answer['snapshots_links']
            self.assertEqual('next', link['rel'])
            path = link['href'].removeprefix(
                f'http://api.example/v3/{base.PROJECT}')
        self.assertEqual(wanted, set(found))
        self.assertCountEqual(
            [{'number': str(n)} for n in range(5)], found.values())

    def test_details_are_only_in_details(self):
        self.snapshot(self.volume_id)
        key = 'os-extended-snapshot-attributes:progress'
        for path, expected in (('/snapshots', False),
                               ('/snapshots/detail', True)):
            snapshot, = self.ask('GET', path)['snapshots']
            self.assertEqual(expected, key in snapshot)

    def test_unknown_marker(self):
        self.assertEqual(
            'Snapshot x could not be found.',
            self.refused('GET', '/snapshots?marker=x', status=404))

    def test_who_has_no_role_may_not(self):
        self.ask('GET', '/snapshots', requester=self.requester('nobody'),
                 status=403)


class DeleteTest(base.StandaloneTestCase):

    def setUp(self):
        super().setUp()
        self.service()
        self.snapshot_id = self.snapshot(self.volume())

    def delete(self, status=202, requester=None):
        return self.ask('DELETE', f'/snapshots/{self.snapshot_id}',
                        status=status, requester=requester)

    def unmanage(self, status=202, requester=None, body=None):
        return self.ask('POST', f'/snapshots/{self.snapshot_id}/action',
                        body or {'os-unmanage': None}, status=status,
                        requester=requester)

    def state(self):
        return self.snapshot_row(self.snapshot_id).status

    def set_status(self, status):
        with self.database.writer(self.admin) as session:
            snapshots.update(session, self.snapshot_id, status=status)

    def test_worker_deletes_it(self):
        self.assertEqual('', self.delete(requester=self.member))
        self.assertEqual('deleting', self.state())
        self.assertEqual(
            [('delete_snapshot', base.HOST, self.snapshot_id,
              {'unmanage_only': False})], self.client.sent)

    def test_worker_lets_go_of_it(self):
        for body in ({'os-unmanage': {}}, {'os-unmanage': None}):
            self.set_status('error')
            self.assertEqual('', self.unmanage(body=body))
            self.assertEqual('unmanaging', self.state())
            self.assertEqual(
                ('delete_snapshot', base.HOST, self.snapshot_id,
                 {'unmanage_only': True}), self.client.sent[-1])

    def test_not_in_every_status(self):
        for status in ('creating', 'deleting', 'unmanaging',
                       'error_deleting'):
            self.set_status(status)
            path = f'/snapshots/{self.snapshot_id}'
            self.assertEqual(_UNDELETABLE, self.refused('DELETE', path))
            self.assertEqual(_UNDELETABLE, self.refused(
                'POST', path + '/action', {'os-unmanage': None}))
            self.assertEqual(status, self.state())
        self.assertEqual([], self.client.sent)

    def test_snapshot_of_another_projects_volume(self):
        snapshot_id = self.snapshot(
            self.volume(project_id=base.OTHER_PROJECT))
        self.ask('DELETE', f'/snapshots/{snapshot_id}', status=202,
                 requester=self.member)

    def test_letting_go_is_for_administrators(self):
        self.assertIn(
            'snapshot_extension:snapshot_unmanage',
            self.refused('POST', f'/snapshots/{self.snapshot_id}/action',
                         {'os-unmanage': None}, requester=self.member,
                         status=403))

    def test_reader_may_not_delete(self):
        self.delete(requester=self.reader, status=403)

    def test_other_projects_find_nothing(self):
        self.delete(requester=self.stranger, status=404)
        self.unmanage(requester=self.stranger, status=404)

    def test_other_actions(self):
        path = f'/snapshots/{self.snapshot_id}/action'
        self.assertEqual(
            'There is no such action: os-reset_status. Verify the request '
            'body and Content-Type header and try again.',
            self.refused('POST', path, {'os-reset_status': {}}))
        self.assertEqual('Malformed request body',
                         self.refused('POST', path, {}))
        self.assertIn('Additional properties', self.refused(
            'POST', path, {'os-unmanage': {}, 'os-reset_status': {}}))

    def test_all_is_as_before_when_no_worker_can_be_told(self):
        self.set_status('error')
        self.unreachable()
        self.delete(status=503)
        self.assertEqual('error', self.state())
        self.unmanage(status=503)
        self.assertEqual('error', self.state())

    def test_worker_that_got_the_message_after_all_has_deleted_it(self):
        def delete(snapshot_id):
            with self.database.writer(self.admin) as session:
                snapshots.delete(session, snapshot_id)
        self.unreachable(delete)
        self.delete()

    def test_all_is_as_before_when_a_commit_is_not_answered(self):
        before = self.snapshot_row(self.snapshot_id).progress
        for fate in ('committed', 'undone'):
            for request in self.delete, self.unmanage:
                with self.subTest(fate=fate, request=request):
                    self.lose(fate)
                    request(status=503)
                    row = self.snapshot_row(self.snapshot_id)
                    self.assertEqual(('available', before),
                                     (row.status, row.progress))
        self.assertEqual([], self.client.sent)

    def test_it_is_said_what_cannot_be_taken_back(self):
        self.unreachable()
        for fates in (('committed', 'away'), (None, 'away')):
            with self.subTest(fates=fates):
                self.set_status('error')
                self.lose(*fates)
                self.assertEqual(
                    f'The request failed. Snapshot {self.snapshot_id} may be '
                    'left "deleting".', self.refused(
                        'DELETE', f'/snapshots/{self.snapshot_id}',
                        status=503))

    def test_a_deletion_that_a_worker_has_begun_is_not_taken_back(self):
        for status, request in (('deleting', self.delete),
                                ('unmanaging', self.unmanage)):
            def begin(snapshot_id):
                with self.database.writer(self.admin) as session:
                    self.assertTrue(
                        snapshots.begin(session, snapshot_id, status))

            with self.subTest(status=status):
                self.set_status('available')
                self.unreachable(begin)
                request()
                self.assertEqual(status, self.state())

    def test_an_error_names_the_service_to_who_may_see_it(self):
        self.unreachable()
        path = f'/snapshots/{self.snapshot_id}'
        volume_id = self.snapshot_row(self.snapshot_id).volume_id
        self.assertEqual(
            'The volume service node@dir cannot be reached at this time.',
            self.refused('DELETE', path, status=503))
        self.assertEqual(
            f'The volume service of volume {volume_id} cannot be reached at '
            'this time.', self.refused(
                'DELETE', path, status=503, requester=self.member))

    def test_a_snapshot_whose_volume_is_gone(self):
        with self.database.writer(self.admin) as session:
            volumes.delete(session,
                           self.snapshot_row(self.snapshot_id).volume_id)
        self.delete()
        self.set_status('available')
        self.unmanage()
        self.assertEqual(2, len(self.client.sent))

    def test_worker_that_got_the_message_after_all_has_failed(self):
        def fail(snapshot_id):
            self.set_status('error_deleting')
        self.unreachable(fail)
        self.delete()
        self.assertEqual('error_deleting', self.state())
