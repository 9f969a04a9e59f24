# SPDX-License-Identifier: Apache-2.0

"""Requests and notifications over a real RabbitMQ, on its bad days too."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import uuid

import fixtures
import oslo_messaging as messaging
from oslotest import base

from manageable_snapshots import conf
from manageable_snapshots import context
from manageable_snapshots import exception
from manageable_snapshots.rpc import client
from manageable_snapshots.rpc import notifications
from manageable_snapshots.rpc import objects
from manageable_snapshots.rpc import server
from manageable_snapshots.rpc import transport
from manageable_snapshots.rpc import versions
from manageable_snapshots.standalone import in_process
from manageable_snapshots.tests.integration import servers
from manageable_snapshots.tests.unit.rpc import base as unit

RPC_TIMEOUT = 3
LIST_TIMEOUT = 12

ENTRY = {'reference': {'source-name': 'a'},
         'source_reference': {'source-name': 'b'}, 'size': 1,
         'safe_to_manage': True, 'reason_not_safe': None, 'cinder_id': None,
         'extra_info': None}


class Way(fixtures.Fixture):
    """The way to a broker, which can be blocked.

    :param url: the broker's
    :ivar url: the same by this way
    """

    def __init__(self, url):
        super().__init__()
        address = messaging.TransportURL.parse(_configuration(url), url)
        self._broker = (address.hosts[0].hostname, address.hosts[0].port)
        self._address = address

    def _setUp(self):
        self._free = threading.Event()
        self._free.set()
        self._ends = []
        self._port = 0
        self.up()
        self._address.hosts[0].hostname = '127.0.0.1'
        self._address.hosts[0].port = self._port
        self.url = str(self._address)
        self.addCleanup(self._leave_open)

    def _leave_open(self):
        # A thread of oslo.messaging that has an answer to give would wait for
        # the broker until the end of the process, and hold that up.
        self.thaw()
        if self._listener.fileno() < 0:
            self.up()

    def up(self):
        """Be there, or there again."""
        self._listener = socket.create_server(
            ('127.0.0.1', self._port), backlog=100)
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,),
                         daemon=True).start()

    def down(self):
        """End every connection, and refuse new ones: a broker that died."""
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends = []

    def freeze(self):
        """Take everything and hand on nothing: a broker that hangs."""
        self._free.clear()

    def thaw(self):
        """Hand on what was taken, and what comes."""
        self._free.set()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                near, _address = listener.accept()
                self._ends.append(near)
                threading.Thread(target=self._connect, args=(near,),
                                 daemon=True).start()

    def _connect(self, near):
        self._free.wait()
        far = socket.create_connection(self._broker, timeout=10)
        far.settimeout(None)
        self._ends.append(far)
        for ends in (near, far), (far, near):
            threading.Thread(target=self._carry, args=ends,
                             daemon=True).start()

    def _carry(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._free.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


class Worker:
    """Notes what it is asked to adopt; lists as the marker says."""

    target = messaging.Target(version=versions.RPC_VERSION)

    def __init__(self):
        self._changed = threading.Condition()
        self.adopted = []

    def manage_existing_snapshot(self, ctxt, snapshot, ref):
        with self._changed:
            self.adopted.append(
                (ctxt.project_id, objects.identifier(snapshot), ref))
            self._changed.notify_all()

    def references(self, count):
        """The references of adoptions, once there are so many."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.adopted) >= count, 20)
            return [ref for _project, _id, ref in self.adopted]

    def get_manageable_snapshots(self, ctxt, marker, limit, offset,
                                 sort_keys, sort_dirs, want_objects=False):
        if marker == 'slow':
            time.sleep(RPC_TIMEOUT + 1)
        if marker == 'wrong':
            raise exception.InvalidInput(reason='there is no such marker')
        return objects.manageable_snapshots([ENTRY])


def _configuration(url):
    configuration = conf.new()
    configuration([], default_config_files=[])
    # Makes the options known.
    in_process.get_transport(configuration)
    configuration.set_override('transport_url', url)
    configuration.set_override('rpc_timeout', RPC_TIMEOUT,
                               'manageable_snapshots')
    configuration.set_override('list_timeout', LIST_TIMEOUT,
                               'manageable_snapshots')
    return configuration


