# SPDX-License-Identifier: Apache-2.0

"""The database layer on real servers.

What holds on SQLite is tested again here where databases differ: in how they
compare, lock, count and keep time.
"""

import concurrent.futures
import re
import threading
import time

from alembic import command
import sqlalchemy as sa

from manageable_snapshots.db import audit
from manageable_snapshots.db import engine
from manageable_snapshots.db import migration
from manageable_snapshots.db import models
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots.tests.integration import servers
from manageable_snapshots.tests.unit.db import base
from manageable_snapshots.tests.unit.db import test_audit
from manageable_snapshots.tests.unit.db import test_migration
from manageable_snapshots.tests.unit.db import test_quota
from manageable_snapshots.tests.unit.db import test_schema
from manageable_snapshots.tests.unit.db import test_services
from manageable_snapshots.tests.unit.db import test_snapshots
from manageable_snapshots.tests.unit.db import test_volumes

WAIT = 60
EMOJI = '\U0001f600'
OTHER_EMOJI = '\U0001f601'


class OnServer:
    """A test of the database on a server.

    :cvar SERVER: which
    """

    SERVER = ''

    def new_database(self) -> str:
        self.url = self.useFixture(servers.NewDatabase(self.SERVER)).url
        return self.url


class OnMariaDB(OnServer):
    SERVER = 'mariadb'


class OnPostgreSQL(OnServer):
    SERVER = 'postgresql'


class TransactionTests(OnServer):
    """What several transactions do to each other."""

    def test_a_count_sees_what_others_have_committed_meanwhile(self):
        with self.database.writer(self.admin) as session:
            self.assertEqual({}, volumes.count_by_host(session))
            with concurrent.futures.ThreadPoolExecutor() as pool:
                pool.submit(self.add_volume).result(WAIT)
            self.assertEqual({base.BACKEND: 1},
                             volumes.count_by_host(session))

    def test_a_locked_row_is_waited_for(self):
        volume = self.add_volume(size=0)
        meet = threading.Barrier(4)

        def grow():
            context = self.context.elevated()
            meet.wait(WAIT)
            for _ in range(5):
                with self.database.writer(context) as session:
                    size = volumes.get(session, context, volume.id,
                                       for_update=True).size
                    volumes.update(session, volume.id, size=size + 1)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for result in [pool.submit(grow) for _ in range(4)]:
                result.result(WAIT)
        self.assertEqual(20, self.find(models.Volume, volume.id).size)

    def test_a_locked_row_is_not_waited_for_without_end(self):
        volume = self.add_volume()
        self.conf.set_override('db_timeout', 2, group='manageable_snapshots')
        hasty = engine.Database(self.conf)
        self.addCleanup(hasty.dispose)

        def lock():
            context = self.admin.elevated()
            with hasty.writer(context) as session:
                volumes.get(session, context, volume.id, for_update=True)

        with self.database.writer(self.admin) as session:
            volumes.get(session, self.admin, volume.id, for_update=True)
            with concurrent.futures.ThreadPoolExecutor() as pool:
                self.assertRaises(exception.ServiceUnavailable,
                                  pool.submit(lock).result, WAIT)
        lock()

    def test_two_that_wait_for_each_other_both_succeed_in_the_end(self):
        rows = [self.add_volume(size=0).id, self.add_volume(size=0).id]
        meet = threading.Barrier(2)
        tries = []

        @engine.retry
        def grow(context, ids):
            tries.append(ids)
            with self.database.writer(context) as session:
                for number, volume_id in enumerate(ids):
                    size = volumes.get(session, context, volume_id,
                                       for_update=True).size
                    volumes.update(session, volume_id, size=size + 1)
                    if not number and len(tries) <= 2:
                        meet.wait(WAIT)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for result in [pool.submit(grow, self.admin.elevated(), ids)
                           for ids in (rows, rows[::-1])]:
                result.result(WAIT)
        self.assertGreater(len(tries), 2)
        for volume_id in rows:
            self.assertEqual(2, self.find(models.Volume, volume_id).size)


