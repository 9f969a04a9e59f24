# SPDX-License-Identifier: Apache-2.0

import datetime
import uuid

from hypothesis import given
from hypothesis import strategies as st

from manageable_snapshots.db import volume_types
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots.standalone.api import volumes as handlers
from manageable_snapshots.tests.unit.standalone.api import base

_UNDELETABLE = (
    'Invalid volume: Volume status must be available or error or '
    'error_restoring or error_extending or error_managing and must not be '
    'migrating, attached, belong to a group, have snapshots, awaiting a '
    'transfer, or be disassociated from snapshots after volume transfer.')


class CreateTest(base.StandaloneTestCase):

    def setUp(self):
        super().setUp()
        self.service()

    def create(self, status=202, requester=None, version='3.71', **volume):
        return self.ask('POST', '/volumes', {'volume': {'size': 1, **volume}},
                        status=status, requester=requester, version=version)

    def refuse(self, status=400, version='3.71', **volume):
        message = self.refused(
            'POST', '/volumes', {'volume': {'size': 1, **volume}},
            status=status, version=version)
        self.assertEqual([], self.client.sent)
        self.assertEqual(0, self.usage('volumes'))
        return message

    def test_worker_is_told_once_row_and_quota_are_there(self):
        def look(volume_id):
            row = self.volume_row(volume_id)
            seen.append((row.status, row.host, row.size, row.project_id,
                         self.usage('volumes'), self.usage('gigabytes'),
                         self.usage('volumes___DEFAULT__')))
        seen = []
        self.client.before = look
        view = self.create(size=3)['volume']
        self.assertEqual([('creating', base.HOST, 3, base.PROJECT, 1, 3, 1)],
                         seen)
        self.assertEqual(
            [('create_volume', base.HOST, view['id'], {})], self.client.sent)

    def test_answer_is_what_cinder_gives(self):
        view = self.create(name=' n ', description=' d ', version='3.0',
                           metadata={'k': 'v'})['volume']
        volume_id = str(uuid.UUID(view.pop('id')))
        datetime.datetime.fromisoformat(view.pop('created_at'))
        link = f'{base.PROJECT}/volumes/{volume_id}'
        self.assertEqual({
            'status': 'creating', 'size': 1, 'availability_zone': 'nova',
            'updated_at': None, 'name': 'n', 'description': 'd',
            'volume_type': '__DEFAULT__', 'snapshot_id': None,
            'source_volid': None, 'metadata': {'k': 'v'},
            'links': [
                {'rel': 'self', 'href': f'http://api.example/v3/{link}'},
                {'rel': 'bookmark', 'href': f'http://api.example/{link}'}],
            'user_id': 'admin-member-reader', 'bootable': 'false',
            'encrypted': False, 'replication_status': None,
            'consistencygroup_id': None, 'multiattach': False,
            'attachments': [], 'migration_status': None}, view)

    def test_cluster_is_told_where_there_is_one(self):
        self.service('node2@shared', cluster='c@shared')
        self.volume()
        view = self.create()['volume']
        self.assertEqual('c@shared', view['cluster_name'])
        self.assertEqual('c@shared', self.client.sent[0][1])

    def test_what_clients_send_without_a_meaning_is_no_error(self):
        self.ask(
            'POST', '/volumes', {
                'volume': {
                    'size': '2', 'name': None, 'description': None,
                    'volume_type': None, 'metadata': None,
                    'availability_zone': None, 'snapshot_id': None,
                    'source_volid': None, 'consistencygroup_id': None,
                    'multiattach': False, 'imageRef': None,
                    'backup_id': None, 'group_id': None},
                'OS-SCH-HNT:scheduler_hints': {}},
            version='3.71', status=202)
        self.assertEqual(2, self.usage('gigabytes'))

    def test_old_names_of_properties(self):
        view = self.create(display_name='n', display_description='d')
        self.assertEqual(('n', 'd'), (view['volume']['name'],
                                      view['volume']['description']))

    def test_unknown_property_is_an_error_from_3_53(self):
        self.create(version='3.52', unknown=1)
        self.assertIn("'unknown' was unexpected", self.refused(
            'POST', '/volumes', {'volume': {'size': 1, 'unknown': 1}},
            version='3.53'))

    def test_sizes_that_cannot_be(self):
        for size in (None, '0', '00', '2147483648', '9' * 5000):
            self.assertIn('must be an integer from 1 to 2147483647',
                          self.refuse(size=size))
        for size in (0, -1, 2147483648, 1.5, True, '', '1x', [], {}):
            self.assertIn('Invalid input for field/attribute size',
                          self.refuse(size=size))

    @given(st.integers() | st.from_regex('[0-9]+', fullmatch=True))
    def test_size_is_a_number_of_gib_or_an_error(self, wanted):
        try:
            size = handlers._size(wanted)
        except exception.InvalidInput:
            self.assertFalse(0 < int(wanted) < 2 ** 31)
        else:
            self.assertEqual(int(wanted), size)

    def test_lengths_are_counted_without_the_space_around(self):
        self.create(name=' ' * 9 + 'n' * 255)
        for key in ('name', 'display_name', 'description'):
            message = self.refused(
                'POST', '/volumes', {'volume': {'size': 1, key: 'n' * 256}})
            self.assertEqual(
                'Invalid input received: %s has 256 characters, more than '
                '255.' % key.removeprefix('display_'), message)

    def test_only_empty_volumes(self):
        some_id = str(uuid.uuid4())
        for source in ('snapshot_id', 'source_volid', 'imageRef', 'image_id',
                       'backup_id', 'group_id', 'consistencygroup_id'):
            self.assertEqual(
                'Invalid input received: volumes are made empty here, '
                f'without {source}', self.refuse(**{source: some_id}))
        self.assertIn('multiattach', self.refuse(multiattach='yes'))
        self.assertIn('scheduler_hints', self.refused('POST', '/volumes', {
            'volume': {'size': 1},
            'OS-SCH-HNT:scheduler_hints': {'same_host': some_id}}))

    def test_type_by_name_or_id(self):
        with self.database.reader(self.admin) as session:
            default = volume_types.default(session)
        for wanted in (default.id, default.name):
            view = self.create(volume_type=wanted)['volume']
            self.assertEqual((default.name, default.id),
                             (view['volume_type'], view['volume_type_id']))

    def test_unknown_type(self):
        self.assertEqual(
            'Volume type with name gold could not be found.',
            self.refuse(volume_type='gold', status=404))
        some_id = str(uuid.uuid4())
        self.assertEqual(
            f'Volume type {some_id} could not be found.',
            self.refuse(volume_type=some_id, status=404))

    def test_over_quota(self):
        self.conf.set_override('quota_volumes', 1)
        self.create()
        self.assertIn('Maximum number of volumes allowed (1) exceeded',
                      self.refused('POST', '/volumes',
                                   {'volume': {'size': 1}}, status=413))
        self.assertEqual(1, len(self.client.sent))
        self.assertEqual(1, self.usage('volumes'))

    def test_reader_may_not(self):
        self.create(requester=self.reader, status=403)

    def test_nothing_is_left_when_no_worker_can_be_told(self):
        def note(volume_id):
            ids.append(volume_id)
        ids = []
        self.unreachable(note)
        self.refuse(status=503)
        self.assertEqual(0, self.usage('gigabytes'))
        self.ask('GET', f'/volumes/{ids[0]}', status=404)

    def test_worker_that_got_the_message_after_all_keeps_the_volume(self):
        def make(volume_id):
            with self.database.writer(self.admin) as session:
                volumes.update(session, volume_id, status='available')
        self.unreachable(make)
        view = self.create()['volume']
        self.assertEqual('available', self.volume_row(view['id']).status)
        self.assertEqual(1, self.usage('volumes'))

    def test_nothing_is_left_of_a_commit_that_is_not_answered(self):
        for fate in ('committed', 'undone'):
            with self.subTest(fate=fate):
                self.lose(fate)
                self.assertEqual('The database does not answer.',
                                 self.refuse(status=503))
                self.assertEqual(
                    [], self.ask('GET', '/volumes')['volumes'])
                self.assertEqual(0, self.usage('volumes'))
        self.assertEqual([], self.client.sent)

    def test_it_is_said_what_a_commit_may_have_left(self):
        self.lose('committed', 'away')
        message = self.refused('POST', '/volumes', {'volume': {'size': 1}},
                               status=503)
        left, = self.ask('GET', '/volumes')['volumes']
        self.assertEqual(
            f'The request failed. Volume {left["id"]} may be left '
            '"creating".', message)

    def test_a_volume_that_a_worker_is_making_is_not_withdrawn(self):
        def begin(volume_id):
            with self.database.writer(self.admin) as session:
                self.assertTrue(volumes.begin(session, volume_id, 'creating'))
        self.unreachable(begin)
        view = self.create()['volume']
        self.assertEqual('creating', self.volume_row(view['id']).status)
        self.assertEqual(1, self.usage('volumes'))

    def test_an_error_names_the_service_to_who_may_see_it(self):
        self.unreachable()
        self.assertEqual(
            'The volume service node@dir cannot be reached at this time.',
            self.refuse(status=503))
        message = self.refused('POST', '/volumes', {'volume': {'size': 1}},
                               status=503, requester=self.member)
        self.assertIn('The volume service of volume ', message)
        self.assertNotIn('node', message)


