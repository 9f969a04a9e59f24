# SPDX-License-Identifier: Apache-2.0

"""Each half of the project with each half of a real Cinder.

Every combination lists, adopts, refuses to adopt, and lets go.
"""

import os
import uuid

import fixtures
from oslo_utils import units

from manageable_snapshots.tests.integration import cinder
from manageable_snapshots.tests.integration import test_standalone

PIPELINE = os.path.join(
    cinder.ROOT, 'etc', 'manageable_snapshots', 'api-paste.ini')


class Combination:
    """What a user can do, whoever answers."""

    #: where a reference that is managed already is refused: api, worker
    REFUSED_BY = 'api'
    HOST = cinder.HOST
    #: of the API that is asked for this extension; None: Cinder's
    url = None

    def setUp(self):
        super().setUp()
        self.volume_id = self.make_volume()

    def make_volume(self):
        return self.stack.volume()

    def put(self, *names):
        self.stack.put(self.volume_id, *names)

    def held(self):
        return self.stack.held(self.volume_id)

    def adopt(self, ref):
        return self.stack.adopt(self.volume_id, ref, url=self.url)

    def settled(self, snapshot_id, status):
        return self.stack.wait('snapshot', snapshot_id, status)

    def adopted(self, name):
        """The id of a snapshot that was adopted."""
        status, snapshot = self.adopt({'source-name': name})
        self.assertEqual(202, status, snapshot)
        self.assertEqual('creating', snapshot['status'])
        self.settled(snapshot['id'], 'available')
        return snapshot['id']

    def listed(self):
        """The entries of this test's volume, by name."""
        entries = [entry for page in self.stack.pages(
            f'manageable_snapshots/detail?host={self.HOST}', url=self.url)
            for entry in page]
        return {
            entry['reference']['source-name']: entry for entry in entries
            if entry['source_reference'].get('source-name')
            == f'volume-{self.volume_id}'}

    def test_list(self):
        self.put('old-1', 'old-2')
        snapshot_id = self.stack.snapshot(self.volume_id)
        entries = self.listed()
        self.assertEqual({'old-1', 'old-2', f'snapshot-{snapshot_id}'},
                         set(entries))
        self.assertEqual(
            (True, None, 1), tuple(entries['old-1'][key] for key in (
                'safe_to_manage', 'cinder_id', 'size')))
        self.assertEqual(
            (False, snapshot_id, 'already managed'),
            tuple(entries[f'snapshot-{snapshot_id}'][key] for key in (
                'safe_to_manage', 'cinder_id', 'reason_not_safe')))

    def test_adopt(self):
        self.put('old')
        snapshot_id = self.adopted('old')
        self.assertEqual({f'snapshot-{snapshot_id}'}, self.held())
        self.stack.ask('DELETE', f'snapshots/{snapshot_id}')
        self.settled(snapshot_id, None)
        self.assertEqual(set(), self.held())

    def test_a_name_that_is_not_there_is_refused(self):
        status, snapshot = self.adopt({'source-name': 'gone'})
        self.assertEqual(202, status, snapshot)
        shown = self.settled(snapshot['id'], 'error')
        if self.is_ours():
            self.assertIn('is invalid', shown['metadata']['manage_error'])

    def test_what_is_managed_is_refused(self):
        snapshot_id = self.stack.snapshot(self.volume_id)
        status, answer = self.adopt(
            {'source-name': f'snapshot-{snapshot_id}'})
        if self.REFUSED_BY == 'api':
            self.assertEqual(400, status, answer)
            self.assertIn('already managed', answer['badRequest']['message'])
        else:
            self.assertEqual(202, status, answer)
            shown = self.settled(answer['id'], 'error')
            self.assertIn(f'{snapshot_id} manages it already',
                          shown['metadata']['manage_error'])
        self.assertEqual({f'snapshot-{snapshot_id}'}, self.held())
        self.settled(snapshot_id, 'available')

    def test_unmanage(self):
        self.put('old')
        snapshot_id = self.adopted('old')
        self.assertEqual(202, self.stack.ask(
            'POST', f'snapshots/{snapshot_id}/action',
            {'os-unmanage': {}})[0])
        self.settled(snapshot_id, None)
        self.assertEqual({f'snapshot-{snapshot_id}'}, self.held())
        if self.is_ours():
            cinder.wait_for(
                lambda: f'unmanaged {snapshot_id}' in self.worker_log())
        again = self.adopted(f'snapshot-{snapshot_id}')
        self.assertEqual({f'snapshot-{again}'}, self.held())

    def is_ours(self):
        """Whether our worker adopts."""
        return 'manager' in self.PARTS

    def worker_log(self):
        return self.stack.log('volume')