class AwayTests(OnServer):
    """The server does not answer."""

    # [manageable_snapshots] db_timeout, and what Python may take besides.
    TIMEOUT = 4
    SLACK = 2

    def setUp(self):
        super().setUp()
        self.volume = self.add_volume()
        self.proxy = self.useFixture(servers.Proxy(self.url))
        self.conf.set_override('connection', self.proxy.url,
                               group='database')
        self.conf.set_override('db_timeout', self.TIMEOUT,
                               group='manageable_snapshots')
        self.database.dispose()
        self.database = engine.Database(self.conf)
        self.addCleanup(self.database.dispose)

    def _read(self):
        with self.database.reader(self.admin) as session:
            return volumes.get(session, self.admin, self.volume.id).id

    def _assert_unavailable_in_time(self, function):
        start = time.monotonic()
        error = self.assertRaises(exception.ServiceUnavailable, function)
        self.assertLess(time.monotonic() - start, self.TIMEOUT + self.SLACK)
        self.assertEqual(503, error.code)

    def test_it_is_stopped_while_a_connection_waits_in_the_pool(self):
        self._read()
        self.proxy.freeze()
        self._assert_unavailable_in_time(self._read)
        self.proxy.thaw()
        self.assertEqual(self.volume.id, self._read())

    def test_it_is_stopped_before_there_is_a_connection(self):
        self.proxy.freeze()
        self._assert_unavailable_in_time(self._read)

    def test_it_is_stopped_during_a_transaction(self):
        def write():
            with self.database.writer(self.admin) as session:
                volumes.update(session, self.volume.id, size=99)
                self.proxy.freeze()
                volumes.get(session, self.admin, self.volume.id)

        self._assert_unavailable_in_time(write)
        self.proxy.thaw()
        self.proxy.cut()
        self.assertEqual(1, self.find(models.Volume, self.volume.id).size)

    def test_it_is_stopped_at_the_commit(self):
        def write():
            with self.database.writer(self.admin) as session:
                volumes.update(session, self.volume.id, size=99)
                self.proxy.freeze()

        self._assert_unavailable_in_time(write)

    def test_a_restart_goes_unnoticed(self):
        self._read()
        self.proxy.cut()
        self.assertEqual(self.volume.id, self._read())


class PlanTests(OnServer):
    """Which rows the server reads for what is asked of many."""

    BACKENDS = 50
    #: of each backend
    VOLUMES = 40
    #: of each volume
    SNAPSHOTS = 5

    def setUp(self):
        super().setUp()
        ids = [(models.new_id(), f'node{number}@store#pool')
               for number in range(self.BACKENDS)
               for _ in range(self.VOLUMES)]
        common = {'volume_type_id': 't', 'use_quota': True, 'deleted': False,
                  'project_id': base.PROJECT}
        with self.database.writer(self.admin) as session:
            session.execute(sa.insert(models.Volume), [
                {'id': volume_id, 'host': host, 'size': 1, **common}
                for volume_id, host in ids])
            session.execute(sa.insert(models.Snapshot), [
                {'id': models.new_id(), 'volume_id': volume_id,
                 'volume_size': 1, 'status': 'available', **common}
                for volume_id, _host in ids
                for _ in range(self.SNAPSHOTS)])
        with self.database.engine.begin() as connection:
            for table in 'volumes', 'snapshots':
                connection.exec_driver_sql(self.ANALYZE.format(table))
        self.volume_id = ids[0][0]
        self.statements = self.useFixture(base.Statements())

    def _read_in_full(self, function, *arguments, **options):
        """The tables that are read from end to end, and the statements."""
        with self.database.reader(self.admin) as session:
            self.statements.count(lambda: list(
                function(session, *arguments, **options)))
        seen = list(self.statements.seen)
        self.assertNotEqual([], seen)
        with self.database.engine.connect() as connection:
            return {table for statement, parameters in seen
                    for table in self.full_scans(connection.exec_driver_sql(
                        'EXPLAIN ' + statement, parameters).all())}

    def test_a_look_for_what_is_being_adopted(self):
        self.assertEqual(set(), self._read_in_full(
            snapshots.creating_on, 'node7@store'))

    def test_what_is_being_adopted_of_a_volume(self):
        self.assertEqual(set(), self._read_in_full(
            snapshots.adopting, self.volume_id))

    def test_a_page_of_an_audit(self):
        with self.database.reader(self.admin) as session:
            [chunk] = audit.volume_ids(session, 'node7@store')
        self.assertEqual(self.VOLUMES, len(chunk))
        for options in ({'status': 'available'},
                        {'status': 'creating', 'older_than': 1},
                        {'status': 'error', 'failed': True}):
            self.assertNotIn('snapshots', self._read_in_full(
                audit.page, chunk, **options))

    def test_the_volumes_of_an_audit(self):
        self.assertEqual(set(), self._read_in_full(
            audit.volume_ids, 'node7@store'))

    def test_the_volumes_of_orphans(self):
        self.assertEqual(set(), self._read_in_full(
            audit.live_volumes, [self.volume_id, models.new_id()]))

    def test_nothing_is_locked(self):
        with self.database.writer(self.admin) as session:
            volumes.get(session, self.admin, self.volume_id, for_update=True)
            snapshots.create(session, self.admin, volumes.get(
                session, self.admin, self.volume_id), name=None,
                description=None, metadata=None, reference='old')
            session.execute(sa.update(models.Snapshot).values(progress='1%'))
            with concurrent.futures.ThreadPoolExecutor() as pool:
                # As it was before that, without waiting for the end.
                self.assertEqual(
                    [], pool.submit(self._look).result(WAIT))

    def _look(self):
        with self.database.reader(self.admin) as session:
            return snapshots.creating_on(session, 'node0@store')