class RabbitMQTestCase(base.BaseTestCase):
    """Has ``client`` and ``worker``, each with its own way to the broker."""

    def setUp(self):
        super().setUp()
        self.broker = servers.url('rabbitmq')
        self.log = self.useFixture(fixtures.FakeLogger())
        # A broker that others use as well stays usable.
        for topic in ('VOLUME_TOPIC', 'OWN_TOPIC'):
            self.useFixture(fixtures.MockPatchObject(
                versions, topic, f'test-{uuid.uuid4().hex}'))
        self.context = context.RequestContext(
            user_id='u', project_id='p', is_admin=True, overwrite=False)
        self.way = self.useFixture(Way(self.broker))
        self.worker_way = self.useFixture(Way(self.broker))
        self.worker = Worker()
        self.client = client.VolumeClient(*self.connect(self.way.url))

    def connect(self, url):
        configuration = _configuration(url)
        connection = transport.get_transport(configuration)
        # It may take a while, since it waits for its threads.
        cleanup = threading.Thread(target=connection.cleanup, daemon=True)
        self.addCleanup(cleanup.start)
        return configuration, connection

    def serve(self):
        configuration, connection = self.connect(self.worker_way.url)
        served = server.get_servers(configuration, connection, unit.BACKEND,
                                    [self.worker])
        self.addCleanup(served.stop, 0)
        return served

    def adopt(self, ref):
        self.client.manage_existing_snapshot(
            self.context, unit.BACKEND,
            objects.snapshot(unit.snapshot_row(), {'k': 'v'}), ref)

    def list(self, marker=None):
        return self.client.get_manageable_snapshots(
            self.context, unit.BACKEND, **{**unit.LIST, 'marker': marker})

    def assertUnavailable(self, function, *arguments):
        started = time.monotonic()
        self.assertRaises(exception.ServiceUnavailable, function, *arguments)
        self.assertLess(time.monotonic() - started, RPC_TIMEOUT + 1)

    def assertAnswersAgain(self, seconds=15):
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.assertEqual([ENTRY], self.list())
                return
            except exception.ServiceUnavailable:
                if time.monotonic() > deadline:
                    raise


class GoodDaysTest(RabbitMQTestCase):

    def setUp(self):
        super().setUp()
        self.serve().start()

    def test_an_adoption_is_handed_over(self):
        self.adopt({'source-name': 'über'})
        self.worker.references(1)
        self.assertEqual(
            [('p', unit.SNAPSHOT_ID, {'source-name': 'über'})],
            self.worker.adopted)

    def test_a_list_is_answered(self):
        self.assertEqual([ENTRY], self.list())

    def test_what_the_worker_finds_wrong_is_told(self):
        error = self.assertRaises(exception.InvalidInput, self.list, 'wrong')
        self.assertEqual(
            'Invalid input received: there is no such marker', error.msg)
        self.assertNotIn('Traceback', self.log.output)

    def test_a_slow_list_gives_signs_of_life(self):
        self.assertEqual([ENTRY], self.list('slow'))


class NobodyThereTest(RabbitMQTestCase):

    def test_a_service_that_never_was_is_unavailable(self):
        self.assertUnavailable(self.adopt, 'x')
        self.assertUnavailable(self.list)

    def test_a_service_that_died_is_unavailable(self):
        served = self.serve()
        served.start()
        self.assertTrue(served.stop(20))
        self.assertUnavailable(self.list)

    def test_what_was_handed_over_waits_for_the_service(self):
        served = self.serve()
        served.start()
        self.assertTrue(served.stop(20))
        self.adopt('waits')
        self.assertEqual([], self.worker.adopted)
        self.serve().start()
        self.assertEqual(['waits'], self.worker.references(1))


