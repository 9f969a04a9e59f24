# SPDX-License-Identifier: Apache-2.0

from concurrent import futures
import functools
import threading
import time
import types

import fixtures
import oslo_messaging as messaging
from oslo_messaging._drivers import base as driver_base
from oslo_messaging import transport as messaging_transport

from manageable_snapshots import exception
from manageable_snapshots.rpc import client
from manageable_snapshots.rpc import objects
from manageable_snapshots.rpc import server
from manageable_snapshots.rpc import versions
from manageable_snapshots.standalone import in_process
from manageable_snapshots.tests.unit.rpc import base

ENTRY = {'reference': {'source-name': 'a'},
         'source_reference': {'source-name': 'b'}, 'size': 1,
         'safe_to_manage': True, 'reason_not_safe': None, 'cinder_id': None,
         'extra_info': None}


class Worker:
    """Answers a list as it is told; notes all else."""

    target = messaging.Target(version=versions.RPC_VERSION)

    def __init__(self):
        self.answer = objects.manageable_snapshots([ENTRY])
        self.asked = []
        self.came = threading.Event()

    def get_manageable_snapshots(self, ctxt, marker, limit, offset,
                                 sort_keys, sort_dirs, want_objects=False):
        self.asked.append((marker, limit, offset, sort_keys, sort_dirs,
                           want_objects))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def _note(self, *came):
        self.asked.append(came)
        self.came.set()

    def manage_existing_snapshot(self, ctxt, snapshot, ref):
        self._note('manage', objects.identifier(snapshot), ref)

    def create_snapshot(self, ctxt, snapshot):
        self._note('create', objects.identifier(snapshot))

    def delete_snapshot(self, ctxt, snapshot, unmanage_only=False):
        self._note('delete', objects.identifier(snapshot), unmanage_only)

    def create_volume(self, context, volume, request_spec=None,
                      filter_properties=None, allow_reschedule=True):
        self._note('create', objects.identifier(volume), request_spec,
                   filter_properties, allow_reschedule)

    def delete_volume(self, context, volume, unmanage_only=False,
                      cascade=False):
        self._note('delete', objects.identifier(volume), unmanage_only,
                   cascade)


