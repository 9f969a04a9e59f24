# SPDX-License-Identifier: Apache-2.0

import threading

import fixtures
from oslo_messaging.notify import _impl_test

from manageable_snapshots.rpc import notifications
from manageable_snapshots.rpc import transport
from manageable_snapshots.standalone import in_process
from manageable_snapshots.tests.unit.rpc import base


class Sender:
    """Stands in for oslo.messaging's notifier; waits to be let go on."""

    def __init__(self, error=None):
        self.go_on = threading.Event()
        self.sent = []
        self.error = error

    def info(self, context, event, payload):
        self.go_on.wait(10)
        self.sent.append(event)
        if self.error:
            raise self.error


class SnapshotUsageTest(base.TestCase):

    def test_it_is_cinders(self):
        self.assertEqual({
            'tenant_id': 'p', 'user_id': 'u', 'availability_zone': 'nova',
            'volume_id': base.VOLUME_ID, 'volume_size': 3,
            'snapshot_id': base.SNAPSHOT_ID, 'display_name': 'daily',
            'created_at': '2026-01-02T03:04:05+00:00',
            'status': 'available', 'deleted': '', 'metadata': '',
        }, notifications.snapshot_usage(
            base.snapshot_row(created_at=base.volume_row().created_at),
            base.volume_row(), {}))

    def test_what_is_set_is_a_string(self):
        usage = notifications.snapshot_usage(
            base.snapshot_row(deleted=True), base.volume_row(), {'a': 'b'})
        self.assertEqual(('True', "{'a': 'b'}"),
                         (usage['deleted'], usage['metadata']))


class NotifierTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        in_process.get_transport(self.conf)
        self.addCleanup(_impl_test.reset)

    def notifier(self):
        return notifications.Notifier(self.conf, base.BACKEND)

    def notifier_with(self, sender):
        self.useFixture(fixtures.MockPatchObject(
            transport, 'get_notifier', lambda *args: sender))
        self.addCleanup(sender.go_on.set)
        return self.notifier()

    def test_off_it_costs_nothing(self):
        before = threading.active_count()
        notifier = self.notifier()
        notifier.snapshot(self.context, 'x.start', {})
        self.assertEqual(before, threading.active_count())
        self.assertTrue(notifier.flush(0))

    def test_events_are_named_and_ordered_as_cinders(self):
        self.conf.set_override('driver', ['test'],
                               'oslo_messaging_notifications')
        notifier = self.notifier()
        for suffix in ('start', 'end', 'error'):
            notifier.snapshot(self.context,
                              f'manage_existing_snapshot.{suffix}',
                              {'snapshot_id': base.SNAPSHOT_ID})
        self.assertTrue(notifier.flush(10))
        self.assertEqual([
            ('snapshot.manage_existing_snapshot.start', 'INFO'),
            ('snapshot.manage_existing_snapshot.end', 'INFO'),
            ('snapshot.manage_existing_snapshot.error', 'ERROR'),
        ], [(message['event_type'], priority)
            for _context, message, priority, _retry
            in _impl_test.NOTIFICATIONS])
        context, message, _priority, _retry = _impl_test.NOTIFICATIONS[0]
        self.assertEqual('snapshot.node@dir', message['publisher_id'])
        self.assertEqual('p', context['project_id'])
        self.assertNotIn('the-token', str(context))

    def test_nobody_waits_for_a_broker(self):
        sender = Sender()
        notifier = self.notifier_with(sender)
        notifier.snapshot(self.context, 'x.start', {})
        notifier.snapshot(self.context, 'x.end', {})
        self.assertFalse(notifier.flush(0.01))
        self.assertEqual([], sender.sent)
        sender.go_on.set()
        self.assertTrue(notifier.flush(10))
        self.assertEqual(['snapshot.x.start', 'snapshot.x.end'], sender.sent)

    def test_what_is_too_much_is_dropped_and_logged(self):
        self.useFixture(fixtures.MockPatchObject(
            notifications, 'QUEUE_LENGTH', 1))
        sender = Sender()
        notifier = self.notifier_with(sender)
        for _count in range(5):
            notifier.snapshot(self.context, 'x.start',
                              {'snapshot_id': 'the-one'})
        self.assertIn('Notification snapshot.x.start of snapshot the-one is '
                      'dropped', self.log.output)
        sender.go_on.set()
        self.assertTrue(notifier.flush(10))
        self.assertLess(len(sender.sent), 5)

    def test_one_that_fails_is_logged_and_the_next_is_sent(self):
        sender = Sender(ValueError('no broker'))
        sender.go_on.set()
        notifier = self.notifier_with(sender)
        notifier.snapshot(self.context, 'x.start', {'snapshot_id': 'one'})
        notifier.snapshot(self.context, 'x.start', {'snapshot_id': 'two'})
        self.assertTrue(notifier.flush(10))
        self.assertEqual(2, len(sender.sent))
        # A ValueError may be a bug.
        self.assertIn('Traceback', self.log.output)
        self.assertIn('of snapshot one was not sent: no broker',
                      self.log.output)
