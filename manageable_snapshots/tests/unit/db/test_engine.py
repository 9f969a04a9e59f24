# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import os
import socket
import threading

import fixtures
from oslo_db import exception as db_exc
import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
import testscenarios

from manageable_snapshots import conf as configuration
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import timeouts
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.db import base

WAIT = 60


class TransactionTestCase(base.TestCase):

    def test_rows_stay_readable_after_the_transaction(self):
        volume = self.add_volume(display_name='a name')
        with self.database.reader(self.context) as session:
            volume = volumes.get(session, self.context, volume.id)
        self.assertEqual('a name', volume.display_name)

    def test_an_error_in_the_block_undoes_all(self):
        def fail():
            with self.database.writer(self.context) as session:
                volumes.create(session, {'project_id': base.PROJECT})
                raise exception.InvalidVolume(reason='no')

        self.assertRaises(exception.InvalidVolume, fail)
        with self.database.reader(self.context) as session:
            self.assertEqual(
                [], volumes.list_volumes(session, self.context))

    def test_a_transaction_inside_another_is_a_part_of_it(self):
        def fail():
            with self.database.writer(self.context) as outer:
                with self.database.writer(self.context) as inner:
                    volumes.create(inner, {'project_id': base.PROJECT})
                with self.database.reader(self.context) as reader:
                    self.assertEqual(
                        1, len(volumes.list_volumes(reader, self.context)))
                self.assertIs(outer, inner)
                raise exception.InvalidVolume(reason='no')

        self.assertRaises(exception.InvalidVolume, fail)
        with self.database.reader(self.context) as session:
            self.assertEqual(
                [], volumes.list_volumes(session, self.context))

    def test_updated_at_is_set_by_a_change(self):
        volume = self.add_volume()
        self.assertIsNone(volume.updated_at)
        with self.database.writer(self.context) as session:
            volumes.update(session, volume.id, status='error')
        self.assertIsNotNone(self.find(models.Volume, volume.id).updated_at)

    def test_a_missing_parent_is_noticed(self):
        def insert():
            with self.database.writer(self.context) as session:
                session.add(models.VolumeMetadata(
                    volume_id='nobody', key='k', value='v'))

        self.assertRaises(db_exc.DBReferenceError, insert)

    def test_a_commit_that_is_not_answered_may_have_been_done(self):
        def write(fails_at_commit):
            with self.database.writer(self.admin) as session:
                session.add(models.Volume(volume_type_id='x'))
                if not fails_at_commit:
                    raise exception.ServiceUnavailable('in the block')
                sa.event.listen(session.connection(), 'commit', lose)

        def lose(_connection):
            raise sa.exc.OperationalError('COMMIT', {}, ValueError('gone'))

        error = self.assertRaises(engine.CommitLost, write, True)
        self.assertEqual(503, error.code)
        error = self.assertRaises(exception.ServiceUnavailable, write, False)
        self.assertIsNot(engine.CommitLost, type(error))


class SQLiteTestCase(base.TestCase):

    def test_readers_do_not_wait_for_a_writer(self):
        with self.database.writer(self.admin) as session:
            volumes.create(session, {'project_id': base.PROJECT})
            with self.database.reader(self.context) as reader:
                self.assertIsNot(session, reader)
                self.assertEqual(
                    [], volumes.list_volumes(reader, self.context))

    def test_a_writer_waits_for_another_from_its_beginning(self):
        # Both read before they write: with less than a lock at the beginning
        # one of them would fail, or overwrite what the other counted.
        volume = self.add_volume(size=0)
        meet = threading.Barrier(4)

        def grow():
            meet.wait(WAIT)
            for _ in range(5):
                with self.database.writer(self.context.elevated()) as session:
                    size = volumes.get(session, self.admin, volume.id).size
                    volumes.update(session, volume.id, size=size + 1)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for result in [pool.submit(grow) for _ in range(4)]:
                result.result(WAIT)
        self.assertEqual(20, self.find(models.Volume, volume.id).size)

    def test_a_writer_waits_no_longer_than_it_may(self):
        url = self.conf.database.connection
        self.conf.set_override('connection', url + '?timeout=0.01',
                               group='database')
        hasty = engine.Database(self.conf)

        def write():
            with hasty.writer(self.context):
                self.fail('it did not wait')

        with self.database.writer(self.admin):
            self.assertRaises(exception.ServiceUnavailable, write)

    def test_a_database_in_memory(self):
        self.conf.set_override('connection', 'sqlite://', group='database')
        database = engine.Database(self.conf)
        with database.writer(self.context) as session:
            models.Base.metadata.create_all(session.connection())
            session.add(models.VolumeType(name='a type'))
        with database.reader(self.context) as session:
            self.assertEqual(
                ['a type'],
                session.scalars(sa.select(models.VolumeType.name)).all())

    def test_the_default_is_a_file_in_the_state_path(self):
        folder = self.useFixture(fixtures.TempDir()).path
        conf = configuration.new()
        conf([], default_config_files=[])
        conf.set_override('state_path', folder)
        with engine.Database(conf).writer(self.context) as session:
            models.Base.metadata.create_all(session.connection())
        self.assertIn('manageable_snapshots.sqlite', os.listdir(folder))


