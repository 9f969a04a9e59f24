# SPDX-License-Identifier: Apache-2.0

"""Servers that go away for a while, with clients who go on asking."""

import contextlib
import itertools
import os
import threading
import time
import uuid

import sqlalchemy as sa

from manageable_snapshots.tests.integration import cinder
from manageable_snapshots.tests.integration.faults import deployment
from manageable_snapshots.tests.integration.faults import in_cinder
from manageable_snapshots.tests.integration.faults import rig
from manageable_snapshots.tests.integration.faults import standalone
from manageable_snapshots.tests.integration import servers

#: seconds; 30 and 90 take a while
OUTAGE = deployment.setting('FAULTS_OUTAGE', 5.0)

CLIENTS = 8

#: seconds beyond the timeout; a machine that is busy with something else takes
#: more
SLACK = deployment.setting('FAULTS_SLACK', 1.0)

#: seconds in which each answer must be there
LIMITS = {
    'POST': max(deployment.RPC_TIMEOUT, deployment.DATABASE_TIMEOUT) + SLACK,
    'GET': deployment.OP_TIMEOUT + SLACK,
}


class Clients:
    """Ask for adoptions and for lists until they are told to stop.

    :ivar answers: method, status, seconds, and when it was asked for
    """

    def __init__(self, deployed, foreign):
        self._deployment = deployed
        self._foreign = itertools.cycle(foreign)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.answers = []
        self._threads = [
            threading.Thread(target=self._ask, daemon=True)
            for _ in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception):
        self._stop.set()
        for thread in self._threads:
            thread.join(deployment.PATIENCE)

    def wait_for_success(self):
        """Until one more of each kind has been done."""
        with self._lock:
            before = len(self.answers)
        deployment.wait_for(lambda: {('POST', True), ('GET', True)} <= {
            (method, status in (200, 202, 400)) for method, status, *_times
            in self.answers[before:]})

    def _ask(self):
        for number in itertools.count():
            if self._stop.is_set():
                return
            since = time.monotonic()
            if number % 4 == 0:
                method = 'GET'
                status, _answer = self._deployment.ask(
                    'GET', f'manageable_snapshots?host='
                    f'{self._deployment.host}&limit=10')
            else:
                method = 'POST'
                with self._lock:
                    foreign = next(self._foreign)
                status, _answer = self._deployment.adopt(foreign)
            with self._lock:
                self.answers.append(
                    (method, status, time.monotonic() - since, since))
            # Some pace: the machine is there for the others as well.
            self._stop.wait(0.1)


class Outages:

    def survive(self, what, outage):
        """Go on during an outage, and afterwards without a restart.

        :param outage: a context manager
        """
        foreign = self.deployment.foreign(2, 60)
        with Clients(self.deployment, foreign) as clients:
            clients.wait_for_success()
            began = time.monotonic()
            with outage:
                threading.Event().wait(OUTAGE)
            clients.wait_for_success()
        self.assertEqual([], [
            (method, status, seconds, since - began)
            for method, status, seconds, since in clients.answers
            if status not in (200, 202, 400, 503, 504)
            or seconds > LIMITS[method]], what)
        for process in self.deployment.processes:
            self.assertTrue(process.runs(), process.log)
        [late] = self.deployment.take(foreign[0].volume_id, ['late'])
        self.deployment.insist(late)
        self.assert_sound(what)
        self.assert_adopted([late], what)
        # What was accepted waits for the server's return.
        self.assertEqual([], [
            reason for reason in self.reasons()
            if not reason.startswith('The reference is invalid: ')], what)

    def reasons(self):
        """Why adoptions have failed."""
        engine = sa.create_engine(self.deployment.database_url)
        with engine.connect() as connection:
            reasons = list(connection.scalars(sa.text(
                "SELECT value FROM snapshot_metadata WHERE deleted = 0 AND"
                " `key` = 'manage_error'")))
        engine.dispose()
        return reasons


class Broker(Outages):
    """:ivar url: the server's"""

    def test_it_goes_away(self):
        port = sa.engine.make_url(self.url).port
        pid = rig.listener(port)
        broker = rig.Server(pid, rig.environ(pid)['HOME'],
                            lambda: rig.listens(port))
        self.survive('stopped', broker.stopped())
        self.survive('killed', broker.killed())
        self.survive('reset', resets(self.proxy))


class TestBroker(Broker, standalone.TestCase):

    WORKERS = 2

    def deploy(self):
        self.url = servers.url('rabbitmq')
        self.proxy = self.useFixture(servers.Proxy(self.url))
        return standalone.Deployment(
            self.database_url, self.proxy.url, self.WORKERS)


