# SPDX-License-Identifier: Apache-2.0

"""Messages of a producer that should not be there.

Each gets an error that says what is wrong with it, and changes nothing.
"""

import threading

import oslo_messaging as messaging

from manageable_snapshots.db import models
from manageable_snapshots.rpc import objects
from manageable_snapshots.rpc import server
from manageable_snapshots.rpc import versions
from manageable_snapshots.standalone import in_process
from manageable_snapshots.standalone import volumes
from manageable_snapshots.tests.unit.volume import base
from manageable_snapshots.volume import manager

OTHER = 'b' * 32
LIST = {'marker': None, 'limit': 10, 'offset': 0,
        'sort_keys': ['reference'], 'sort_dirs': ['asc']}
FOREIGN = {'user_id': 'x', 'project_id': OTHER, 'is_admin': False}


class TamperingTest(base.WorkerTestCase):

    def setUp(self):
        super().setUp()
        self.transport = in_process.get_transport(self.conf)
        self.manager = manager.Manager(
            self.conf, base.HOST, self.database, self.driver, self.locks,
            self.notifier)
        self.addCleanup(self.manager.stop, 0)
        servers = server.get_servers(
            self.conf, self.transport, base.HOST, [
                self.manager, volumes.Volumes(
                    self.conf, self.database, self.driver,
                    self.manager.inventory)])
        servers.start()
        self.addCleanup(servers.stop, 0)
        self.volume_id = self.volume()
        self.hold(self.volume_id)
        # As the API of a stock Cinder leaves it.
        self.snapshot_id = self.accepted(self.volume_id, ref=None)

    def call(self, method, context=None, version=versions.RPC_VERSION,
             **arguments):
        return messaging.get_rpc_client(
            self.transport,
            messaging.Target(topic=f'{versions.VOLUME_TOPIC}.{base.HOST}',
                             server='node', version=version),
            timeout=10).call(
                self.context.to_dict() if context is None else context,
                method, **arguments)

    def state(self):
        with self.database.reader(self.context) as session:
            return ([(row.status, row.progress, row.provider_id,
                      row.volume_size)
                     for row in session.query(models.Snapshot)],
                    [(row.status, row.deleted)
                     for row in session.query(models.Volume)],
                    [(usage.resource, usage.in_use)
                     for usage in session.query(models.QuotaUsage)],
                    dict(self.driver.held))

    def refused(self, method, kind='InvalidInput', **arguments):
        """What the error says; nothing has changed, and the worker lives."""
        before = self.state()
        error = self.assertRaises(
            messaging.RemoteError, self.call, method, **arguments)
        self.assertEqual(kind, error.exc_type)
        self.assertEqual(before, self.state())
        self.assertEqual(1, len(self.call('get_manageable_snapshots',
                                          **LIST)))
        return error.value

    def snapshot(self, **changes):
        return {**objects.snapshot(self.row(self.snapshot_id), {}),
                **{f'versioned_object.{name}': value
                   for name, value in changes.items()}}

    def test_versions_that_nobody_speaks(self):
        for version in ('2.0', '4.0', '3.999', '1.0'):
            with self.subTest(version=version):
                self.refused('manage_existing_snapshot', 'UnsupportedVersion',
                             version=version, snapshot=self.snapshot(),
                             ref={'source-name': 'old'})

    def test_a_version_that_is_none(self):
        self.refused('get_manageable_snapshots', 'ValueError', version='x',
                     **LIST)

    def test_what_is_no_method(self):
        for method in ('resume', 'stop', 'target', 'inventory', '__init__',
                       '_take_up', 'x' * 100000, ''):
            with self.subTest(method=method[:20]):
                self.refused(method, 'NoSuchMethod')

    def test_arguments_that_are_missing_or_too_many(self):
        self.assertIn('snapshot', self.refused(
            'manage_existing_snapshot', ref='old'))
        self.assertIn('more', self.refused(
            'manage_existing_snapshot', snapshot=self.snapshot(), more=1))
        self.assertIn('sort_keys', self.refused(
            'get_manageable_snapshots', marker=None, limit=1, offset=0))

    def test_objects_that_are_no_snapshot(self):
        for value in (None, 7, [], '', 'x' * 100000, {}, {'id': None},
                      {'id': 7}, {'id': "' OR 1=1"}, [self.snapshot()],
                      self.snapshot(name='Volume'),
                      self.snapshot(name='Consumer'), self.snapshot(name=7),
                      self.snapshot(namespace='nova'),
                      self.snapshot(version='2.0'),
                      self.snapshot(version=1), self.snapshot(data=None),
                      self.snapshot(data={}),
                      self.snapshot(data={'id': ['x']})):
            with self.subTest(value=str(value)[:60]):
                self.refused('manage_existing_snapshot', snapshot=value,
                             ref={'source-name': 'old'})

    def test_objects_that_are_no_volume(self):
        for method in ('create_volume', 'delete_volume'):
            self.assertIn('not a Volume', self.refused(
                method, volume=self.snapshot()))

    def test_a_page_that_cannot_be(self):
        for name, value in (
                ('limit', '10'), ('limit', -1), ('limit', True),
                ('limit', 1.5), ('offset', []), ('offset', -1),
                ('sort_keys', None), ('sort_keys', 'size'),
                ('sort_keys', ['host']), ('sort_keys', [['size']]),
                ('sort_dirs', {'asc': 1}), ('sort_dirs', []),
                ('marker', 7), ('marker', ['x']), ('marker', '{'),
                ('marker', {'source-name': 'x' * 100000}),
                ('pool', 7), ('pool', ['x']), ('source_name', 7),
                ('volume_id', []), ('safe_to_manage', 'yes'),
                ('marker_size', 'x')):
            with self.subTest(name=name, value=str(value)[:30]):
                self.refused('get_manageable_snapshots',
                             **{**LIST, name: value})

    def test_contexts_that_are_none(self):
        for context in (
                {'project_id': 7}, {'user_id': ['x']}, {'roles': 'admin'},
                {'roles': [7]}, {'is_admin': 'yes'}, {'is_admin': 1},
                {'timestamp': 'yesterday'}, {'timestamp': 7},
                {'service_catalog': 'x'}, {'request_id': 'x' * 1000},
                {'request_id': 'req-1\nERROR forged'},
                {'user_id': '\x1b[2J'}, {'auth_token': 'x' * 100000},
                {'project_name': '\ud800'}):
            with self.subTest(context=str(context)[:40]):
                self.assertIn('the context of the request', self.refused(
                    'manage_existing_snapshot', context=context,
                    snapshot=self.snapshot(), ref={'source-name': 'old'}))
        self.assertNotIn('forged', self.log.output)

    def test_a_context_of_another_project(self):
        snapshot = self.snapshot()
        for method, arguments in (
                ('manage_existing_snapshot',
                 {'snapshot': snapshot, 'ref': {'source-name': 'old'}}),
                ('delete_snapshot', {'snapshot': snapshot}),
                ('delete_volume', {'volume': {'id': self.volume_id}})):
            with self.subTest(method=method):
                self.assertIn("belongs to another project", self.refused(
                    method, context=FOREIGN, **arguments))

    def test_a_context_of_nobody(self):
        self.refused('manage_existing_snapshot', context={},
                     snapshot=self.snapshot(), ref={'source-name': 'old'})

    def test_a_row_that_is_not_there_or_not_waiting(self):
        self.change(self.snapshot_id, status='available')
        before = self.state()
        for snapshot_id in (self.snapshot_id, self.new_id()):
            self.assertEqual(snapshot_id, self.call(
                'manage_existing_snapshot', snapshot={'id': snapshot_id},
                ref={'source-name': 'old'}))
        self.assertEqual(before, self.state())

    def test_a_reference_of_no_length(self):
        name = 'x' * 10 ** 7
        running = threading.Event()
        get_size = self.driver.manage_existing_snapshot_get_size
        self.driver.manage_existing_snapshot_get_size = (
            lambda *arguments: (running.set(), get_size(*arguments))[1])
        self.call('manage_existing_snapshot', snapshot=self.snapshot(),
                  ref={'source-name': name})
        self.assertTrue(running.wait(30))
        self.assertTrue(self.manager.stop(30))
        self.assertEqual('error', self.row(self.snapshot_id).status)
        self.assertEqual({(f'volume-{self.volume_id}', 'old'): 1},
                         self.driver.held)
        self.assertLess(len(self.log.output), 10000)