class VolumeClientTest(base.TestCase):
    """With a worker that answers."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.FakeLogger())
        transport = in_process.get_transport(self.conf)
        self.client = client.VolumeClient(self.conf, transport)
        self.worker = Worker()
        servers = server.get_servers(
            self.conf, transport, base.BACKEND, [self.worker],
            cluster='group@dir')
        servers.start()
        # In a second, that is: futurist looks no more often.
        self.addCleanup(servers.stop, 0)

    def list(self, queue=base.BACKEND, **query):
        return self.client.get_manageable_snapshots(
            self.context, queue, **{**base.LIST, **query})

    def noted(self):
        self.assertTrue(self.worker.came.wait(10))
        return self.worker.asked

    def test_a_list_is_what_the_backend_holds(self):
        self.assertEqual([ENTRY], self.list())
        self.assertEqual(
            [(None, 10, 0, ['reference'], ['asc'], True)],
            self.worker.asked)

    def test_a_service_may_answer_without_objects(self):
        self.worker.answer = [ENTRY]
        self.assertEqual([ENTRY], self.list())

    def test_a_pool_and_a_cluster_are_reached(self):
        self.assertEqual([ENTRY], self.list('node@dir#pool'))
        self.assertEqual([ENTRY], self.list('group@dir'))

    def test_in_one_process_the_worker_is_ours(self):
        self.assertTrue(self.client.carries_on(base.BACKEND))

    def test_an_adoption_is_handed_over(self):
        self.client.manage_existing_snapshot(
            self.context, base.BACKEND,
            objects.snapshot(base.snapshot_row(), {}), {'source-name': 'x'})
        self.assertEqual(
            [('manage', base.SNAPSHOT_ID, {'source-name': 'x'})],
            self.noted())

    def test_a_reference_never_passes_for_an_object(self):
        ref = {'versioned_object.name': 'Volume'}
        self.assertRaises(
            exception.InvalidInput, self.client.manage_existing_snapshot,
            self.context, base.BACKEND, {}, ref)
        self.assertRaises(exception.InvalidInput, self.list, marker=ref)
        self.assertEqual([], self.worker.asked)

    def test_snapshots_are_made(self):
        self.client.create_snapshot(
            self.context, base.BACKEND,
            objects.snapshot(base.snapshot_row(), {}))
        self.assertEqual([('create', base.SNAPSHOT_ID)], self.noted())

    def test_snapshots_are_let_go(self):
        self.client.delete_snapshot(
            self.context, base.BACKEND,
            objects.snapshot(base.snapshot_row(), {}), unmanage_only=True)
        self.assertEqual([('delete', base.SNAPSHOT_ID, True)], self.noted())

    def test_volumes_are_made_on_the_backend_and_no_other(self):
        self.client.create_volume(
            self.context, base.BACKEND,
            objects.volume(base.volume_row(), {}))
        self.assertEqual([('create', base.VOLUME_ID, None, None, False)],
                         self.noted())

    def test_volumes_are_deleted(self):
        self.client.delete_volume(
            self.context, base.BACKEND,
            objects.volume(base.volume_row(), {}), cascade=True)
        self.assertEqual([('delete', base.VOLUME_ID, False, True)],
                         self.noted())

    def test_what_the_worker_finds_wrong_is_told(self):
        self.worker.answer = exception.DriverCannot(driver='x', what='list')
        error = self.assertRaises(exception.InvalidInput, self.list)
        self.assertEqual('The driver x cannot list.', error.msg)

    def test_a_worker_that_is_not_ready_is_unavailable(self):
        self.worker.answer = exception.DriverNotInitialized()
        error = self.assertRaises(exception.DriverNotInitialized, self.list)
        self.assertEqual(503, error.code)

    def test_a_failure_says_where_and_no_more(self):
        self.worker.answer = KeyError('/etc/secret')
        error = self.assertRaises(exception.ManageableSnapshotsException,
                                  self.list)
        self.assertEqual('The backend node@dir could not list its snapshots.',
                         error.msg)

    def test_an_answer_that_is_no_list_is_a_failure(self):
        for answer in (None, 'x', [1], [{}], [{'reference': 'x'}],
                       [{'versioned_object.name': 'ManageableSnapshot'}]):
            with self.subTest(answer=answer):
                self.worker.answer = answer
                error = self.assertRaises(
                    exception.ManageableSnapshotsException, self.list)
                self.assertEqual(500, error.code)


class Broker(driver_base.BaseDriver):
    """A driver for oslo.messaging that does what a test tells it.

    :ivar plan: what happens to messages, by method: an exception, or a
        function; the last goes for all that follow
    """

    def __init__(self, conf):
        super().__init__(conf, url=None)
        self.plan = {}
        self.sent = []
        self.arguments = []

    def send(self, target, ctxt, message, wait_for_reply=None, timeout=None,
             call_monitor_timeout=None, retry=None, transport_options=None):
        method = message['method']
        self.sent.append((method, target, timeout, call_monitor_timeout,
                          retry, transport_options, ctxt))
        self.arguments.append(message.get('args'))
        plan = self.plan.get(method, [lambda: None])
        step = plan.pop(0) if len(plan) > 1 else plan[0]
        if isinstance(step, Exception):
            raise step
        return step()

    def methods(self):
        return [entry[0] for entry in self.sent]

    def send_notification(self, target, ctxt, message, version, retry=None):
        raise NotImplementedError

    def listen(self, target, batch_size, batch_timeout):
        raise NotImplementedError

    def listen_for_notifications(self, targets_and_priorities, pool,
                                 batch_size, batch_timeout):
        raise NotImplementedError

    def cleanup(self):
        pass


def undeliverable():
    return messaging.MessageUndeliverable(None, 'openstack', 'topic', None)


class Foreign(Exception):
    """An error of a library below oslo.messaging."""


class BrokerTestCase(base.TestCase):
    """Has ``client`` and its ``broker``."""

    NOTHING = 'nothing'
    MANAGE = 'manage_existing_snapshot'
    LIST = 'get_manageable_snapshots'

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        # Makes the options known.
        in_process.get_transport(self.conf)
        self.broker = Broker(self.conf)
        self.resume = threading.Event()
        self.addCleanup(self.resume.set)
        self.client = self.new_client()

    def new_client(self, threads=None):
        new = client.VolumeClient(
            self.conf, messaging_transport.RPCTransport(self.broker), threads)
        # Less than can be configured.
        new._rpc_timeout = 0.5
        return new

    def hang(self):
        self.resume.wait(30)

    def adopt(self, **more):
        self.client.manage_existing_snapshot(
            self.context, base.BACKEND, {}, 'x', **more)

    def list(self):
        return self.client.get_manageable_snapshots(
            self.context, base.BACKEND, **base.LIST)

    def assertUnavailable(self, function, within):
        started = time.monotonic()
        self.assertRaises(exception.ServiceUnavailable, function)
        self.assertLess(time.monotonic() - started, within)


class BadDaysTest(BrokerTestCase):
    """With a broker that does what it likes."""

    def test_a_message_goes_where_cinder_sends_it(self):
        self.adopt()
        sent = {entry[0]: entry for entry in self.broker.sent}
        _method, target, _timeout, _monitor, retry, options, _context = (
            sent[self.MANAGE])
        self.assertEqual(('cinder-volume.node@dir', 'node'),
                         (target.topic, target.server))
        self.assertEqual((0, True), (retry, options.at_least_once))

    def test_what_tries_the_broker_goes_nowhere(self):
        self.adopt()
        self.assertEqual([self.NOTHING, self.MANAGE], self.broker.methods())
        _method, target, _timeout, _monitor, _retry, options, context = (
            self.broker.sent[0])
        self.assertEqual(('manageable-snapshots-nowhere', None, None),
                         (target.topic, target.server, options))
        self.assertNotIn('the-token', str(context))

    def test_a_broker_that_is_away_is_unavailable(self):
        self.broker.plan[self.NOTHING] = [
            messaging.MessageDeliveryFailure('refused')]
        self.assertUnavailable(self.adopt, within=2)
        self.assertUnavailable(self.list, within=2)
        self.assertEqual({self.NOTHING}, set(self.broker.methods()))
        self.assertNotIn('Traceback', self.log.output)

    def test_a_bug_leaves_its_traceback(self):
        def mistake():
            raise TypeError('a mistake')

        for method in (self.NOTHING, self.MANAGE):
            with self.subTest(method=method):
                self.log.reset_output()
                self.broker.plan = {method: [mistake]}
                self.assertUnavailable(self.adopt, within=2)
                self.assertIn('TypeError: a mistake', self.log.output)
                self.assertIn(', in mistake', self.log.output)

    def test_a_broker_that_comes_back_in_time_is_not_missed(self):
        self.broker.plan[self.NOTHING] = [
            messaging.MessageDeliveryFailure('refused'), Foreign('refused'),
            lambda: None]
        self.adopt()
        self.assertEqual([self.NOTHING] * 3 + [self.MANAGE],
                         self.broker.methods())

    def test_a_broker_that_hangs_is_unavailable(self):
        self.broker.plan[self.NOTHING] = [self.hang]
        self.assertUnavailable(self.adopt, within=2)
        self.assertUnavailable(self.list, within=2)

    def test_what_a_broker_took_too_late_is_not_followed_by_the_rest(self):
        self.broker.plan[self.NOTHING] = [self.hang]
        self.assertUnavailable(self.adopt, within=2)
        self.resume.set()
        for thread in threading.enumerate():
            if thread.name == 'rpc':
                thread.join(10)
        self.assertNotIn(self.MANAGE, self.broker.methods())

    def test_a_message_that_may_have_arrived_is_not_sent_again(self):
        self.broker.plan[self.MANAGE] = [
            messaging.MessageDeliveryFailure('connection lost')]
        self.assertUnavailable(self.adopt, within=2)
        self.assertEqual([self.NOTHING, self.MANAGE], self.broker.methods())

    def test_a_message_that_came_back_is_sent_again(self):
        self.broker.plan[self.MANAGE] = [undeliverable(), lambda: None]
        self.adopt()
        self.assertEqual([self.NOTHING, self.MANAGE] * 2,
                         self.broker.methods())

    def test_a_service_that_does_not_listen_is_unavailable(self):
        self.broker.plan[self.MANAGE] = [undeliverable()]
        self.assertUnavailable(self.adopt, within=2)
        self.broker.plan[self.LIST] = [undeliverable()]
        self.assertUnavailable(self.list, within=2)

    def test_what_was_waited_for_the_broker_is_not_waited_again(self):
        self.client._rpc_timeout = 60
        self.broker.plan[self.MANAGE] = [undeliverable()]
        self.assertUnavailable(
            functools.partial(self.adopt, waited=59), within=20)

    def test_a_message_is_sent_however_long_was_waited(self):
        self.adopt(waited=60)
        self.assertIn(self.MANAGE, self.broker.methods())

    def test_there_are_only_so_many_threads(self):
        self.conf.set_override('concurrent_casts', 4, 'manageable_snapshots')
        self.client = self.new_client()
        self.broker.plan[self.NOTHING] = [self.hang]
        for _count in range(2):
            self.assertUnavailable(self.adopt, within=2)
        before = threading.active_count()
        for method in self.adopt, self.list:
            busy = self.assertRaises(exception.VolumeServiceBusy, method)
            self.assertEqual({'Retry-After': '1'}, busy.headers)
        self.assertEqual(before, threading.active_count())

    def test_only_so_many_lists_are_waited_for(self):
        self.conf.set_override('concurrent_lists', 1, 'manageable_snapshots')
        self.client = self.new_client()
        started = threading.Event()

        def hang():
            started.set()
            self.hang()
            return []

        self.broker.plan[self.LIST] = [hang, lambda: []]
        first = threading.Thread(target=self.list)
        first.start()
        self.assertTrue(started.wait(10))
        self.assertRaises(exception.Busy, self.list)
        self.adopt()
        self.resume.set()
        first.join(10)
        self.assertEqual([], self.list())

    def hang_lists(self):
        """Let lists of node@dir hang, and no others.

        :returns: a semaphore, released by each that hangs
        """
        begun = threading.Semaphore(0)
        send = self.broker.send

        def send_or_hang(target, ctxt, message, **options):
            if (message['method'], target.server) == (self.LIST, 'node'):
                begun.release()
                self.hang()
            return send(target, ctxt, message, **options) or []

        self.broker.send = send_or_hang
        return begun

    def fill(self, count):
        """Ask for so many lists that hang."""
        begun = self.hang_lists()
        threads = [threading.Thread(target=self.list) for _ in range(count)]
        for thread in threads:
            thread.start()
            self.addCleanup(thread.join, 30)
        self.addCleanup(self.resume.set)
        for _ in threads:
            self.assertTrue(begun.acquire(timeout=10))

    def list_of(self, queue):
        return self.client.get_manageable_snapshots(
            self.context, queue, **base.LIST)

    def test_only_so_many_lists_of_one_backend_are_waited_for(self):
        self.conf.set_override('concurrent_lists_per_backend', 2,
                               'manageable_snapshots')
        self.client = self.new_client()
        self.fill(2)
        for queue in 'node@dir', 'node@dir#pool':
            busy = self.assertRaises(
                exception.VolumeServiceBusy, self.list_of, queue)
            self.assertEqual(
                'Too many requests to the volume service node@dir are in '
                'progress. Try again.', busy.msg)
            self.assertEqual({'Retry-After': '1'}, busy.headers)
        self.assertEqual([], self.list_of('other@dir'))
        self.adopt()

    def test_lists_that_have_ended_leave_room(self):
        self.conf.set_override('concurrent_lists_per_backend', 2,
                               'manageable_snapshots')
        self.client = self.new_client()
        self.fill(2)
        self.resume.set()
        for thread in threading.enumerate():
            if thread.name == 'rpc':
                thread.join(10)
        self.assertEqual([], self.list())
        self.assertEqual({}, self.client._calls._counts)

    def test_lists_leave_threads_to_other_requests(self):
        self.client = self.new_client(threads=8)
        self.fill(4)
        self.assertRaises(exception.VolumeServiceBusy, self.list)
        self.assertEqual([], self.list_of('other@dir'))

    def test_lists_of_all_backends_leave_threads_to_other_requests(self):
        for threads, most in ((1, 1), (2, 1), (8, 6), (500, 64)):
            with self.subTest(threads=threads):
                slots = self.new_client(threads=threads)._calls
                for number in range(most):
                    slots.take(f'node{number}@dir')
                self.assertRaises(exception.Busy, slots.take, 'more@dir')

    def test_errors_name_the_backend(self):
        self.broker.plan[self.NOTHING] = [
            messaging.MessageDeliveryFailure('refused')]
        for request in self.adopt, self.list:
            error = self.assertRaises(
                exception.VolumeServiceUnavailable, request)
            self.assertEqual('The volume service node@dir cannot be reached '
                             'at this time.', error.msg)
        self.broker.plan = {
            self.LIST: [messaging.MessagingTimeout('no sign of life')]}
        error = self.assertRaises(
            exception.VolumeServiceUnavailable, self.list)
        self.assertIn('node@dir', error.msg)

    def test_once_the_broker_is_back_all_threads_are(self):
        self.conf.set_override('concurrent_casts', 1, 'manageable_snapshots')
        self.client = self.new_client()
        self.broker.plan[self.NOTHING] = [self.hang, lambda: None]
        self.assertUnavailable(self.adopt, within=2)
        self.resume.set()
        for thread in threading.enumerate():
            if thread.name == 'rpc':
                thread.join(10)
        self.adopt()

    def test_without_threads_it_is_unavailable(self):
        def fail(_thread):
            raise RuntimeError('no thread')

        casts = self.conf.manageable_snapshots.concurrent_casts
        for _count in range(casts + 1):
            with fixtures.MockPatchObject(threading.Thread, 'start', fail):
                self.assertUnavailable(self.adopt, within=0.4)
        self.adopt()

    def test_a_list_has_its_own_time(self):
        self.broker.plan[self.LIST] = [lambda: []]
        self.assertEqual([], self.list())
        _method, _target, timeout, monitor, _retry, _options, _context = (
            self.broker.sent[-1])
        # The service has to give a sign of life meanwhile.
        self.assertEqual((5, 2), (timeout, monitor))

    def test_a_short_list_needs_no_sign_of_life(self):
        self.conf.set_override('list_timeout', 1, 'manageable_snapshots')
        self.client = self.new_client()
        self.broker.plan[self.LIST] = [lambda: []]
        self.list()
        self.assertIsNone(self.broker.sent[-1][3])

    def test_a_list_that_takes_too_long_names_the_backend(self):
        self.conf.set_override('list_timeout', 1, 'manageable_snapshots')
        self.client = self.new_client()

        def slow():
            self.resume.wait(1)
            raise messaging.MessagingTimeout('no reply')

        self.broker.plan[self.LIST] = [slow]
        error = self.assertRaises(exception.BackendTimeout, self.list)
        self.assertEqual('The backend node@dir did not answer within 1 '
                         'seconds.', error.msg)

    def test_a_list_that_hangs_with_the_broker_does_end(self):
        self.conf.set_override('list_timeout', 1, 'manageable_snapshots')
        self.client = self.new_client()
        self.broker.plan[self.LIST] = [self.hang]
        started = time.monotonic()
        self.assertRaises(exception.BackendTimeout, self.list)
        self.assertLess(time.monotonic() - started, 3)

    def test_a_service_without_a_sign_of_life_is_unavailable(self):
        self.broker.plan[self.LIST] = [messaging.MessagingTimeout('none')]
        self.assertUnavailable(self.list, within=2)

    def test_a_library_that_fails_is_a_broker_that_is_away(self):
        self.broker.plan[self.LIST] = [Foreign('reset')]
        self.assertUnavailable(self.list, within=2)
        self.broker.plan[self.MANAGE] = [Foreign('reset')]
        self.assertUnavailable(self.adopt, within=2)


class CarriesOnTest(BrokerTestCase):
    """With workers that are ours, or Cinder's, or away."""

    PING = 'ping'

    def setUp(self):
        super().setUp()
        self.passed = 0
        self.useFixture(fixtures.MockPatchObject(
            client, 'time', types.SimpleNamespace(
                monotonic=lambda: time.monotonic() + self.passed,
                sleep=time.sleep)))

    def carries_on(self, after=0, queue=base.BACKEND):
        self.passed += after
        return self.client.carries_on(queue)

    def asked(self):
        return self.broker.methods().count(self.PING)

    def worker_is(self, what):
        self.broker.plan[self.PING] = [{
            'ours': lambda: True, 'stock': undeliverable(),
            'silent': messaging.MessagingTimeout('no reply'),
            'odd': messaging.RemoteError('NoSuchMethod', 'ping', []),
        }[what]]

    def test_one_of_ours_does(self):
        self.worker_is('ours')
        self.assertTrue(self.carries_on())

    def test_it_is_asked_where_no_other_listens(self):
        self.carries_on(queue='node@dir#pool')
        _method, target, timeout, _monitor, retry, options, context = (
            self.broker.sent[-1])
        self.assertEqual(('manageable-snapshots.node@dir', 'node', '1.0'),
                         (target.topic, target.server, target.version))
        self.assertEqual((0.25, 0, True),
                         (timeout, retry, options.at_least_once))
        self.assertNotIn('the-token', str(context))

    def test_one_of_ours_is_told_the_pool(self):
        self.worker_is('ours')
        self.assertEqual('p', self.pool_sent())

    def test_cinders_has_no_argument_for_the_pool(self):
        self.worker_is('stock')
        self.assertIsNone(self.pool_sent())

    def test_where_one_of_ours_was_cinders_may_be_now(self):
        self.worker_is('ours')
        self.assertTrue(self.carries_on())
        self.worker_is('silent')
        self.passed += 11
        self.assertIsNone(self.pool_sent())
        self.assertTrue(self.carries_on())

    def test_a_list_of_all_pools_asks_nothing_first(self):
        self.broker.plan[self.LIST] = [lambda: []]
        self.list()
        self.assertEqual(0, self.asked())

    def test_one_of_ours_filters(self):
        self.worker_is('ours')
        sent = self.sent(filters={'source_name': 'n'}, marker_size=-1)
        self.assertEqual(('n', -1), (sent['source_name'],
                                     sent['marker_size']))

    def test_cinders_does_not_filter(self):
        self.worker_is('stock')
        error = self.assertRaises(
            exception.InvalidInput, self.sent,
            filters={'volume_id': 'v', 'source_name': 'n'})
        self.assertIn('cannot filter by source_name, volume_id', error.msg)
        self.assertNotIn('marker_size', self.sent(marker_size=1))

    def test_one_that_died_filters_when_it_is_back(self):
        self.worker_is('ours')
        self.carries_on()
        self.worker_is('silent')
        self.passed += 11
        self.assertRaises(exception.ServiceUnavailable, self.sent,
                          filters={'source_name': 'n'})

    def pool_sent(self):
        return self.sent(pool='p').get('pool')

    def sent(self, **more):
        self.broker.plan[self.LIST] = [lambda: []]
        self.client.get_manageable_snapshots(
            self.context, base.BACKEND, **more, **base.LIST)
        return self.broker.arguments[-1]

    def test_cinders_does_not(self):
        self.worker_is('stock')
        self.assertFalse(self.carries_on())

    def test_one_that_never_answered_is_not_counted_on(self):
        for what in ('silent', 'odd'):
            with self.subTest(what=what):
                self.worker_is(what)
                self.assertFalse(self.carries_on(queue=f'{what}@dir'))

    def test_what_is_known_is_not_asked_again_at_once(self):
        for what in ('ours', 'stock'):
            with self.subTest(what=what):
                self.worker_is(what)
                asked = self.asked()
                for seconds, count in ((0, 1), (9, 1), (1, 2)):
                    self.carries_on(seconds, f'{what}@dir')
                    self.assertEqual(asked + count, self.asked())

    def test_requests_at_the_same_time_ask_once(self):
        begun = threading.Event()

        def ask():
            begun.set()
            self.hang()
            return True

        self.broker.plan[self.PING] = [ask]
        self.client._rpc_timeout = 30
        with futures.ThreadPoolExecutor(8) as executor:
            answers = [executor.submit(self.carries_on) for _ in range(8)]
            self.assertTrue(begun.wait(10))
            # One of them, whoever of the others has come by now.
            self.assertLessEqual(self.client._casts._counts.total(), 1)
            self.resume.set()
            self.assertEqual([True] * 8, [each.result(30)
                                          for each in answers])
        self.assertEqual(1, self.asked())
        self.assertEqual({}, self.client._asked)

    def test_all_who_wait_are_told_that_there_is_no_broker(self):
        self.broker.plan[self.NOTHING] = [self.hang]
        with futures.ThreadPoolExecutor(8) as executor:
            answers = [executor.submit(self.carries_on) for _ in range(8)]
            for each in answers:
                self.assertIsInstance(each.exception(30),
                                      exception.VolumeServiceUnavailable)
        self.assertEqual({}, self.client._asked)

    def test_silence_is_not_waited_for_again_at_once(self):
        self.worker_is('silent')
        for seconds, count in ((0, 1), (59, 1), (1, 2)):
            self.carries_on(seconds)
            self.assertEqual(count, self.asked())

    def test_one_that_died_will_be_back(self):
        self.worker_is('ours')
        self.carries_on()
        self.worker_is('silent')
        self.assertTrue(self.carries_on(11))
        self.assertTrue(self.carries_on(48))
        self.assertFalse(self.carries_on(13))

    def test_one_whose_queue_a_broker_has_forgotten_will_be_back(self):
        self.worker_is('ours')
        self.carries_on()
        self.broker.plan[self.PING] = [undeliverable()]
        # However long the broker was away.
        self.assertTrue(self.carries_on(90))
        self.assertIsNone(self.pool_sent())
        # It may be there for a moment only.
        self.worker_is('ours')
        self.assertTrue(self.carries_on(1))
        self.assertEqual('p', self.pool_sent())

    def test_a_worker_may_be_replaced_by_one_of_the_other_kind(self):
        for before, after, expected in (('ours', 'stock', False),
                                        ('stock', 'ours', True)):
            with self.subTest(after=after):
                queue = f'{after}@dir'
                self.worker_is(before)
                self.carries_on(queue=queue)
                self.worker_is(after)
                self.carries_on(10, queue)
                self.assertEqual(expected, self.carries_on(60, queue))

    def test_only_so_many_backends_are_remembered(self):
        self.useFixture(fixtures.MockPatchObject(client, '_BACKENDS', 2))
        for queue, count in (('a@x', 1), ('b@x', 2), ('b@x', 2), ('c@x', 3),
                             ('b@x', 3), ('a@x', 4)):
            self.carries_on(queue=queue)
            self.assertEqual(count, self.asked())

    def test_without_a_broker_nothing_is_known(self):
        self.broker.plan[self.NOTHING] = [
            messaging.MessageDeliveryFailure('refused')]
        self.assertRaises(exception.ServiceUnavailable, self.carries_on, 0)
        self.assertNotIn(self.PING, self.broker.methods())


