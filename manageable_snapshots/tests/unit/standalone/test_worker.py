# SPDX-License-Identifier: Apache-2.0

"""A worker process's life, over the in-process transport."""

import threading
import time
from unittest import mock

import fixtures
from oslotest import base as test_base

from manageable_snapshots import conf as project_conf
from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import migration
from manageable_snapshots.db import models
from manageable_snapshots.db import services
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots.drivers import directory
from manageable_snapshots import exception
from manageable_snapshots.rpc import client
from manageable_snapshots.rpc import objects
from manageable_snapshots.standalone import in_process
from manageable_snapshots.standalone import worker

LIST = {'marker': None, 'limit': 10, 'offset': None,
        'sort_keys': ['reference'], 'sort_dirs': ['asc']}


class ServiceTestCase(test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.path = self.useFixture(fixtures.TempDir()).path
        self.conf = project_conf.new()
        self.conf([], default_config_files=[])
        self.conf.set_override('state_path', self.path)
        self.conf.set_override('host', 'node')
        self.conf.set_override('enabled_backends', ['dir'])
        migration.sync(self.conf)
        self.database = engine.Database(self.conf)
        self.addCleanup(self.database.dispose)
        self.transport = in_process.get_transport(self.conf)
        self.context = context.get_admin_context()

    def worker(self):
        return worker.Worker(self.conf, self.database, self.transport)

    def service_row(self, host='node@dir'):
        with self.database.reader(self.context) as session:
            return services.get_volume_service(session, host=host)


class ServiceTest(ServiceTestCase):

    def test_it_answers_from_its_start_to_its_stop(self):
        worker = self.worker()
        worker.start()
        asked = client.VolumeClient(self.conf, self.transport)
        self.assertEqual([], asked.get_manageable_snapshots(
            self.context, 'node@dir', **LIST))
        self.assertTrue(worker.stop())

    def test_a_driver_that_makes_no_volumes_serves_too(self):
        self.worker()
        self.conf.set_override(
            'volume_driver',
            'manageable_snapshots.tests.unit.volume.base:FakeDriver', 'dir')
        worker = self.worker()
        worker.start()
        self.addCleanup(worker.stop)
        asked = client.VolumeClient(self.conf, self.transport)
        self.assertEqual([], asked.get_manageable_snapshots(
            self.context, 'node@dir', **LIST))

    def test_it_reports_that_it_is_alive(self):
        worker = self.worker()
        worker.start()
        self.addCleanup(worker.stop)
        row = self.service_row()
        self.assertTrue(services.is_up(row, 60))
        self.assertEqual(('3.20', '1.39'), (
            row.rpc_current_version, row.object_current_version))
        before = row.report_count
        worker.backends[0].report()
        self.assertEqual(before + 1, self.service_row().report_count)

    def test_it_reports_at_intervals(self):
        self.conf.set_override('report_interval', 1)
        worker = self.worker()
        reported = threading.Event()
        worker.start()
        self.addCleanup(worker.stop)
        # Only the periodic thread calls this one.
        worker.backends[0]._manager.resume = lambda: None
        report = worker.backends[0]._report

        def observed():
            report()
            reported.set()

        worker.backends[0]._report = observed
        self.assertTrue(reported.wait(30))

    def test_a_backend_may_have_a_host_of_its_own(self):
        self.conf.set_override('enabled_backends', ['dir', 'two'])
        worker = self.worker()
        self.conf.set_override('backend_host', 'elsewhere', 'two')
        worker = self.worker()
        self.assertEqual(['node@dir', 'elsewhere@two'],
                         [backend.host for backend in worker.backends])

    def test_without_a_backend_there_is_no_worker(self):
        self.conf.set_override('enabled_backends', [])
        error = self.assertRaises(exception.ConfigurationError, self.worker)
        self.assertIn('enabled_backends in section [DEFAULT]', error.msg)

    def test_a_wrong_option_of_a_backend_stops_the_start(self):
        worker = self.worker()
        self.conf.set_override('directory_path', '/proc/nowhere', 'dir')
        worker = self.worker()
        error = self.assertRaises(exception.ConfigurationError, worker.start)
        self.assertIn('directory_path in section [dir]', error.msg)

    def test_a_database_that_will_not_do_stops_the_start(self):
        models.Reservation.__table__.drop(self.database.engine)
        error = self.assertRaises(exception.ConfigurationError,
                                  self.worker().start)
        self.assertIn('lacks reservations', error.msg)

    def test_a_coordination_backend_that_is_none_stops_the_start(self):
        self.conf.set_override('backend_url', 'nonsense://', 'coordination')
        error = self.assertRaises(exception.ConfigurationError, self.worker)
        self.assertIn('backend_url in section [coordination]', error.msg)

    def test_a_password_in_what_is_no_url_stays_one(self):
        for url in ('mysql://user:s3c/ret@host/name',
                    'etcd3://user:s3cret@[host/'):
            self.conf.set_override('backend_url', url, 'coordination')
            error = self.assertRaises(
                exception.ConfigurationError, lambda: self.worker().start())
            self.assertIn('backend_url in section [coordination]', error.msg)
            self.assertNotIn('s3c', error.msg)

    def test_a_backend_that_is_away_at_the_start_is_tried_again(self):
        worker = self.worker()
        backend = worker.backends[0]
        set_up = backend._driver.do_setup

        def fail(context):
            raise OSError('no storage')

        backend._driver.do_setup = fail
        worker.start()
        self.addCleanup(worker.stop)
        self.assertRaises(exception.ServiceNotFound, self.service_row)
        backend.report()
        self.assertRaises(exception.ServiceNotFound, self.service_row)
        with mock.patch.object(backend._manager, 'resume') as resume, \
                mock.patch.object(backend._manager, 'give_up') as give_up:
            backend.resume()
        resume.assert_not_called()
        give_up.assert_called_once_with()
        backend._driver.do_setup = set_up
        backend.report()
        self.assertTrue(services.is_up(self.service_row(), 60))

    def test_expired_reservations_are_given_back(self):
        worker = self.worker()
        worker._expire_reservations()
        self.assertNotIn('reservations expired', self.log.output)

    def test_a_chore_that_finds_the_database_away_is_tried_again(self):
        self.conf.set_override('report_interval', 1)
        worker = self.worker()
        called = threading.Semaphore(0)

        def away():
            called.release()
            raise exception.ServiceUnavailable('no database')

        worker.backends[0].report = away
        worker.start()
        self.addCleanup(worker.stop)
        for _ in range(2):
            self.assertTrue(called.acquire(timeout=30))
        self.assertIn('Cannot report node@dir now: no database',
                      self.log.output)


class HangingTest(ServiceTestCase):
    """A worker with a backend that does not answer."""

    def hang(self, method):
        """Have a method of the backend ``dir`` hang, from now on.

        :returns: the method, with an event for that it is called, and one to
            let it go on
        """
        original = getattr(directory.DirectoryDriver, method)
        called, answers = threading.Event(), threading.Event()

        def hanging(driver, *args, **kwargs):
            if driver.backend == 'dir':
                called.set()
                answers.wait(60)
            return original(driver, *args, **kwargs)

        patch = mock.patch.object(directory.DirectoryDriver, method,
                                  autospec=True, side_effect=hanging)
        method = patch.start()
        self.addCleanup(patch.stop)
        method.called_once, method.answers = called, answers
        return method

    def started(self, *hanging):
        worker = self.worker()
        worker.start()
        self.addCleanup(worker.stop)
        for method in hanging:
            self.addCleanup(method.answers.set)
        return worker

    def accepted(self):
        with self.database.writer(self.context) as session:
            volume = volumes.create(session, {
                'host': 'node@dir#dir', 'size': 1, 'status': 'available',
                'project_id': 'p', 'user_id': 'u'})
            return snapshots.create(
                session, self.context, volume, name='s', description=None,
                metadata={}, reference='old')

    def status(self, snapshot_id):
        with self.database.reader(self.context) as session:
            return snapshots.get(session, self.context, snapshot_id).status

    def test_one_that_hangs_at_the_start_holds_up_no_other(self):
        self.conf.set_override('rpc_timeout', 1, 'manageable_snapshots')
        self.conf.set_override('enabled_backends', ['dir', 'two'])
        set_up = self.hang('do_setup')
        worker = self.started(set_up)
        self.assertTrue(services.is_up(self.service_row('node@two'), 60))
        self.assertRaises(exception.ServiceNotFound, self.service_row)
        set_up.answers.set()
        worker.backends[0].report()
        self.assertTrue(services.is_up(self.service_row(), 60))
        self.assertEqual(2, set_up.call_count)

    def test_it_is_reported_nevertheless(self):
        self.conf.set_override('report_interval', 1)
        stats = self.hang('get_volume_stats')
        worker = self.started(stats)
        self.assertTrue(stats.called_once.wait(30))
        reported = threading.Semaphore(0)
        report = worker.backends[0]._report

        def observed():
            report()
            reported.release()

        worker.backends[0]._report = observed
        for _ in range(3):
            self.assertTrue(reported.acquire(timeout=30))
        self.assertEqual(1, stats.call_count)

    def test_it_is_listed_while_adoptions_hang(self):
        self.conf.set_override('adoption_threads', 1, 'manageable_snapshots')
        get_size = self.hang('manage_existing_snapshot_get_size')
        self.started(get_size)
        asked = client.VolumeClient(self.conf, self.transport)
        accepted = [self.accepted() for _ in range(3)]
        for snapshot in accepted:
            asked.manage_existing_snapshot(
                self.context, 'node@dir', objects.snapshot(snapshot, {}),
                'old')
        self.assertTrue(get_size.called_once.wait(30))
        self.assertEqual([], asked.get_manageable_snapshots(
            self.context, 'node@dir', **LIST))
        self.assertEqual(
            ['creating'] * 3,
            [self.status(snapshot.id) for snapshot in accepted])

    def test_a_stop_is_bounded(self):
        self.conf.set_override('graceful_shutdown_timeout', 1)
        scan = self.hang('scan')
        stats = self.hang('get_volume_stats')
        for method in (scan, stats):
            self.addCleanup(method.answers.set)
        worker = self.worker()
        worker.start()
        asked = client.VolumeClient(self.conf, self.transport)
        listing = threading.Thread(
            target=asked.get_manageable_snapshots,
            args=(self.context, 'node@dir'), kwargs=LIST, daemon=True)
        listing.start()
        self.assertTrue(scan.called_once.wait(30))
        started = time.monotonic()
        self.assertFalse(worker.stop())
        self.assertLess(time.monotonic() - started, 5)


class SignalsTest(ServiceTestCase):

    def test_a_worker_serves_until_it_is_told_to_stop(self):
        events = []
        stopping = threading.Event()

        class Service:
            def __init__(self, conf):
                events.append('made')

            def start(self):
                events.append('started')
                stopping.set()

            def stop(self):
                events.append('stopped')
                return True

        self.useFixture(fixtures.MonkeyPatch(
            'manageable_snapshots.standalone.worker.Worker', Service))
        self.assertEqual(0, worker.run(self.conf, stopping))
        self.assertEqual(['made', 'started', 'stopped'], events)
