# SPDX-License-Identifier: Apache-2.0

import datetime

import oslo_messaging as messaging
from oslo_messaging._drivers import common

from manageable_snapshots import exception
from manageable_snapshots.rpc import serializer
from manageable_snapshots.tests.unit.rpc import base


class RequestContextSerializerTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.serializer = serializer.RequestContextSerializer()

    def test_a_context_arrives_as_it_was_sent(self):
        arrived = self.serializer.deserialize_context(
            self.serializer.serialize_context(self.context))
        self.assertEqual(self.context.to_dict(), arrived.to_dict())

    def test_a_context_of_cinders_is_understood(self):
        context = self.serializer.deserialize_context({
            'user': 'u', 'user_id': 'u', 'project_id': 'p',
            'is_admin': True, 'roles': ['admin'], 'read_deleted': 'no',
            'timestamp': '2026-01-02T03:04:05.000678',
            'service_catalog': [], 'message_action': None,
            'trace_info': {'hmac_key': 'k'}, 'request_id': 'req-1',
            'user_identity': 'u p - - -'})
        self.assertEqual(('u', 'p', True, 'req-1'), (
            context.user_id, context.project_id, context.is_admin,
            context.request_id))
        self.assertEqual(datetime.datetime(2026, 1, 2, 3, 4, 5, 678),
                         context.timestamp.replace(tzinfo=None))

    def test_what_is_no_context_is_refused(self):
        error = self.assertRaises(
            messaging.ExpectedException,
            self.serializer.deserialize_context, {'timestamp': 'yesterday'})
        self.assertIs(exception.InvalidInput, error.exc_info[0])

    def test_arguments_are_left_alone(self):
        argument = {'ref': ['x']}
        self.assertIs(argument, self.serializer.deserialize_entity(
            self.context, argument))


class NotificationSerializerTest(base.TestCase):

    def test_no_token_is_sent(self):
        sent = serializer.NotificationSerializer().serialize_context(
            self.context)
        self.assertNotIn('the-token', str(sent))
        self.assertEqual('p', sent['project_id'])


class ExpectedTest(base.TestCase):

    def on_the_wire(self, error):
        try:
            raise KeyError('inner') from None
        except KeyError:
            try:
                raise error
            except exception.ManageableSnapshotsException as raised:
                answer = serializer.expected(raised)
        return common.serialize_remote_exception(answer.exc_info)

    def test_what_the_request_got_wrong_is_invalid_input(self):
        sent = self.on_the_wire(exception.ManageExistingInvalidReference(
            existing_ref='x', reason='no.'))
        self.assertIn('"class": "InvalidInput"', sent)
        self.assertIn('invalid backend reference x: no.', sent)

    def test_cinders_api_recognises_it(self):
        received = common.deserialize_remote_exception(
            self.on_the_wire(exception.InvalidInput(reason='no marker')),
            ['cinder.exception'])
        self.assertEqual(
            ('InvalidInput', 'Invalid input received: no marker'),
            (received.exc_type, received.value))

    def test_other_errors_keep_their_names(self):
        self.assertIn('"class": "DriverNotInitialized"',
                      self.on_the_wire(exception.DriverNotInitialized()))

    def test_no_traceback_goes_along(self):
        sent = self.on_the_wire(exception.ServiceUnavailable())
        self.assertNotIn('.py', sent)
        self.assertNotIn('KeyError', sent)