class PlacementTest(base.StandaloneTestCase):

    def place(self, **volume):
        view = self.ask('POST', '/volumes', {'volume': {'size': 1, **volume}},
                        status=202)['volume']
        return self.volume_row(view['id'])

    def test_services_take_turns(self):
        uuids = {host: self.service(host) for host in ('a@x', 'b@x', 'c@x')}
        self.volume(host='a@x#pool')
        placed = [self.place() for _turn in range(5)]
        self.assertEqual(['b@x', 'c@x', 'a@x', 'b@x', 'c@x'],
                         [row.host for row in placed])
        for row in placed:
            self.assertEqual(uuids[row.host], row.service_uuid)

    def test_only_services_that_are_up_and_enabled(self):
        self.service('a@x', age=self.conf.service_down_time + 5)
        self.service('b@x', disabled=True)
        self.service('c@x')
        self.assertEqual('c@x', self.place().host)

    def test_none_is_up(self):
        self.service('a@x', age=self.conf.service_down_time + 5)
        self.assertEqual('No volume service is up and enabled.', self.refused(
            'POST', '/volumes', {'volume': {'size': 1}}, status=503))

    def test_zone(self):
        self.service('a@x', zone='earth')
        self.service('b@x', zone='moon')
        row = self.place(availability_zone='moon')
        self.assertEqual(('b@x', 'moon'), (row.host, row.availability_zone))
        self.assertEqual('a@x', self.place().host)

    def test_unknown_zone(self):
        self.service('a@x', zone='earth')
        self.assertEqual("Availability zone 'mars' is invalid.", self.refused(
            'POST', '/volumes',
            {'volume': {'size': 1, 'availability_zone': 'mars'}}))

    def test_zone_that_has_no_service_now(self):
        self.service('a@x', zone='earth')
        self.ask('POST', '/volumes',
                 {'volume': {'size': 1, 'availability_zone': 'nova'}},
                 status=503)


