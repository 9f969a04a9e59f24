# SPDX-License-Identifier: Apache-2.0

"""A coordination backend that is away, at a worker's start and later."""

import threading
from unittest import mock

import fixtures
from oslotest import base as test_base
from tooz import coordination as tooz

from manageable_snapshots import conf as project_conf
from manageable_snapshots import exception
from manageable_snapshots.standalone import coordination


class Driver:
    """One of tooz's, which fails as it is told.

    :ivar beats: is released at each attempt to start, and at each renewal
    """

    requires_beating = True

    def __init__(self):
        self.failure = None
        self.beats = threading.Semaphore(0)
        self.stopped = False

    def start(self):
        self.heartbeat()

    def heartbeat(self):
        self.beats.release()
        if self.failure:
            raise self.failure
        return 0.03

    def stop(self):
        self.stopped = True
        if self.failure:
            raise self.failure

    def wait(self, times=2):
        for _ in range(times):
            assert self.beats.acquire(timeout=30)


class CoordinatorTest(test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.useFixture(fixtures.MockPatchObject(coordination, '_PAUSE', 0.01))
        self.conf = project_conf.new()
        self.conf([], default_config_files=[])
        self.driver = Driver()
        self.useFixture(fixtures.MockPatchObject(
            tooz, 'get_coordinator', return_value=self.driver))
        self.coordinator = coordination.Coordinator(self.conf)
        self.addCleanup(self.coordinator.stop)

    def test_locks_are_renewed_until_it_stops(self):
        self.coordinator.start()
        self.driver.wait(5)
        self.coordinator.stop()
        self.assertTrue(self.driver.stopped)
        self.assertFalse(self.coordinator._heart.is_alive())

    def test_where_locks_need_no_renewal_nothing_goes_on(self):
        self.driver.requires_beating = False
        self.coordinator.start()
        self.coordinator._heart.join(30)
        self.assertFalse(self.coordinator._heart.is_alive())
        self.coordinator.stop()
        self.assertTrue(self.driver.stopped)

    def test_one_that_is_away_is_tried_again(self):
        # Nobody translates what etcd's driver raises at its start.
        for failure in (tooz.ToozConnectionError('no etcd'),
                        Exception('no etcd')):
            self.driver.failure = failure
            worker = coordination.Coordinator(self.conf)
            self.addCleanup(worker.stop)
            worker.start()
            self.driver.wait(5)
            self.driver.failure = None
            self.driver.wait(5)
            worker.stop()
        self.assertEqual(
            2 * ['Adoptions wait: The coordination backend is away: no etcd',
                 'The coordination backend is there again.'],
            self.log.output.splitlines())

    def test_one_that_goes_away_is_told_once(self):
        self.coordinator.start()
        self.driver.failure = tooz.OperationTimedOut('')
        self.driver.wait(5)
        self.coordinator.stop()
        self.assertEqual(
            ['Adoptions wait: The coordination backend is away: '
             'OperationTimedOut', 'Cannot take leave of the coordination '
             'backend: OperationTimedOut'], self.log.output.splitlines())

    def test_one_that_hangs_holds_up_neither_start_nor_stop(self):
        self.conf.set_override('rpc_timeout', 1, 'manageable_snapshots')
        self.useFixture(fixtures.MockPatchObject(
            coordination, '_STOP_SECONDS', 0.1))
        goes_on = threading.Event()
        self.addCleanup(goes_on.set)
        worker = coordination.Coordinator(self.conf)
        with mock.patch.object(self.driver, 'start', lambda: goes_on.wait()):
            worker.start()
            worker.stop()
        self.assertFalse(self.driver.stopped)
        self.assertIn('has not answered within 1 seconds', self.log.output)

    def test_one_that_will_not_do_stops_the_start(self):
        for failure, reason in (
                (tooz.ToozError('no such option'), 'no such option'),
                (ValueError('s3cret is no port'), 'it is not the URL of')):
            self.driver.failure = failure
            error = self.assertRaises(
                exception.ConfigurationError,
                coordination.Coordinator(self.conf).start)
            self.assertIn('backend_url in section [coordination]', error.msg)
            self.assertIn(reason, error.msg)
        self.assertNotIn('s3cret', self.log.output)
