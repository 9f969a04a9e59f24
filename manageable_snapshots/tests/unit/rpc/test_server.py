# SPDX-License-Identifier: Apache-2.0

import threading

import fixtures
import oslo_messaging as messaging

from manageable_snapshots import exception
from manageable_snapshots.rpc import server
from manageable_snapshots.rpc import versions
from manageable_snapshots.standalone import in_process
from manageable_snapshots.tests.unit.rpc import base


class Endpoint:
    target = messaging.Target(version=versions.RPC_VERSION)

    def __init__(self):
        self.contexts = []
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def get_capabilities(self, ctxt, discover):
        self.contexts.append(ctxt)
        return {'discover': discover}

    def fail(self, context, error):
        raise {'request': exception.DriverCannot(driver='x', what='list'),
               'driver': exception.DriverNotInitialized(),
               'bug': KeyError('/etc/secret')}[error]

    def hang(self, ctxt):
        self.entered.set()
        self.go_on.wait(10)

    def stop(self, timeout):
        raise AssertionError('This is not for everyone.')


class GetServersTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.transport = in_process.get_transport(self.conf)
        self.endpoint = Endpoint()
        self.addCleanup(self.endpoint.go_on.set)
        self.servers = server.get_servers(
            self.conf, self.transport, 'node@dir', [self.endpoint],
            cluster='group@dir')

    def start(self):
        self.servers.start()
        # In a second, that is: futurist looks no more often.
        self.addCleanup(self.servers.stop, 0)

    def ask(self, method, topic='cinder-volume.node@dir', name='node',
            version='3.0', **arguments):
        return messaging.get_rpc_client(
            self.transport,
            messaging.Target(topic=topic, server=name, version=version),
            timeout=10).call(self.context.to_dict(), method, **arguments)

    def refused(self, method, **arguments):
        return self.assertRaises(messaging.RemoteError, self.ask, method,
                                 **arguments)

    def test_it_listens_where_a_cinder_volume_does(self):
        self.start()
        for topic, name in (('cinder-volume', 'node@dir'),
                            ('cinder-volume', None),
                            ('cinder-volume.node@dir', 'node'),
                            ('cinder-volume.group@dir', 'group')):
            with self.subTest(topic=topic, name=name):
                self.assertEqual({'discover': True}, self.ask(
                    'get_capabilities', topic, name, discover=True))

    def test_it_says_that_it_is_there_where_a_cinder_volume_does_not(self):
        self.start()
        self.assertTrue(self.ask('ping', 'manageable-snapshots.group@dir',
                                 'group', version='1.0'))

    def test_without_a_cluster_it_is_there_by_its_own_name(self):
        self.servers = server.get_servers(
            self.conf, self.transport, 'node@dir', [self.endpoint])
        self.start()
        self.assertTrue(self.ask('ping', 'manageable-snapshots.node@dir',
                                 'node', version='1.0'))

    def test_who_asked_is_known(self):
        self.start()
        self.ask('get_capabilities', discover=True)
        self.assertEqual(('p', self.context.request_id), (
            self.endpoint.contexts[0].project_id,
            self.endpoint.contexts[0].request_id))

    def test_requests_of_every_release_are_taken(self):
        self.start()
        for version in ('3.0', '3.10', '3.18', '3.20'):
            with self.subTest(version=version):
                self.ask('get_capabilities', version=version, discover=True)

    def test_what_the_request_got_wrong_is_invalid_input(self):
        self.start()
        error = self.refused('fail', error='request')
        self.assertEqual(('InvalidInput', 'The driver x cannot list.'),
                         (error.exc_type, error.value))

    def test_other_errors_keep_their_names(self):
        self.start()
        self.assertEqual('DriverNotInitialized',
                         self.refused('fail', error='driver').exc_type)

    def test_arguments_that_do_not_fit_are_invalid_input(self):
        self.start()
        for arguments in ({}, {'discover': True, 'more': 1}):
            with self.subTest(arguments=arguments):
                error = self.refused('get_capabilities', **arguments)
                self.assertEqual('InvalidInput', error.exc_type)
                self.assertIn('get_capabilities: ', error.value)

    def test_errors_that_are_expected_are_not_in_the_log(self):
        self.start()
        self.refused('fail', error='request')
        self.assertNotIn('Traceback', self.log.output)

    def test_a_bug_is_in_the_log_and_nowhere_else(self):
        self.start()
        error = self.refused('fail', error='bug')
        self.assertNotIn('secret', str(error))
        self.assertIn("KeyError: '/etc/secret'", self.log.output)

    def test_only_the_interface_is_within_reach(self):
        self.start()
        for name in ('stop', '_private', 'entered', 'nothing'):
            with self.subTest(name=name):
                self.assertEqual('NoSuchMethod', self.refused(name).exc_type)

    def test_a_stop_waits_for_what_is_under_way(self):
        self.start()
        asking = threading.Thread(target=self.ask, args=('hang',))
        asking.start()
        self.addCleanup(asking.join, 10)
        self.assertTrue(self.endpoint.entered.wait(10))
        self.assertFalse(self.servers.stop(0.1))
        self.endpoint.go_on.set()
        self.assertTrue(self.servers.stop(10))

    def test_a_server_that_is_not_started_stops_at_once(self):
        self.assertTrue(self.servers.stop(0))