class ShowTest(base.StandaloneTestCase):

    def keys(self, version, requester=None):
        view = self.ask('GET', f'/volumes/{self.volume_id}',
                        version=version, requester=requester)['volume']
        return set(view)

    def setUp(self):
        super().setUp()
        self.volume_id = self.volume()

    def test_properties_come_with_microversions(self):
        before = self.keys('3.0')
        for version, new in (
                ('3.12', set()), ('3.13', {'group_id'}),
                ('3.20', set()), ('3.21', {'provider_id'}),
                ('3.47', set()), ('3.48', {'shared_targets', 'service_uuid'}),
                ('3.60', set()), ('3.61', {'cluster_name'}),
                ('3.62', set()), ('3.63', {'volume_type_id'}),
                ('3.64', set()), ('3.65', {'consumes_quota'}),
                ('3.71', set())):
            after = self.keys(version)
            self.assertEqual(new, after - before, version)
            before = after

    def test_properties_for_administrators(self):
        self.assertEqual(
            {'migration_status', 'provider_id', 'cluster_name',
             'os-vol-host-attr:host', 'os-vol-mig-status-attr:migstat',
             'os-vol-mig-status-attr:name_id'},
            self.keys('3.71') - self.keys('3.71', self.member))

    def test_what_a_policy_may_hide(self):
        self.enforcer.set_rules({
            **self.enforcer.rules,
            'volume_extension:volume_tenant_attribute':
                self.enforcer.rules['admin_api']}, overwrite=True)
        hidden = {'os-vol-tenant-attr:tenant_id'}
        self.assertLessEqual(hidden, self.keys('3.0'))
        self.assertFalse(hidden & self.keys('3.0', self.member))

    def test_other_projects_do_not_learn_of_it(self):
        path = f'/volumes/{self.volume_id}'
        self.assertEqual(f'Volume {self.volume_id} could not be found.',
                         self.refused('GET', path, requester=self.stranger,
                                      status=404))

    def test_neither_does_who_has_no_role(self):
        self.ask('GET', f'/volumes/{self.volume_id}', status=404,
                 requester=self.requester('nobody'))

    def test_link_has_a_project_where_the_request_has(self):
        view = self.ask('GET', f'/volumes/{self.volume_id}', project=False)
        self.assertEqual(
            [f'http://api.example/v3/volumes/{self.volume_id}',
             f'http://api.example/volumes/{self.volume_id}'],
            [link['href'] for link in view['volume']['links']])

    def test_links_are_built_on_the_public_endpoint(self):
        self.conf.set_override('public_endpoint',
                               'https://cloud.example/storage/')
        view = self.ask('GET', f'/volumes/{self.volume_id}', project=False)
        self.assertEqual(
            [f'https://cloud.example/storage/v3/volumes/{self.volume_id}',
             f'https://cloud.example/storage/volumes/{self.volume_id}'],
            [link['href'] for link in view['volume']['links']])