class RemoteErrorsTest(BrokerTestCase):
    """With services of Cinder's that fail."""

    def remote(self, name, value):
        return messaging.RemoteError(name, value, ['File "/usr/x.py"'])

    def failure(self, error):
        self.broker.plan[self.LIST] = [error]
        return self.assertRaises(exception.ManageableSnapshotsException,
                                 self.list)

    def test_invalid_input_is_told_in_one_line(self):
        error = self.failure(self.remote(
            'InvalidInput', 'Invalid input received: marker x\nTraceback'))
        self.assertIs(exception.InvalidInput, type(error))
        self.assertEqual('Invalid input received: marker x', error.msg)

    def test_a_message_has_an_end(self):
        error = self.failure(self.remote('InvalidInput', 'x' * 5000))
        self.assertEqual(1000, len(error.msg))

    def test_errors_of_requests_keep_their_names(self):
        error = self.failure(self.remote(
            'ManageExistingInvalidReference', 'No such thing.'))
        self.assertIs(exception.ManageExistingInvalidReference, type(error))

    def test_a_driver_that_cannot_is_named_by_its_backend(self):
        for error in (self.remote('NotImplementedError', ''),
                      NotImplementedError('File "/usr/x.py"')):
            with self.subTest(error=error):
                self.assertEqual(
                    'The driver of node@dir cannot list snapshots.',
                    self.failure(error).msg)

    def test_a_service_that_is_not_ready_is_unavailable(self):
        for name in ('DriverNotInitialized', 'ServiceUnavailable'):
            with self.subTest(name=name):
                for said, told in (
                        ('', 'The backend node@dir is unavailable at this '
                         'time.'),
                        ('Service is unavailable at this time.',
                         'The backend node@dir is unavailable at this time.'),
                        ('the reason', 'node@dir: the reason')):
                    error = self.failure(self.remote(name, said))
                    self.assertEqual(
                        (name, 503, told),
                        (type(error).__name__, error.code, error.msg))

    def test_no_class_of_errors_breaks_the_answer(self):
        for name in ('VolumeServiceDown', 'Busy', 'Conflict',
                     'VolumeServiceUnavailable'):
            with self.subTest(name=name):
                self.assertIn('node@dir',
                              self.failure(self.remote(name, 'x')).msg)

    def test_a_service_that_waited_too_long_says_so(self):
        for said, told in (
                ('The backend node@dir did not answer.',
                 'The backend node@dir did not answer.'),
                ('Too long.', 'node@dir: Too long.')):
            with self.subTest(said=said):
                error = self.failure(self.remote('BackendTimeout', said))
                self.assertEqual((504, told), (error.code, error.msg))

    def test_all_else_is_a_failure_of_the_backend(self):
        for error in (self.remote('VolumeBackendAPIException', '/etc/x'),
                      self.remote('QuotaError', '/etc/x'),
                      self.remote('InvalidInput', None),
                      self.remote('_', 'x'), self.remote('_translators', ''),
                      KeyError('/etc/x'), OSError('/etc/x')):
            with self.subTest(error=error):
                failure = self.failure(error)
                self.assertEqual(
                    (500, 'The backend node@dir could not list its '
                     'snapshots.'), (failure.code, failure.msg))
