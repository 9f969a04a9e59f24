# SPDX-License-Identifier: Apache-2.0

"""A database and a folder of images that do not agree, and their audit."""

import datetime
import json
import os

from oslo_utils import timeutils

from manageable_snapshots.cmd import manage
from manageable_snapshots import context
from manageable_snapshots.db import models
from manageable_snapshots.db import quota
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volume_types
from manageable_snapshots.db import volumes
from manageable_snapshots.tests.unit.cmd import base
from manageable_snapshots.tests.unit.db import base as db_base

BACKEND = 'node@images'
PROJECT = 'a-project'

LONG_AGO = timeutils.utcnow() - datetime.timedelta(days=2)

CONFIGURATION = """
[DEFAULT]
host = node
state_path = {folder}
enabled_backends = images
[database]
connection = {connection}
sqlite_synchronous = false
[images]
volume_driver = directory
"""


class TestCase(base.TestCase):
    """A test of a standalone deployment, empty.

    :ivar path: of its configuration file
    :ivar volume_id: of a volume that is there
    """

    def setUp(self):
        super().setUp()
        fixture = self.useFixture(db_base.DatabaseFixture())
        self.database = fixture.database
        self.conf = fixture.conf
        self.admin = context.get_admin_context()
        self.path = self.write(CONFIGURATION.format(
            folder=self.folder, connection=self.conf.database.connection))
        for name in ('volumes', 'snapshots', 'tmp'):
            os.makedirs(self.on_backend(name))
        self.volume_id = self.volume()

    def audit(self, *arguments, status=None):
        """The answer of an audit."""
        code, out, err = self.call(
            manage.main, '--config-file', self.path, 'audit', '--format',
            'json', *arguments)
        self.assertNotIn('Traceback', err)
        if status is not None:
            self.assertEqual(status, code, out + err)
        return json.loads(out)

    def kinds(self, *arguments, status=None):
        return [(breach['kind'], breach['snapshot_id']) for breach
                in self.audit(*arguments, status=status)['breaches']]

    def on_backend(self, *names):
        return os.path.join(self.folder, 'images', *names)

    def volume(self, host=f'{BACKEND}#images', **columns):
        with self.database.writer(self.admin) as session:
            volume_type = volume_types.default(session)
            quota.charge(session, self.conf, self.admin, project_id=PROJECT,
                         volume_type=volume_type, volumes=1, gigabytes=1)
            volume_id = volumes.create(session, {
                'host': host, 'size': 1, 'status': 'available',
                'project_id': PROJECT, 'user_id': 'u', **columns}).id
        self.put(f'volume-{volume_id}')
        return volume_id

    def row(self, volume_id=None, *, reference=None, charged=True,
            **columns):
        """A row, ``creating`` for long unless the columns say otherwise."""
        with self.database.writer(self.admin) as session:
            volume = volumes.get(
                session, self.admin, volume_id or self.volume_id)
            if charged:
                quota.charge(
                    session, self.conf, self.admin, project_id=PROJECT,
                    volume_type=volume_types.default(session), snapshots=1,
                    gigabytes=1)
            snapshot_id = snapshots.create(
                session, volume, volume, name='s', description=None,
                metadata={}, reference=reference).id
            snapshots.update(session, snapshot_id,
                             **{'created_at': LONG_AGO, **columns})
        return snapshot_id

    def available(self, volume_id=None, **columns):
        """A row with its snapshot."""
        snapshot_id = self.row(volume_id, status='available', **columns)
        self.hold(f'snapshot-{snapshot_id}', volume_id)
        return snapshot_id

    def put(self, volume_name):
        with open(self.on_backend('volumes', volume_name), 'w'):
            os.makedirs(self.on_backend('snapshots', volume_name),
                        exist_ok=True)

    def hold(self, name, volume_id=None, gibibytes=1):
        """Have the backend have a snapshot."""
        path = self.on_backend(
            'snapshots', f'volume-{volume_id or self.volume_id}', name)
        with open(path, 'wb') as file:
            file.truncate(gibibytes << 30)
        return path

    def find(self, snapshot_id):
        with self.database.reader(self.admin) as session:
            return session.get(models.Snapshot, snapshot_id)

    def metadata(self, snapshot_id):
        with self.database.reader(self.admin) as session:
            return snapshots.metadata(session, snapshot_id)

    def usages(self):
        with self.database.reader(self.admin) as session:
            return {row.resource: (row.in_use, row.reserved)
                    for row in session.query(models.QuotaUsage)}

    def everything(self):
        """All that an audit could change, in the database and below."""
        with self.database.reader(self.admin) as session:
            rows = [
                {column.name: getattr(row, column.key)
                 for column in row.__table__.columns}
                for model in (models.Snapshot, models.SnapshotMetadata,
                              models.QuotaUsage, models.Reservation)
                for row in session.query(model).order_by(model.id)]
        files = sorted(
            os.path.join(folder, name)
            for folder, _folders, names in os.walk(self.on_backend())
            for name in (*names, ''))
        return rows, files