class FilterTest(Combination, cinder.TestCase):
    """Our filter in Cinder's API; Cinder's volume service."""

    PARTS = ('filter',)


class ManagerTest(Combination, cinder.TestCase):
    """Cinder's API; our manager in Cinder's volume service."""

    PARTS = ('manager',)
    REFUSED_BY = 'worker'


class BothTest(Combination, cinder.TestCase):
    """Our filter in Cinder's API; our manager in its volume service."""


class OwnAPITest(Combination, cinder.TestCase):
    """Our own API beside Cinder's; Cinder's volume service."""

    PARTS = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = fixtures.TempDir()
        folder.setUp()
        cls.addClassCleanup(folder.cleanUp)
        extra = os.path.join(folder.path, 'api.conf')
        with open(extra, 'w') as file:
            # Cinder's file has Cinder's pipeline in it.
            file.write('[DEFAULT]\n'
                       f'api_paste_config = {PIPELINE}\n'
                       'osapi_volume_listen = 127.0.0.1\n'
                       'osapi_volume_listen_port = 0\n')
        api = test_standalone.Process(
            folder.path, 'manageable-snapshots-api',
            '--config-file', cls.stack.configuration, '--config-file', extra)
        api.setUp()
        cls.addClassCleanup(api.cleanUp)
        cls.url = api.logged('Listening on ')


class OwnWorkerTest(Combination, cinder.TestCase):
    """Cinder's API and scheduler; our own worker, another backend."""

    PARTS = ()
    REFUSED_BY = 'worker'

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = fixtures.TempDir()
        folder.setUp()
        cls.addClassCleanup(folder.cleanUp)
        name = f'node-{uuid.uuid4().hex[:8]}'
        cls.HOST = f'{name}@directory'
        cls.directory = os.path.join(folder.path, 'images')
        extra = os.path.join(folder.path, 'volume.conf')
        with open(extra, 'w') as file:
            file.write(f'[DEFAULT]\n'
                       f'host = {name}\n'
                       'enabled_backends = directory\n'
                       '[directory]\n'
                       'volume_backend_name = directory\n'
                       f'directory_path = {cls.directory}\n')
        cls.worker = test_standalone.Process(
            folder.path, 'manageable-snapshots-volume',
            '--config-file', cls.stack.configuration, '--config-file', extra)
        cls.worker.setUp()
        cls.addClassCleanup(cls._forget)
        cls.addClassCleanup(cls.worker.cleanUp)
        cls.worker.logged('is ready')
        status, body = cls.stack.ask('POST', 'types', {'volume_type': {
            'name': name,
            'extra_specs': {'volume_backend_name': 'directory'}}})
        assert status == 200, body
        cls.type = name
        cinder.wait_for(cls._is_known)

    @classmethod
    def _is_known(cls):
        _status, body = cls.stack.ask('GET', 'scheduler-stats/get_pools')
        return any(pool['name'].startswith(cls.HOST)
                   for pool in body['pools'])

    @classmethod
    def _forget(cls):
        cls.stack.clear()
        # Cinder's scheduler would go on asking for it.
        cls.stack.execute(
            f"DELETE FROM services WHERE host = '{cls.HOST}'")

    def make_volume(self):
        return self.stack.volume(volume_type=self.type)

    def put(self, *names):
        for name in names:
            with open(os.path.join(self._snapshots(), name), 'w') as file:
                file.truncate(units.Gi)

    def held(self):
        return set(os.listdir(self._snapshots()))

    def _snapshots(self):
        return os.path.join(self.directory, 'snapshots',
                            f'volume-{self.volume_id}')

    def is_ours(self):
        return True

    def worker_log(self):
        return self.worker.log

    def test_delete_volume(self):
        self.stack.ask('DELETE', f'volumes/{self.volume_id}')
        self.stack.wait('volume', self.volume_id, None)
        self.assertNotIn(f'volume-{self.volume_id}', os.listdir(
            os.path.join(self.directory, 'volumes')))
