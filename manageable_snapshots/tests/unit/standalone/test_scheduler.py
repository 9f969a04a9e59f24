# SPDX-License-Identifier: Apache-2.0

"""What a backend offers is told to the schedulers, and holds nobody up."""

import datetime
import threading

import fixtures
import oslo_messaging as messaging

from manageable_snapshots.standalone import in_process
from manageable_snapshots.standalone import scheduler
from manageable_snapshots.tests.unit.rpc import base

STATS = {'volume_backend_name': 'dir', 'total_capacity_gb': 10}


class Client:
    """An RPC client that notes what it is to send.

    :ivar open: it sends while this is set
    """

    def __init__(self):
        self.sent = []
        self.open = threading.Event()
        self.open.set()
        self.done = threading.Semaphore(0)
        self.error = None

    def prepare(self, **options):
        self.options = options
        return self

    def cast(self, context, method, **arguments):
        try:
            if not self.open.wait(30):
                raise AssertionError('it was never opened')
            if self.error:
                raise self.error
            self.sent.append((method, arguments))
        finally:
            self.done.release()


class SchedulerClientTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.client = Client()
        self.addCleanup(self.client.open.set)
        self.useFixture(fixtures.MonkeyPatch(
            'oslo_messaging.get_rpc_client',
            lambda *args, **kwargs: self.client))

    def scheduler(self):
        return scheduler.SchedulerClient(self.conf, object())

    def test_every_scheduler_is_told(self):
        self.scheduler().update_service_capabilities(base.BACKEND, STATS)
        self.assertTrue(self.client.done.acquire(timeout=30))
        (method, arguments), = self.client.sent
        self.assertEqual({'fanout': True}, self.client.options)
        self.assertEqual('update_service_capabilities', method)
        datetime.datetime.strptime(
            arguments.pop('timestamp'), '%Y-%m-%dT%H:%M:%S.%f')
        self.assertEqual(
            {'service_name': 'volume', 'host': base.BACKEND,
             'capabilities': STATS, 'cluster_name': None}, arguments)

    def test_a_broker_that_hangs_holds_nobody_up(self):
        self.client.open.clear()
        asked = self.scheduler()
        for _number in range(3):
            asked.update_service_capabilities(base.BACKEND, STATS)
        self.client.open.set()
        self.assertTrue(self.client.done.acquire(timeout=30))
        self.assertFalse(self.client.done.acquire(timeout=0.1))

    def test_a_broker_that_is_away_is_a_warning(self):
        self.client.error = messaging.MessageDeliveryFailure('no broker')
        asked = self.scheduler()
        asked.update_service_capabilities(base.BACKEND, STATS)
        self.assertTrue(self.client.done.acquire(timeout=30))
        # Only then may the next one be sent.
        self.assertTrue(asked._free.acquire(timeout=30))
        self.assertIn('no broker', self.log.output)

    def test_in_one_process_there_is_no_scheduler(self):
        asked = scheduler.SchedulerClient(
            self.conf, in_process.get_transport(self.conf))
        asked.update_service_capabilities(base.BACKEND, STATS)
        self.assertFalse(self.client.done.acquire(timeout=0.1))
