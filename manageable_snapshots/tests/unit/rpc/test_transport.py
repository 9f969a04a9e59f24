# SPDX-License-Identifier: Apache-2.0

import oslo_messaging as messaging

from manageable_snapshots import exception
from manageable_snapshots.rpc import transport
from manageable_snapshots.standalone import in_process
from manageable_snapshots.tests.unit.rpc import base


class GetTransportTest(base.TestCase):

    def setUp(self):
        super().setUp()
        # The options are known from the first transport on.
        in_process.get_transport(self.conf)

    def test_it_needs_no_broker_to_be_made(self):
        self.conf.set_override('transport_url', 'rabbit://u:p@127.0.0.1:1/')
        self.assertIsInstance(transport.get_transport(self.conf),
                              messaging.Transport)

    def test_a_url_that_cannot_be_used_is_named_without_its_password(self):
        for url in ('carrier-pigeon://u:secret@host/', 'rabbit',
                    'rabbit://u:secret@host:port/'):
            with self.subTest(url=url):
                self.conf.set_override('transport_url', url)
                error = self.assertRaises(
                    exception.ConfigurationError, transport.get_transport,
                    self.conf)
                self.assertIn('Option transport_url in section [DEFAULT]',
                              error.msg)
                self.assertNotIn('secret', error.msg)
                self.assertIsNone(error.__cause__)

    def test_a_broker_that_comes_back_is_noticed_soon(self):
        transport.get_transport(self.conf)
        self.assertEqual(
            3, self.conf.oslo_messaging_rabbit.rabbit_interval_max)

    def test_the_operator_knows_better(self):
        self.conf.set_override('rabbit_interval_max', 9,
                               'oslo_messaging_rabbit')
        transport.get_transport(self.conf)
        self.assertEqual(
            9, self.conf.oslo_messaging_rabbit.rabbit_interval_max)


class GetNotifierTest(base.TestCase):

    def setUp(self):
        super().setUp()
        in_process.get_transport(self.conf)

    def notify(self, **options):
        for name, value in options.items():
            self.conf.set_override(name, value,
                                   'oslo_messaging_notifications')
        return transport.get_notifier(self.conf, 'snapshot.node@dir')

    def test_notifications_are_off_unless_asked_for(self):
        self.assertIsNone(self.notify())
        self.assertIsNone(self.notify(driver=['noop']))

    def test_a_broker_that_is_away_is_tried_again(self):
        self.assertEqual(3, self.notify(driver=['test'], retry=3).retry)
        self.assertLess(1000, self.notify(driver=['test'], retry=-1).retry)

    def test_they_carry_who_sent_them(self):
        self.assertEqual('snapshot.node@dir',
                         self.notify(driver=['test']).publisher_id)

    def test_a_url_that_cannot_be_used_is_named(self):
        self.conf.set_override('transport_url', 'nonsense')
        error = self.assertRaises(exception.ConfigurationError, self.notify,
                                  driver=['messagingv2'])
        self.assertIn('[DEFAULT]', error.msg)
        error = self.assertRaises(
            exception.ConfigurationError, self.notify,
            driver=['messagingv2'], transport_url='nonsense')
        self.assertIn('[oslo_messaging_notifications]', error.msg)