class ListTest(base.StandaloneTestCase):

    def names(self, query='', requester=None):
        answer = self.ask('GET', f'/volumes?{query}', requester=requester)
        return [volume['name'] for volume in answer['volumes']]

    def test_own_project(self):
        self.volume(display_name='a')
        self.volume(display_name='b', project_id=base.OTHER_PROJECT)
        self.assertEqual(['a'], self.names())
        self.assertEqual(['b'], self.names(requester=self.stranger))

    def test_all_projects_for_administrators(self):
        self.volume(display_name='a')
        self.volume(display_name='b', project_id=base.OTHER_PROJECT)
        self.assertCountEqual(['a', 'b'], self.names('all_tenants=1'))
        self.assertEqual(
            ['b'], self.names('all_tenants=1', requester=self.stranger))
        self.assertEqual(['a'], self.names('all_tenants=perhaps'))

    def test_filters(self):
        self.volume(display_name='a', status='error')
        self.volume(display_name='b')
        for query in ('status=error', 'name=a', 'display_name=a',
                      f'status=error&project_id={base.PROJECT}'):
            self.assertEqual(['a'], self.names(query))
        self.assertEqual([], self.names('name=c'))

    def test_unknown_filters(self):
        self.assertEqual(
            'Invalid filters color,sort are found in query options.',
            self.refused('GET', '/volumes?color=red&name=a&sort=name'))

    def test_pages(self):
        for name in 'abcde':
            self.volume(display_name=name)
        path, names = '/volumes/detail?limit=2&status=available', []
        for _page in range(4):
            answer = self.ask('GET', path)
            names += [volume['name'] for volume in answer['volumes']]
            if 'volumes_links' not in answer:
                break
            link, = answer['volumes_links']
            self.assertEqual('next', link['rel'])
            start = f'http://api.example/v3/{base.PROJECT}'
            self.assertTrue(link['href'].startswith(start))
            path = link['href'].removeprefix(start)
        self.assertCountEqual('abcde', names)

    def test_no_more_than_the_highest_limit(self):
        self.conf.set_override('osapi_max_limit', 2)
        for name in 'abc':
            self.volume(display_name=name)
        for query in ('', 'limit=3', 'limit=99999'):
            answer = self.ask('GET', f'/volumes?{query}')
            self.assertEqual(2, len(answer['volumes']))
            self.assertIn('volumes_links', answer)
        self.assertEqual({'volumes': []}, self.ask('GET', '/volumes?limit=0'))

    def test_limits_that_cannot_be(self):
        self.assertEqual('limit param must be an integer',
                         self.refused('GET', '/volumes?limit=x'))
        self.assertEqual('limit param must be positive',
                         self.refused('GET', '/volumes?limit=-1'))

    def test_unknown_marker(self):
        self.assertEqual(
            'Volume x could not be found.',
            self.refused('GET', '/volumes?marker=x', status=404))

    def test_details_have_each_its_metadata(self):
        self.volume(display_name='a', metadata={'k': '1', 'l': '2'})
        self.volume(display_name='b')
        answer = self.ask('GET', '/volumes/detail')
        self.assertEqual(
            {'a': {'k': '1', 'l': '2'}, 'b': {}},
            {volume['name']: volume['metadata']
             for volume in answer['volumes']})

    def test_who_has_no_role_may_not(self):
        self.ask('GET', '/volumes', requester=self.requester('nobody'),
                 status=403)


