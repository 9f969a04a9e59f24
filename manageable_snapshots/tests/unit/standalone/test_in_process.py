# SPDX-License-Identifier: Apache-2.0

import threading
import time

import fixtures
import oslo_messaging as messaging

from manageable_snapshots.standalone import in_process
from manageable_snapshots.tests.unit.rpc import base


class Endpoint:
    target = messaging.Target(version='1.0')

    def __init__(self):
        self.got = []
        self.changed = threading.Condition()

    def note(self, ctxt, value):
        with self.changed:
            self.got.append(value)
            self.changed.notify_all()

    def wait(self, count):
        with self.changed:
            return self.changed.wait_for(
                lambda: len(self.got) == count, 10)

    def echo(self, ctxt, value):
        return value

    def fail(self, ctxt):
        raise KeyError('why')


class InProcessTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.transport = in_process.get_transport(self.conf)
        self.endpoint = Endpoint()

    def serve(self, server='a'):
        served = messaging.get_rpc_server(
            self.transport, messaging.Target(topic='t', server=server),
            [self.endpoint])
        served.start()
        self.addCleanup(served.stop)

    def client(self, server='a', transport=None, **options):
        return messaging.get_rpc_client(
            transport or self.transport,
            messaging.Target(topic='t', server=server), **options)

    def test_a_call_is_answered(self):
        self.serve()
        self.assertEqual({'a': [1, None]}, self.client().call(
            {}, 'echo', value={'a': [1, None]}))

    def test_a_call_takes_no_time(self):
        self.serve()
        client = self.client()
        client.call({}, 'echo', value=0)
        started = time.monotonic()
        for _count in range(20):
            client.call({}, 'echo', value=0)
        # fake:// takes some 25 ms for each.
        self.assertLess(time.monotonic() - started, 0.4)

    def test_values_arrive_as_after_a_broker(self):
        self.serve()
        value = (1, 2)
        self.assertEqual([1, 2], self.client().call({}, 'echo', value=value))

    def test_what_was_sent_before_the_server_listens_waits(self):
        for value in range(3):
            self.client().cast({}, 'note', value=value)
        self.serve()
        self.assertTrue(self.endpoint.wait(3))
        self.assertEqual([0, 1, 2], sorted(self.endpoint.got))

    def test_a_message_without_a_server_goes_to_any(self):
        self.serve()
        self.client(server=None).cast({}, 'note', value=1)
        self.assertTrue(self.endpoint.wait(1))

    def test_a_message_for_another_server_stays_where_it_is(self):
        self.serve()
        self.client(server='b').cast({}, 'note', value=1)
        self.client(server='a').cast({}, 'note', value=2)
        self.assertTrue(self.endpoint.wait(1))
        self.assertEqual([2], self.endpoint.got)

    def test_two_transports_have_nothing_in_common(self):
        self.serve()
        other = in_process.get_transport(self.conf)
        self.client(transport=other).cast({}, 'note', value=1)
        self.client().cast({}, 'note', value=2)
        self.assertTrue(self.endpoint.wait(1))
        self.assertEqual([2], self.endpoint.got)

    def test_an_error_comes_back_by_its_name(self):
        self.serve()
        error = self.assertRaises(messaging.RemoteError, self.client().call,
                                  {}, 'fail')
        self.assertEqual(('KeyError', "'why'"),
                         (error.exc_type, error.value))

    def test_nobody_answers_for_ever(self):
        self.assertRaises(messaging.MessagingTimeout,
                          self.client(timeout=0.05).call, {}, 'echo', value=1)

    def test_a_queue_has_an_end(self):
        self.useFixture(fixtures.MockPatchObject(
            in_process, 'QUEUE_LENGTH', 2))
        client = self.client()
        client.cast({}, 'note', value=1)
        client.cast({}, 'note', value=2)
        self.assertRaises(messaging.MessageDeliveryFailure, client.cast,
                          {}, 'note', value=3)
        self.serve()
        self.assertTrue(self.endpoint.wait(2))

    def test_a_server_that_stops_leaves_messages_to_the_next(self):
        first = messaging.get_rpc_server(
            self.transport, messaging.Target(topic='t', server='a'),
            [self.endpoint])
        first.start()
        first.stop()
        self.client().cast({}, 'note', value=1)
        self.assertEqual([], self.endpoint.got)
        self.serve()
        self.assertTrue(self.endpoint.wait(1))

    def test_who_looks_for_a_message_may_set_a_time(self):
        listener = in_process._Listener(in_process._Exchange(), [('t', 'a')])
        self.assertEqual([], listener.poll(timeout=0.01))

    def test_it_keeps_no_notifications(self):
        driver = in_process.Driver(self.conf)
        self.assertRaises(NotImplementedError, driver.send_notification,
                          messaging.Target(topic='n'), {}, {}, 2.0)
        self.assertRaises(NotImplementedError,
                          driver.listen_for_notifications, [], None, 1, None)