class MisconfiguredTestCase(base.TestCase):

    def _error(self, url):
        self.conf.set_override('connection', url, group='database')
        error = self.assertRaises(exception.ConfigurationError,
                                  engine.Database, self.conf)
        self.assertIn('connection', str(error))
        self.assertIn('database', str(error))
        return str(error)

    def test_not_a_url(self):
        self.assertNotIn('s3cret', self._error('user:s3cret@host'))

    def test_a_password_with_what_ends_it(self):
        for url in ('mysql+pymysql://user:s3c@ret@host:port/name',
                    'mysql+pymysql://user:s3c/ret@host/name',
                    'mysql+pymysql://user@host:s3cret/name'):
            with self.subTest(url=url):
                try:
                    self.conf.set_override(
                        'connection', url, group='database')
                    engine.Database(self.conf)
                except exception.ConfigurationError as error:
                    self.assertNotIn('s3c', str(error))

    def test_no_url(self):
        self._error(None)

    def test_a_driver_that_is_not_there(self):
        self.assertIn('nonesuch', self._error('nonesuch://host/name'))


class RetryTestCase(base.TestCase):

    def test_a_conflict_repeats_the_transaction(self):
        tries = []

        @engine.retry
        def create():
            with self.database.writer(self.context) as session:
                volume = volumes.create(
                    session, {'project_id': base.PROJECT})
                tries.append(volume.id)
                if len(tries) < 3:
                    raise db_exc.DBDeadlock()
            return volume.id

        volume_id = create()
        with self.database.reader(self.context) as session:
            rows = volumes.list_volumes(session, self.context)
        self.assertEqual([volume_id], [row.id for row in rows])
        self.assertEqual(3, len(tries))

    def test_an_end_to_it(self):
        @engine.retry
        def create():
            with self.database.writer(self.context):
                raise db_exc.DBDeadlock()

        self.useFixture(fixtures.MonkeyPatch('time.sleep', lambda _: None))
        self.assertRaises(exception.ServiceUnavailable, create)

    def test_other_errors_repeat_nothing(self):
        tries = []

        @engine.retry
        def create():
            tries.append(1)
            with self.database.writer(self.context):
                raise exception.ServiceUnavailable()

        self.assertRaises(exception.ServiceUnavailable, create)
        self.assertEqual([1], tries)


def _mysql(code, message):
    return sa_exc.OperationalError(
        'a statement', {'password': 's3cret'}, Exception(code, message))


class ErrorTestCase(testscenarios.WithScenarios, base.TestCase):
    """What becomes of a database's errors."""

    scenarios = [
        ('deadlock', {
            'error': db_exc.DBDeadlock(_mysql(1213, 'Deadlock found')),
            'expected': engine.Conflict}),
        ('duplicate', {
            'error': db_exc.DBDuplicateEntry(['id'], _mysql(1062, 'Dup')),
            'expected': engine.Conflict}),
        ('lock wait', {
            'error': db_exc.DBDeadlock(_mysql(1205, 'Lock wait timeout')),
            'expected': exception.ServiceUnavailable}),
        ('connection', {
            'error': db_exc.DBConnectionError(_mysql(2013, 'Lost')),
            'expected': exception.ServiceUnavailable}),
        ('no such database', {
            'error': db_exc.DBNonExistentDatabase('x', _mysql(1049, 'No')),
            'expected': exception.ServiceUnavailable}),
        ('access denied', {
            'error': _mysql(1045, 'Access denied'),
            'expected': exception.ServiceUnavailable}),
        ('pool', {
            'error': sa_exc.TimeoutError('QueuePool limit'),
            'expected': exception.ServiceUnavailable}),
        ('character', {
            'error': db_exc.DBDataError(_mysql(1366, 'Incorrect string')),
            'expected': exception.InvalidInput}),
        ('encoding', {
            'error': db_exc.DBInvalidUnicodeParameter(),
            'expected': exception.InvalidInput}),
        ('data', {
            'error': db_exc.DBError(sa_exc.DataError(
                'a statement', {}, Exception('value too long'))),
            'expected': exception.InvalidInput}),
        ('refused by the driver', {
            'error': db_exc.DBError(ValueError('NUL')),
            'expected': exception.InvalidInput}),
        ('unknown', {
            'error': db_exc.DBError(RuntimeError()),
            'expected': db_exc.DBError}),
    ]

    def test_error(self):
        log = self.useFixture(fixtures.FakeLogger())

        def fail():
            with self.database.writer(self.context):
                raise self.error

        error = self.assertRaises(self.expected, fail)
        self.assertIs(self.expected, type(error))
        if self.expected is not db_exc.DBError:
            self.assertNotIn('statement', str(error))
        self.assertNotIn('s3cret', log.output)