class MariaDBPlanTestCase(PlanTests, OnMariaDB, base.TestCase):
    ANALYZE = 'ANALYZE TABLE {}'

    def full_scans(self, plan):
        return {row.table for row in plan
                if row.type in ('ALL', 'index')
                and not row.table.startswith('<')}


class PostgreSQLPlanTestCase(PlanTests, OnPostgreSQL, base.TestCase):
    ANALYZE = 'ANALYZE {}'

    def full_scans(self, plan):
        return set(re.findall(r'Seq Scan on (\w+)', str(plan))) - {
            # It has no row.
            'clusters'}


class MariaDBTransactionTestCase(TransactionTests, OnMariaDB, base.TestCase):

    def test_a_name_of_characters_that_cinders_tables_lack(self):
        with self.database.writer(self.admin) as session:
            session.execute(sa.text(
                'ALTER TABLE volumes MODIFY display_name VARCHAR(255) '
                'CHARACTER SET utf8mb3'))

        def create():
            with self.database.writer(self.admin) as session:
                self.volume = volumes.create(session, {'size': 1})
                volumes.create(session, {'size': 1, 'display_name': EMOJI})

        error = self.assertRaises(exception.InvalidInput, create)
        self.assertEqual(400, error.code)
        self.assertNotIn('INSERT', str(error))
        self.assertIsNone(self.find(models.Volume, self.volume.id))

    def test_names_that_differ_in_a_character_of_four_bytes(self):
        volume = self.add_volume(display_name=EMOJI)
        self.add_volume(display_name=OTHER_EMOJI)
        with self.database.reader(self.context) as session:
            found, = volumes.list_volumes(
                session, self.context, filters={'display_name': EMOJI})
        self.assertEqual((volume.id, EMOJI), (found.id, found.display_name))

    def test_a_name_that_is_too_long(self):
        self.assertRaises(exception.InvalidInput, self.add_volume,
                          display_name='x' * 256)

    def test_references_and_reasons_are_stored_all_the_same(self):
        reference = {'source-name': EMOJI}
        snapshot = self.add_snapshot(reference=reference)
        self.assertEqual(reference, snapshots.recorded_reference(
            self.find(models.Snapshot, snapshot.id)))
        with self.database.writer(self.admin) as session:
            snapshots.make_error(session, snapshot.id, EMOJI)
            self.assertEqual({'manage_error': '\ufffd'},
                             snapshots.metadata(session, snapshot.id))

    def test_sessions_are_set_up(self):
        with self.database.reader(self.admin) as session:
            self.assertEqual(
                ('READ-COMMITTED', 4),
                tuple(session.execute(sa.text(
                    'SELECT @@tx_isolation, @@innodb_lock_wait_timeout',
                )).one()))


class PostgreSQLTransactionTestCase(TransactionTests, OnPostgreSQL,
                                    base.TestCase):

    def test_a_name_with_a_nul(self):
        def create():
            with self.database.writer(self.admin) as session:
                self.volume = volumes.create(session, {'size': 1})
                volumes.create(session, {'size': 1, 'display_name': 'a\0'})

        error = self.assertRaises(exception.InvalidInput, create)
        self.assertEqual(400, error.code)
        self.assertNotIn('INSERT', str(error))
        self.assertIsNone(self.find(models.Volume, self.volume.id))

    def test_a_name_that_is_too_long(self):
        self.assertRaises(exception.InvalidInput, self.add_volume,
                          display_name='x' * 256)

    def test_a_name_of_any_other_character(self):
        volume = self.add_volume(display_name=EMOJI)
        self.assertEqual(
            EMOJI, self.find(models.Volume, volume.id).display_name)


class MariaDBAwayTestCase(AwayTests, OnMariaDB, base.TestCase):
    pass