class Broker:
    """Makes servers that listen when they may."""

    def __init__(self, error=None):
        self.back = threading.Event()
        self.events = []
        self.error = error

    def start(self):
        self.events.append('start')
        self.back.wait(10)
        if self.error:
            raise self.error

    def stop(self):
        self.events.append('stop')

    def wait(self):
        self.events.append('wait')
        if self.error:
            raise self.error

    def create(self):
        return [self]


class ServersTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.broker = Broker()
        self.addCleanup(self.broker.back.set)
        self.servers = server.Servers(self.broker.create, 0.05)

    def test_a_broker_that_is_away_is_waited_for_only_so_long(self):
        self.assertRaises(exception.ServiceUnavailable, self.servers.start)
        self.assertRaises(exception.ServiceUnavailable, self.servers.start)
        self.broker.back.set()
        self.servers._timeout = 10
        self.servers.start()
        self.servers.start()
        self.assertEqual(['start'], self.broker.events)

    def test_what_the_broker_refuses_is_tried_again(self):
        self.broker.back.set()
        self.broker.error = ValueError('wrong password')
        self.servers._timeout = 10
        self.assertRaises(exception.ServiceUnavailable, self.servers.start)
        self.assertIn('Cannot listen for requests: wrong password',
                      self.log.output)
        self.broker.error = None
        self.servers.start()
        self.assertEqual(['start', 'start'], self.broker.events)

    def test_servers_of_a_start_that_failed_do_not_listen_on(self):
        good, bad = Broker(), Broker(ValueError('refused'))
        for broker in good, bad:
            broker.back.set()
        servers = server.Servers(lambda: [good, bad], 10)
        self.assertRaises(exception.ServiceUnavailable, servers.start)
        # The second one never listened: its stop would wait for its start.
        self.assertEqual((['start', 'stop', 'wait'], ['start']),
                         (good.events, bad.events))
        bad.error = None
        servers.start()
        self.assertEqual('start', good.events[-1])

    def test_servers_that_cannot_be_made_are_tried_again(self):
        def create():
            raise ValueError('no such host')

        servers = server.Servers(create, 10)
        self.assertRaises(exception.ServiceUnavailable, servers.start)
        self.assertIn('Cannot listen for requests: no such host',
                      self.log.output)
        self.broker.back.set()
        servers._create = self.broker.create
        servers.start()

    def test_who_was_stopped_does_not_listen_later(self):
        self.assertRaises(exception.ServiceUnavailable, self.servers.start)
        self.assertTrue(self.servers.stop(1))
        self.broker.back.set()
        self.servers._starting.join(10)
        self.assertEqual(['start', 'stop', 'wait'], self.broker.events)

    def test_an_error_does_not_keep_it_from_stopping(self):
        self.broker.back.set()
        self.servers._timeout = 10
        self.servers.start()
        self.broker.error = ValueError('gone')
        self.assertTrue(self.servers.stop(10))
        self.assertIn('did not stop cleanly: gone', self.log.output)