class UnfitValueTestCase(base.TestCase):

    def test_half_a_character(self):
        def create():
            self.add_volume(display_name='\ud800')

        error = self.assertRaises(exception.InvalidInput, create)
        self.assertEqual(400, error.code)
        with self.database.reader(self.admin) as session:
            self.assertEqual([], volumes.list_volumes(
                session, self.admin, all_projects=True))

    def test_a_number_of_too_many_bits(self):
        def create():
            self.add_volume(size=2 ** 70)

        self.assertRaises(exception.InvalidInput, create)


class SilentServerTestCase(testscenarios.WithScenarios, base.TestCase):
    """A server that is stopped: connections are made, and nothing comes."""

    scenarios = [
        ('mariadb', {'url': 'mysql+pymysql://u:p@127.0.0.1:{}/d'}),
        ('postgresql', {'url': 'postgresql+psycopg2://u:p@127.0.0.1:{}/d'}),
    ]

    def setUp(self):
        super().setUp()
        server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(server.close)
        self.conf.set_override(
            'connection', self.url.format(server.getsockname()[1]),
            group='database')
        self.conf.set_override('db_timeout', 2, group='manageable_snapshots')

    def test_it_is_not_waited_for(self):
        database = engine.Database(self.conf)

        def read():
            with database.reader(self.context) as session:
                session.execute(sa.text('SELECT 1'))

        with concurrent.futures.ThreadPoolExecutor() as pool:
            self.assertRaises(exception.ServiceUnavailable,
                              pool.submit(read).result, WAIT)


class AwayServerTestCase(base.TestCase):

    def test_a_port_where_nobody_listens(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
        self.conf.set_override(
            'connection', f'mysql+pymysql://u:s3cret@127.0.0.1:{port}/d',
            group='database')
        log = self.useFixture(fixtures.FakeLogger())

        def read():
            with engine.Database(self.conf).reader(self.context) as session:
                session.execute(sa.text('SELECT 1'))

        self.assertRaises(exception.ServiceUnavailable, read)
        self.assertIn('refused', log.output)
        self.assertNotIn('s3cret', log.output)


class WaiterTestCase(base.TestCase):
    """psycopg2 in our hands waits for a connection as it would by itself."""

    class psycopg2:
        class OperationalError(Exception):
            pass

        class extensions:
            POLL_OK, POLL_READ, POLL_WRITE = range(3)

    def test_until_the_connection_is_ready(self):
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        theirs.send(b'an answer')
        polls = self.psycopg2.extensions
        states = iter([polls.POLL_WRITE, polls.POLL_READ, polls.POLL_OK])

        class Connection:
            fileno = ours.fileno

            def poll(self):
                return next(states)

        timeouts._Waiter(self.psycopg2)(Connection())
        self.assertEqual([], list(states))

    def test_a_connection_that_is_not_ours_waits_as_it_did(self):
        waited = []
        connection = object()
        timeouts._Waiter(self.psycopg2, waited.append)(connection)
        self.assertEqual([connection], waited)

    def test_ours_waits_only_so_long_whatever_waited_before(self):
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)

        class Connection:
            fileno = ours.fileno
            longest_wait = 0.01

            def poll(self):
                return WaiterTestCase.psycopg2.extensions.POLL_READ

        wait = timeouts._Waiter(self.psycopg2, self.fail)
        error = self.assertRaises(self.psycopg2.OperationalError, wait,
                                  Connection())
        self.assertIn('did not answer within 0.01 seconds', str(error))