class TestBrokerInCinder(Broker, in_cinder.TestCase):

    def deploy(self):
        self.url = cinder.stack().transport_url
        self.proxy = self.useFixture(servers.Proxy(self.url))
        return in_cinder.Deployment(transport_url=self.proxy.url)


class Database(Outages):
    """:ivar url: the database's"""

    def way(self):
        """The URL of another way to the database."""
        # Else what was committed may go with the server.
        self.execute('SET GLOBAL innodb_flush_log_at_trx_commit = 1')
        self.addCleanup(self.execute, 'SET GLOBAL read_only = 0')
        url = sa.engine.make_url(self.url)
        # The user of the tests may write to a read-only server.
        user = f"'{uuid.uuid4().hex[:8]}'@'127.0.0.1'"
        self.execute(f"CREATE USER {user} IDENTIFIED BY 'test'",
                     f'GRANT ALL ON {url.database}.* TO {user}')
        self.addCleanup(self.execute, f'DROP USER {user}')
        self.proxy = self.useFixture(servers.Proxy(
            url.set(username=user.split("'")[1], password='test')
            .render_as_string(hide_password=False)))
        return self.proxy.url

    def test_it_goes_away(self):
        database = rig.server(
            sa.engine.make_url(self.url).port, '--datadir')
        self.survive('stopped', database.stopped())
        self.survive('killed', database.killed())
        self.survive('reset', resets(self.proxy))
        self.survive('read-only', self.read_only())

    @contextlib.contextmanager
    def read_only(self):
        """The database as it is after a failover to a copy of it."""
        self.execute('SET GLOBAL read_only = 1')
        try:
            yield
        finally:
            self.execute('SET GLOBAL read_only = 0')

    def execute(self, *statements):
        engine = sa.create_engine(self.url)
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()


class TestDatabase(Database, standalone.TestCase):

    WORKERS = 2

    def deploy(self):
        self.url = self.database_url
        return standalone.Deployment(
            self.url, servers.url('rabbitmq'), self.WORKERS,
            connection=self.way())


class TestDatabaseInCinder(Database, in_cinder.TestCase):

    def deploy(self):
        self.url = cinder.stack().database_url
        return in_cinder.Deployment(connection=self.way())


class TestCoordination(Outages, standalone.TestCase):

    WORKERS = 2

    def deploy(self):
        # A short time for each request of its, and a longer one for locks.
        return standalone.Deployment(
            self.database_url, servers.url('rabbitmq'), self.WORKERS,
            f"{servers.url('etcd')}&timeout=2&lock_timeout=10")

    def setUp(self):
        super().setUp()
        self.etcd = rig.server(
            sa.engine.make_url(servers.url('etcd')).port, '--data-dir')

    def assert_calm(self):
        """What is expected is no reason for a traceback."""
        for worker in self.deployment.workers:
            self.assertNotIn('Traceback', worker.log)

    def test_it_goes_away(self):
        self.survive('stopped', self.etcd.stopped())
        self.survive('killed', self.etcd.killed())
        self.assert_calm()

    def test_workers_start_without_it(self):
        foreign = self.deployment.foreign(2, 5)
        for outage in self.etcd.stopped(), self.etcd.killed():
            asked, foreign = foreign[:5], foreign[5:]
            with outage:
                old = list(self.deployment.workers)
                for worker in old:
                    self.assertEqual(0, worker.stop(), worker.log)
                for worker in [self.deployment.begin(each) for each in old]:
                    worker.logged('is ready')
                for each in asked:
                    self.assertEqual(202, self.deployment.insist(each))
                self.deployment.workers[0].logged('is put off')
            self.assert_sound()
            self.assert_adopted(asked)
        self.assert_calm()


class Ceph(Outages):

    def test_it_goes_away(self):
        pool = self.deployment.pool
        # What the OSD has is in its memory: it can be stopped, not killed.
        self.survive('OSD stopped', pool.stopped_osd())
        port = int(pool.cluster.conf_get('mon_host').split('/')[0]
                   .rpartition(':')[2])
        monitor = rig.Server(rig.listener(port), os.path.dirname(pool.conf),
                             lambda: rig.listens(port))
        self.survive('monitor stopped', monitor.stopped())
        self.survive('monitor killed', monitor.killed())


class TestCeph(Ceph, standalone.TestCase):

    WORKERS = 2


class TestCephInCinder(Ceph, in_cinder.TestCase):
    pass


@contextlib.contextmanager
def resets(proxy):
    """End the connections again and again, meanwhile."""
    done = threading.Event()

    def cut():
        while not done.wait(0.5):
            proxy.cut()

    thread = threading.Thread(target=cut, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(deployment.PATIENCE)
