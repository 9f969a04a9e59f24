# SPDX-License-Identifier: Apache-2.0

"""Messages that reach the worker after their request was answered 503."""

import os

import oslo_messaging as messaging
from oslotest import base
import webob

from manageable_snapshots.tests.functional import fixtures

URL = f'/v3/{fixtures.PROJECT}'


class LateMessageTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.service = self.useFixture(fixtures.Service(
            manageable_snapshots={'rpc_timeout': 1}))
        self.service.populate()
        self.driver = self.service.transport._driver
        self.send = self.driver.send
        self.late = []

    def ask(self, method, path, body=None):
        """Status and JSON of an answer."""
        options = {} if body is None else {
            'json': body, 'content_type': 'application/json'}
        answer = webob.Request.blank(
            URL + path, method=method, headers={
                'X-Auth-Token': f'tester:{fixtures.PROJECT}',
                'OpenStack-API-Version': 'volume 3.8'}, **options
        ).get_response(self.service.app)
        return answer.status_int, answer.text and answer.json

    def refuse(self, *request):
        """Ask, and let the messages come late.

        The broker has them, only its word for it gets lost.
        """
        def send(*arguments, **options):
            self.late.append((arguments, options))
            raise messaging.MessageDeliveryFailure('connection lost')

        self.driver.send = send
        self.assertEqual(503, self.ask(*request)[0])
        self.driver.send = self.send

    def deliver(self):
        """Have the worker get the messages that are late."""
        before = self.service.logger.output.count('ignoring the message')
        for arguments, options in self.late:
            self.send(*arguments, **options)
        self.service.wait_for(
            lambda: self.service.logger.output.count('ignoring the message')
            == before + len(self.late))
        self.late.clear()

    def exists(self, *path):
        return os.path.exists(os.path.join(self.service.directory, *path))

    def status(self, path):
        status, answer = self.ask('GET', path)
        self.assertEqual(200, status)
        (thing,) = answer.values()
        return thing['status']

    def test_a_volume_is_not_deleted_late(self):
        path = f'/volumes/{fixtures.SECOND_VOLUME}'
        self.refuse('DELETE', path)
        self.deliver()
        self.assertEqual('available', self.status(path))
        self.assertTrue(self.exists(
            'volumes', f'volume-{fixtures.SECOND_VOLUME}'))

    def test_a_snapshot_is_neither_deleted_nor_unmanaged_late(self):
        path = f'/snapshots/{fixtures.SNAPSHOT}'
        for request in (('DELETE', path),
                        ('POST', f'{path}/action', {'os-unmanage': None})):
            with self.subTest(request=request):
                self.refuse(*request)
                self.deliver()
                self.assertEqual('available', self.status(path))
                self.assertIn(f'snapshot-{fixtures.SNAPSHOT}',
                              self.service.held(f'volume-{fixtures.VOLUME}'))

    def test_a_snapshot_that_is_unmanaged_now_is_not_deleted_late(self):
        path = f'/snapshots/{fixtures.SNAPSHOT}'
        self.refuse('DELETE', path)
        late, self.late = self.late, []
        self.driver.send = lambda *_arguments, **_options: None
        self.assertEqual(202, self.ask(
            'POST', f'{path}/action', {'os-unmanage': None})[0])
        self.driver.send = self.send
        self.late = late
        self.deliver()
        self.assertEqual('unmanaging', self.status(path))
        self.assertIn(f'snapshot-{fixtures.SNAPSHOT}',
                      self.service.held(f'volume-{fixtures.VOLUME}'))

    def test_a_volume_is_not_made_late(self):
        before = os.listdir(os.path.join(self.service.directory, 'volumes'))
        self.refuse('POST', '/volumes', {'volume': {'size': 1}})
        self.deliver()
        self.assertEqual(before, os.listdir(
            os.path.join(self.service.directory, 'volumes')))

    def test_a_snapshot_is_not_taken_late(self):
        name = f'volume-{fixtures.VOLUME}'
        before = self.service.held(name)
        self.refuse('POST', '/snapshots',
                    {'snapshot': {'volume_id': fixtures.VOLUME}})
        self.deliver()
        self.assertEqual(before, self.service.held(name))