class CarriesOnTest(RabbitMQTestCase):
    """What an API finds out of a worker without Cinder's noticing."""

    def assertFindsOut(self, expected, within=1):
        started = time.monotonic()
        self.assertIs(expected, self.client.carries_on(unit.BACKEND))
        self.assertLess(time.monotonic() - started, within)

    def forget(self):
        """Let the API be a process that has just started."""
        self.client = client.VolumeClient(*self.connect(self.way.url))

    def test_a_worker_of_ours_does(self):
        self.serve().start()
        self.assertFindsOut(True)

    def test_a_worker_of_cinders_does_not_and_hears_nothing_of_it(self):
        came = []

        class Cinders(messaging.NoOpSerializer):
            def deserialize_context(self, values):
                came.append(values)
                return context.RequestContext.from_dict(values)

        _configuration, connection = self.connect(self.worker_way.url)
        targets = [
            messaging.Target(topic=topic, server=name) for topic, name in (
                (versions.VOLUME_TOPIC, unit.BACKEND),
                (f'{versions.VOLUME_TOPIC}.{unit.BACKEND}', 'node'))]
        served = server.Servers(lambda: [
            messaging.get_rpc_server(connection, target, [self.worker],
                                     serializer=Cinders())
            for target in targets], RPC_TIMEOUT)
        self.addCleanup(served.stop, 0)
        served.start()
        self.assertFindsOut(False)
        self.adopt('x')
        self.worker.references(1)
        self.assertEqual(1, len(came))

    def test_where_one_of_ours_has_been_the_broker_may_keep_its_queue(self):
        served = self.serve()
        served.start()
        self.assertFindsOut(True)
        self.assertTrue(served.stop(20))
        self.assertFindsOut(True)
        self.forget()
        self.assertFindsOut(False, within=client._SILENCE + 1)
        self.assertFindsOut(False)
        self.forget()
        self.serve().start()
        self.assertFindsOut(True)

    def test_a_broker_that_is_away_is_not_waited_for(self):
        self.way.down()
        self.assertUnavailable(self.client.carries_on, unit.BACKEND)
        self.way.up()
        self.way.freeze()
        self.assertUnavailable(self.client.carries_on, unit.BACKEND)


class BrokerDiesTest(RabbitMQTestCase):

    def test_requests_fail_in_time_and_work_again_by_themselves(self):
        self.serve().start()
        self.adopt('before')
        self.list()
        self.way.down()
        self.assertUnavailable(self.adopt, 'meanwhile')
        self.assertUnavailable(self.list)
        self.way.up()
        self.assertAnswersAgain()
        self.adopt('after')
        self.assertEqual(['before', 'after'], self.worker.references(2))

    def test_an_api_that_starts_without_a_broker_finds_it_later(self):
        self.serve().start()
        self.way.down()
        self.assertUnavailable(self.list)
        self.assertUnavailable(self.adopt, 'meanwhile')
        self.way.up()
        self.assertAnswersAgain()
        self.adopt('after')
        self.assertEqual(['after'], self.worker.references(1))

    def test_a_restart_is_not_even_noticed(self):
        self.serve().start()
        self.adopt('before')
        self.way.down()
        back = threading.Timer(1, self.way.up)
        back.start()
        self.addCleanup(back.join)
        self.adopt('after')
        self.assertEqual(['before', 'after'], self.worker.references(2))

    def test_a_worker_listens_again(self):
        self.serve().start()
        self.list()
        self.worker_way.down()
        self.adopt('meanwhile')
        self.worker_way.up()
        self.assertEqual(['meanwhile'], self.worker.references(1))
        self.assertAnswersAgain()

    def test_a_worker_that_starts_without_a_broker_finds_it_later(self):
        self.worker_way.down()
        served = self.serve()
        self.assertUnavailable(served.start)
        self.worker_way.up()
        self.adopt('after')
        self.assertEqual(['after'], self.worker.references(1))
        served.start()

    def test_a_wrong_password_is_known_at_once(self):
        self.worker_way.url = self.worker_way.url.replace('guest@', 'wrong@')
        self.assertUnavailable(self.serve().start)
        self.assertIn('ACCESS_REFUSED', self.log.output)