class PostgreSQLAwayTestCase(AwayTests, OnPostgreSQL, base.TestCase):
    pass


class MariaDBMigrationTestCase(
        OnMariaDB, test_migration.MigrationTestCase):

    def narrow_columns(self):
        """Columns that cannot hold a character of four bytes."""
        with self.database.reader(self.admin) as session:
            return set(session.execute(sa.text(
                'SELECT table_name, column_name '
                'FROM information_schema.columns '
                "WHERE table_schema = DATABASE() "
                "AND character_set_name != 'utf8mb4' "
                f"AND table_name != '{migration.VERSION_TABLE}'")).all())

    def test_tables_hold_characters_of_four_bytes(self):
        # Although the database was made for utf8mb3.
        self.assertEqual(set(), self.narrow_columns())

    def test_the_tables_of_an_older_version_are_converted(self):
        self.conf.set_override('connection', self.new_database(),
                               group='database')
        self.database = engine.Database(self.conf)
        self.addCleanup(self.database.dispose)
        with self.database.writer(self.admin) as session:
            config = migration._config()
            config.attributes['connection'] = session.connection()
            command.upgrade(config, '2f6c0a1d9b34')
        self.assertIn(('volumes', 'display_name'), self.narrow_columns())
        volume = self.add_volume(display_name='caf\xe9')
        snapshot = self.add_snapshot(volume)

        migration.sync(self.conf)

        self.assertEqual(set(), self.narrow_columns())
        # Foreign keys are there as before.
        self.assertEqual([], base.differences(self.database))
        self.assertEqual(
            ('caf\xe9', volume.id),
            (self.find(models.Volume, volume.id).display_name,
             self.find(models.Snapshot, snapshot.id).volume_id))
        self.add_volume(display_name=EMOJI)


class PostgreSQLMigrationTestCase(
        OnPostgreSQL, test_migration.MigrationTestCase):
    pass


class MariaDBSchemaTestCase(OnMariaDB, test_schema.SchemaTestCase):
    pass


class PostgreSQLSchemaTestCase(OnPostgreSQL, test_schema.SchemaTestCase):
    pass


class MariaDBQuotaRaceTestCase(OnMariaDB, test_quota.RaceTestCase):
    pass


class PostgreSQLQuotaRaceTestCase(OnPostgreSQL, test_quota.RaceTestCase):
    pass


class MariaDBQuotaRecountTestCase(OnMariaDB, test_quota.RecountTestCase):
    pass


class PostgreSQLQuotaRecountTestCase(
        OnPostgreSQL, test_quota.RecountTestCase):
    pass


class MariaDBReservationTestCase(OnMariaDB, test_quota.ExpireTestCase):
    pass


class PostgreSQLReservationTestCase(
        OnPostgreSQL, test_quota.ExpireTestCase):
    pass


class MariaDBBackendTestCase(OnMariaDB, test_snapshots.BackendTestCase):
    pass


class PostgreSQLBackendTestCase(
        OnPostgreSQL, test_snapshots.BackendTestCase):
    pass


class MariaDBSnapshotTestCase(
        OnMariaDB, test_snapshots.LeaveCreatingTestCase):
    pass


class PostgreSQLSnapshotTestCase(
        OnPostgreSQL, test_snapshots.LeaveCreatingTestCase):
    pass


class MariaDBVolumeTestCase(OnMariaDB, test_volumes.ListTestCase):
    pass


class PostgreSQLVolumeTestCase(OnPostgreSQL, test_volumes.ListTestCase):
    pass


class MariaDBServiceTestCase(OnMariaDB, test_services.FindTestCase):
    pass


class PostgreSQLServiceTestCase(OnPostgreSQL, test_services.FindTestCase):
    pass


class MariaDBReportTestCase(OnMariaDB, test_services.ReportTestCase):
    pass


class PostgreSQLReportTestCase(OnPostgreSQL, test_services.ReportTestCase):
    pass


class MariaDBAuditPageTestCase(OnMariaDB, test_audit.PageTestCase):
    pass


class PostgreSQLAuditPageTestCase(OnPostgreSQL, test_audit.PageTestCase):
    pass


class MariaDBAuditRowTestCase(OnMariaDB, test_audit.RowTestCase):
    pass


class PostgreSQLAuditRowTestCase(OnPostgreSQL, test_audit.RowTestCase):
    pass


class MariaDBAuditQuotaTestCase(OnMariaDB, test_audit.QuotaTestCase):
    pass


class PostgreSQLAuditQuotaTestCase(OnPostgreSQL, test_audit.QuotaTestCase):
    pass