class DeleteTest(base.StandaloneTestCase):

    def setUp(self):
        super().setUp()
        self.service()
        self.volume_id = self.volume()

    def delete(self, query='', status=202, requester=None):
        return self.ask('DELETE', f'/volumes/{self.volume_id}{query}',
                        status=status, requester=requester)

    def state(self):
        return self.volume_row(self.volume_id).status

    def test_worker_deletes_it(self):
        self.assertEqual('', self.delete(requester=self.member))
        self.assertEqual('deleting', self.state())
        self.assertEqual(
            [('delete_volume', base.HOST, self.volume_id, {})],
            self.client.sent)

    def test_service_that_is_down_finds_the_message_later(self):
        self.service(age=self.conf.service_down_time + 5)
        self.delete()
        self.assertEqual(1, len(self.client.sent))

    def test_not_in_every_status(self):
        for status in ('creating', 'in-use', 'deleting', 'error_deleting'):
            with self.database.writer(self.admin) as session:
                volumes.update(session, self.volume_id, status=status)
            self.assertEqual(_UNDELETABLE, self.refused(
                'DELETE', f'/volumes/{self.volume_id}'))
            self.assertEqual(status, self.state())
        self.assertEqual([], self.client.sent)

    def test_not_with_snapshots_of_whichever_project(self):
        snapshot_id = self.snapshot(self.volume_id)
        self.snapshot_row(snapshot_id)
        for query in ('', '?cascade=true'):
            self.assertEqual(_UNDELETABLE, self.refused(
                'DELETE', f'/volumes/{self.volume_id}{query}',
                requester=self.member))
        self.assertEqual('available', self.state())

    def test_cascade_is_a_boolean(self):
        self.assertEqual(
            "Value 'perhaps' for 'cascade' is not a boolean.", self.refused(
                'DELETE', f'/volumes/{self.volume_id}?cascade=perhaps'))
        self.delete('?cascade=False')

    def test_reader_may_not(self):
        self.delete(requester=self.reader, status=403)

    def test_other_projects_find_nothing(self):
        self.delete(requester=self.stranger, status=404)

    def test_all_is_as_before_when_no_worker_can_be_told(self):
        with self.database.writer(self.admin) as session:
            volumes.update(session, self.volume_id, status='error')
        self.unreachable()
        self.delete(status=503)
        self.assertEqual('error', self.state())
        self.assertIsNone(self.volume_row(self.volume_id).terminated_at)

    def test_worker_that_got_the_message_after_all_has_deleted_it(self):
        def delete(volume_id):
            with self.database.writer(self.admin) as session:
                volumes.delete(session, volume_id)
        self.unreachable(delete)
        self.delete()

    def test_all_is_as_before_when_a_commit_is_not_answered(self):
        for fate in ('committed', 'undone'):
            with self.subTest(fate=fate):
                self.lose(fate)
                self.delete(status=503)
                self.assertEqual('available', self.state())
                self.assertIsNone(
                    self.volume_row(self.volume_id).terminated_at)
        self.assertEqual([], self.client.sent)

    def test_it_is_said_what_cannot_be_taken_back(self):
        self.unreachable()
        for fates in (('committed', 'away'), (None, 'away')):
            with self.subTest(fates=fates):
                with self.database.writer(self.admin) as session:
                    volumes.update(session, self.volume_id, status='error')
                self.lose(*fates)
                self.assertEqual(
                    f'The request failed. Volume {self.volume_id} may be '
                    'left "deleting".', self.refused(
                        'DELETE', f'/volumes/{self.volume_id}', status=503))

    def test_a_deletion_that_a_worker_has_begun_is_not_taken_back(self):
        def begin(volume_id):
            with self.database.writer(self.admin) as session:
                self.assertTrue(volumes.begin(session, volume_id, 'deleting'))
        self.unreachable(begin)
        self.delete()
        self.assertEqual('deleting', self.state())

    def test_a_deletion_can_be_repeated_that_failed_on_the_backend(self):
        with self.database.writer(self.admin) as session:
            volumes.update(session, self.volume_id, status='deleting')
            volumes.begin(session, self.volume_id, 'deleting')
            # By an administrator, who has seen why.
            volumes.update(session, self.volume_id, status='error')
        self.unreachable()
        self.delete(status=503)
        self.assertEqual('error', self.state())

    def test_an_error_names_the_service_to_who_may_see_it(self):
        self.unreachable()
        path = f'/volumes/{self.volume_id}'
        self.assertEqual(
            'The volume service node@dir cannot be reached at this time.',
            self.refused('DELETE', path, status=503))
        self.assertEqual(
            f'The volume service of volume {self.volume_id} cannot be '
            'reached at this time.', self.refused(
                'DELETE', path, status=503, requester=self.member))

    def test_backend_that_is_no_more(self):
        volume_id = self.volume(host='gone@dir')
        self.assertEqual(
            'Service cinder-volume could not be found on host gone@dir.',
            self.refused('DELETE', f'/volumes/{volume_id}', status=404))