class BrokerHangsTest(RabbitMQTestCase):

    def test_requests_fail_in_time_and_are_not_made_up_for_later(self):
        self.serve().start()
        self.adopt('before')
        self.list()
        self.way.freeze()
        self.assertUnavailable(self.adopt, 'meanwhile')
        self.assertUnavailable(self.list)
        self.way.thaw()
        self.assertAnswersAgain()
        self.adopt('after')
        self.assertEqual(['before', 'after'], self.worker.references(2))

    def test_an_api_that_starts_with_such_a_broker_fails_in_time(self):
        self.serve().start()
        self.way.freeze()
        self.assertUnavailable(self.list)
        self.assertUnavailable(self.adopt, 'meanwhile')
        self.way.thaw()
        self.assertAnswersAgain()
        self.assertEqual([], self.worker.adopted)

    def test_threads_do_not_pile_up(self):
        casts = _configuration(
            self.way.url).manageable_snapshots.concurrent_casts
        self.serve().start()
        self.way.freeze()
        requests = [
            threading.Thread(target=self.assertUnavailable,
                             args=(self.adopt, 'meanwhile'))
            for _count in range(casts * 2)]
        for request in requests:
            request.start()
        started = time.monotonic()
        for request in requests:
            request.join()
        self.assertLess(time.monotonic() - started, RPC_TIMEOUT + 2)
        waiting = [thread for thread in threading.enumerate()
                   if thread.name == 'rpc']
        self.assertLessEqual(len(waiting), casts)
        self.way.thaw()
        for thread in waiting:
            thread.join(20)
        self.assertAnswersAgain()
        self.assertEqual([], self.worker.adopted)

    def test_a_worker_that_is_cut_off_is_unavailable(self):
        self.serve().start()
        self.list()
        self.worker_way.freeze()
        self.assertUnavailable(self.list)
        self.worker_way.thaw()
        self.assertAnswersAgain()

    def test_a_process_can_end_meanwhile(self):
        self.way.freeze()
        started = time.monotonic()
        ended = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _ASK, self.way.url],
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE, text=True, timeout=60, check=True)
        self.assertEqual('VolumeServiceUnavailable\n', ended.stdout)
        self.assertLess(time.monotonic() - started, RPC_TIMEOUT + 20)


_ASK = '''
import sys
from manageable_snapshots import context
from manageable_snapshots.rpc import client
from manageable_snapshots.tests.integration import test_rabbitmq
configuration = test_rabbitmq._configuration(sys.argv[1])
asked = client.VolumeClient(
    configuration, test_rabbitmq.transport.get_transport(configuration))
try:
    asked.manage_existing_snapshot(
        context.get_admin_context(), 'node@dir', {}, 'x')
except Exception as error:
    print(type(error).__name__)
'''


class NotificationsTest(RabbitMQTestCase):

    def setUp(self):
        super().setUp()
        self.topic = f'test-{uuid.uuid4().hex}'
        self.came = []
        self.all_came = threading.Event()

    def configuration(self):
        configuration = _configuration(self.way.url)
        for name, value in {'driver': ['messagingv2'],
                            'topics': [self.topic]}.items():
            configuration.set_override(
                name, value, 'oslo_messaging_notifications')
        return configuration

    def listen(self):
        configuration = self.configuration()
        listener = messaging.get_notification_listener(
            messaging.get_notification_transport(configuration),
            [messaging.Target(topic=self.topic)], [self])
        listener.start()
        self.addCleanup(listener.stop)

    def info(self, context, publisher_id, event_type, payload, metadata):
        self.came.append((publisher_id, event_type, payload))
        if event_type.endswith('.end'):
            self.all_came.set()

    def notify(self, suffix):
        self.notifier.snapshot(
            self.context, f'manage_existing_snapshot.{suffix}',
            notifications.snapshot_usage(
                unit.snapshot_row(), unit.volume_row(), {'k': 'v'}))

    def test_they_arrive_in_cinders_form(self):
        self.listen()
        self.notifier = notifications.Notifier(
            self.configuration(), unit.BACKEND)
        self.notify('start')
        self.notify('end')
        self.assertTrue(self.all_came.wait(20))
        self.assertEqual(
            [('snapshot.node@dir', 'snapshot.manage_existing_snapshot.start'),
             ('snapshot.node@dir', 'snapshot.manage_existing_snapshot.end')],
            [came[:2] for came in self.came])
        self.assertEqual(unit.SNAPSHOT_ID, self.came[0][2]['snapshot_id'])

    def test_those_of_a_bad_day_arrive_later(self):
        self.notifier = notifications.Notifier(
            self.configuration(), unit.BACKEND)
        self.way.down()
        started = time.monotonic()
        self.notify('start')
        self.notify('end')
        self.assertLess(time.monotonic() - started, 1)
        self.assertFalse(self.notifier.flush(0.5))
        self.way.up()
        self.listen()
        self.assertTrue(self.all_came.wait(30))
        self.assertEqual(2, len(self.came))
        self.assertTrue(self.notifier.flush(20))
