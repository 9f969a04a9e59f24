# SPDX-License-Identifier: Apache-2.0

"""Requests of the API over real databases: lost commits, and locks."""

import threading

import sqlalchemy as sa

from manageable_snapshots.api import adoption
from manageable_snapshots.api import app
from manageable_snapshots.api import urls
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import volumes
from manageable_snapshots.standalone.api import urls as standalone_urls
from manageable_snapshots.tests.integration import servers
from manageable_snapshots.tests.unit.api import base

#: [manageable_snapshots] db_timeout
TIMEOUT = 4


class RequestTests:
    """The API on a server.

    :cvar SERVER: which
    """

    SERVER = ''

    def setUp(self):
        super().setUp()
        self.proxy = self.useFixture(servers.Proxy(self.url))
        self.conf.set_override('connection', self.proxy.url,
                               group='database')
        self.conf.set_override('db_timeout', TIMEOUT,
                               group='manageable_snapshots')
        through_proxy = engine.Database(self.conf)
        self.addCleanup(through_proxy.dispose)
        self.app = app.Application(
            self.conf, through_proxy, self.client,
            (*urls.MANAGEABLE_SNAPSHOTS, *standalone_urls.VOLUMES))
        self.service()
        self.volume_id = self.volume()
        self.volume_path = f'/volumes/{self.volume_id}'

    def new_database(self):
        self.url = self.useFixture(servers.NewDatabase(self.SERVER)).url
        return self.url

    def lose_commit(self):
        """Let the answer to the API's next commit of a change get lost."""
        fates = [self.proxy.lose_answer]

        def lose(connection):
            if fates and connection.get_execution_options().get('write'):
                fates.pop()()

        sa.event.listen(self.app.database.engine, 'commit', lose)

    def count(self, model):
        """How many rows there are, deleted ones included."""
        with self.database.reader(self.admin) as session:
            return session.scalar(
                sa.select(sa.func.count()).select_from(model))

    def assert_no_snapshot_is_left(self):
        # It was there: else the commit was not what got lost.
        self.assertEqual(1, self.count(models.Snapshot))
        self.assertEqual(
            [], self.ask('GET', '/snapshots')['snapshots'])
        self.assertEqual(0, self.usage('snapshots'))
        self.assertEqual([], self.client.sent)

    def test_nothing_is_left_of_an_adoption(self):
        self.lose_commit()
        self.adopt(self.volume_id, status=503)
        self.assert_no_snapshot_is_left()

    def test_nothing_is_left_of_a_snapshot(self):
        self.lose_commit()
        self.ask('POST', '/snapshots',
                 {'snapshot': {'volume_id': self.volume_id}}, status=503)
        self.assert_no_snapshot_is_left()

    def test_nothing_is_left_of_a_volume(self):
        self.lose_commit()
        self.ask('POST', '/volumes', {'volume': {'size': 1}}, status=503)
        self.assertEqual(2, self.count(models.Volume))
        self.assertEqual(
            [self.volume_id],
            [each['id'] for each in self.ask('GET', '/volumes')['volumes']])
        self.assertEqual([], self.client.sent)

    def test_a_commit_that_comes_late_is_waited_for(self):
        snapshot_id = models.new_id()
        pending = self.database.engine.connect()
        self.addCleanup(pending.close)
        change = pending.begin()
        pending.execute(sa.select(models.Volume.id).where(
            models.Volume.id == self.volume_id).with_for_update())
        pending.execute(sa.insert(models.Snapshot).values(
            id=snapshot_id, volume_id=self.volume_id, status='creating',
            progress='0%', project_id=base.PROJECT, volume_size=1,
            volume_type_id=self.volume_row(self.volume_id).volume_type_id,
            deleted=False, use_quota=True))
        undo = threading.Thread(target=adoption._withdraw_lost, args=(
            self.app, self.admin, self.volume_id, snapshot_id))
        undo.start()
        undo.join(0.5)
        self.assertTrue(undo.is_alive())
        change.commit()
        undo.join(30)
        self.assertFalse(undo.is_alive())
        self.assertEqual([], self.ask('GET', '/snapshots')['snapshots'])

    def test_a_volume_is_as_before_its_deletion(self):
        self.lose_commit()
        self.ask('DELETE', self.volume_path, status=503)
        row = self.volume_row(self.volume_id)
        self.assertEqual(('available', None),
                         (row.status, row.terminated_at))
        self.assertEqual([], self.client.sent)

    def test_a_snapshot_is_as_before_its_deletion(self):
        snapshot_id = self.snapshot(self.volume_id, status='error')
        self.lose_commit()
        self.ask('DELETE', f'/snapshots/{snapshot_id}', status=503)
        self.assertEqual('error', self.snapshot_row(snapshot_id).status)
        self.assertEqual([], self.client.sent)

    def test_who_may_not_waits_for_no_lock(self):
        snapshot_id = self.snapshot(self.volume_id)
        take = {'snapshot': {'volume_id': self.volume_id}}
        with self.database.writer(self.admin) as session:
            volumes.get(session, self.admin, self.volume_id, for_update=True)
            # With a lock, each would be 503 in the end.
            for requester, status in ((self.stranger, 404),
                                      (self.reader, 403)):
                self.ask('DELETE', self.volume_path, requester=requester,
                         status=status)
                self.ask('POST', '/snapshots', take, requester=requester,
                         status=status)
                self.ask('DELETE', f'/snapshots/{snapshot_id}',
                         requester=requester, status=status)
                self.adopt(self.volume_id, requester=requester,
                           status=status)

    def test_a_snapshot_of_another_projects_volume_locks_that_for_nobody(self):
        snapshot_id = self.snapshot(
            self.volume(project_id=base.OTHER_PROJECT))
        volume_id = self.snapshot_row(snapshot_id).volume_id
        with self.database.writer(self.admin) as session:
            volumes.get(session, self.admin, volume_id, for_update=True)
            self.ask('DELETE', f'/snapshots/{snapshot_id}', status=202,
                     requester=self.member)


class MariaDBRequestTestCase(RequestTests, base.ApiTestCase):

    SERVER = 'mariadb'


class PostgreSQLRequestTestCase(RequestTests, base.ApiTestCase):

    SERVER = 'postgresql'
