# SPDX-License-Identifier: Apache-2.0

"""A worker's parts over a database of its own and a driver that obeys."""

import threading

import fixtures
from oslo_utils import uuidutils
from oslotest import base as test_base

from manageable_snapshots import conf as project_conf
from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import migration
from manageable_snapshots.db import models
from manageable_snapshots.db import quota
from manageable_snapshots.db import services
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volume_types
from manageable_snapshots.db import volumes
from manageable_snapshots.drivers import base
from manageable_snapshots import exception

HOST = 'node@dir'
PROJECT = 'a' * 32


class FakeDriver(base.SnapshotDriver):
    """Snapshots in a dict: (volume's name, name) → size in GiB."""

    NAME = 'fake'
    knows_volumes = True

    def __init__(self, conf, backend='dir'):
        super().__init__(conf, backend)
        self.held = {}
        self.renames = []
        self.failure = None
        self.failure_after = None
        self.pool = None
        self.before_rename = lambda: None

    def get_manageable_snapshots(self, cinder_snapshots, marker, limit,
                                 offset, sort_keys, sort_dirs):
        raise NotImplementedError

    def scan(self, cinder_snapshots):
        if self.failure:
            raise self.failure
        for (volume, name), size in self.held.items():
            yield base.BackendSnapshot(
                reference={'source-name': name,
                           'source-id': f'{volume}/{name}'},
                source_reference={'source-name': volume}, size=size,
                pool=self.pool)

    def is_adopted(self, snapshot):
        return (snapshot.volume_name, snapshot.name) in self.held

    def _find(self, snapshot, ref):
        key = (snapshot.volume_name, ref['source-name'])
        if key not in self.held:
            raise exception.ManageExistingInvalidReference(
                existing_ref=ref['source-name'], reason='there is none')
        return key

    def manage_existing_snapshot_get_size(self, snapshot, existing_ref):
        if self.failure:
            raise self.failure
        return self.held[self._find(snapshot, existing_ref)]

    def manage_existing_snapshot(self, snapshot, existing_ref):
        self.before_rename()
        key = self._find(snapshot, existing_ref)
        self.held[key[0], snapshot.name] = self.held.pop(key)
        self.renames.append((key[1], snapshot.name))
        if self.failure_after:
            raise self.failure_after
        return {'provider_id': 'of-the-driver', 'status': 'not yours'}

    def unmanage_snapshot(self, snapshot):
        pass


class Locks:
    """A coordinator of one process."""

    def __init__(self):
        self.locks = {}
        self._guard = threading.Lock()

    def get_lock(self, name):
        with self._guard:
            return self.locks.setdefault(name, _Lock())


class _Lock:
    def __init__(self):
        self._lock = threading.Lock()

    def acquire(self, blocking):
        return self._lock.acquire(timeout=blocking)

    def release(self):
        self._lock.release()
        return True


class Notifier:
    """Keeps what it was told."""

    is_on = True

    def __init__(self):
        self.sent = []

    def snapshot(self, context, event, payload):
        self.sent.append((event, payload))

    @property
    def events(self):
        return [event for event, _payload in self.sent]


class WorkerTestCase(test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.conf = project_conf.new()
        self.conf([], default_config_files=[])
        self.conf.set_override(
            'state_path', self.useFixture(fixtures.TempDir()).path)
        migration.sync(self.conf)
        self.database = engine.Database(self.conf)
        self.addCleanup(self.database.dispose)
        self.context = context.RequestContext(
            user_id='u', project_id=PROJECT, is_admin=True, overwrite=False)
        self.driver = FakeDriver(self.conf)
        self.notifier = Notifier()
        self.locks = Locks()

    def write(self):
        return self.database.writer(self.context)

    def volume(self, size=1, host=f'{HOST}#pool'):
        with self.write() as session:
            return volumes.create(session, {
                'host': host, 'size': size, 'status': 'available',
                'project_id': PROJECT, 'user_id': 'u'}).id

    def accepted(self, volume_id, ref={'source-name': 'old'}, **values):
        """A row as the API makes it."""
        with self.write() as session:
            volume = volumes.get(session, self.context, volume_id)
            quota.charge(
                session, self.conf, self.context, project_id=PROJECT,
                volume_type=volume_types.get(session, volume.volume_type_id),
                snapshots=1, gigabytes=volume.size, size=volume.size)
            return snapshots.create(
                session, self.context, volume, name='s', description=None,
                metadata={'k': 'v'}, reference=ref, **values).id

    def hold(self, volume_id, name='old', size=1):
        self.driver.held[f'volume-{volume_id}', name] = size

    def row(self, snapshot_id):
        with self.database.reader(self.context) as session:
            return snapshots.get(session, self.context, snapshot_id)

    def metadata(self, snapshot_id):
        with self.database.reader(self.context) as session:
            return snapshots.metadata(session, snapshot_id)

    def change(self, snapshot_id, **columns):
        with self.write() as session:
            self.assertTrue(snapshots.update(session, snapshot_id, **columns))

    def usage(self, resource):
        with self.database.reader(self.context) as session:
            return session.query(models.QuotaUsage).filter_by(
                project_id=PROJECT, resource=resource).one().in_use

    def service(self):
        with self.database.reader(self.context) as session:
            return services.get_volume_service(session, host=HOST)

    @staticmethod
    def new_id():
        return uuidutils.generate_uuid()
