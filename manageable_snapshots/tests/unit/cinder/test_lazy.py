# SPDX-License-Identifier: Apache-2.0

"""What a start leaves in the log."""

import fixtures
from oslo_config import cfg
from oslo_db import exception as db_exc
import oslo_messaging as messaging
from oslotest import base

from manageable_snapshots.cinder import lazy
from manageable_snapshots.conf import warnings
from manageable_snapshots import exception


class StartingTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())

    def fail(self, error):
        def start():
            raise error

        self.assertIsNone(lazy.Lazy(start).get('the part'))

    def test_a_bug_leaves_its_traceback(self):
        for error in (AttributeError('no attribute x'), TypeError('x'),
                      KeyError('x'), NameError('x'), AssertionError('x'),
                      RecursionError('x'), ImportError('x')):
            with self.subTest(error=error):
                self.log.reset_output()
                self.fail(error)
                self.assertIn('Cannot start the part: ', self.log.output)
                self.assertIn('Traceback', self.log.output)
                self.assertIn(', in start', self.log.output)

    def test_what_the_operator_can_mend_is_a_line(self):
        for error in (
                exception.ConfigurationError(
                    option='x', group='y', reason='z'),
                exception.ServiceUnavailable('one\n  two'),
                cfg.NoSuchOptError('x'), db_exc.DBConnectionError(),
                messaging.MessagingTimeout('x'), PermissionError('x'),
                ConnectionRefusedError('x'), TimeoutError('x')):
            with self.subTest(error=error):
                self.log.reset_output()
                self.fail(error)
                self.assertEqual(1, len(self.log.output.splitlines()))

    def test_a_warning_is_logged_once(self):
        for sentence in ('a 100% thing', 'another', 'a 100% thing'):
            warnings.warn_once(sentence)
        self.assertEqual(['a 100% thing', 'another'],
                         self.log.output.splitlines())
