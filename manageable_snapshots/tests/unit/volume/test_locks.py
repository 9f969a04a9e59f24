# SPDX-License-Identifier: Apache-2.0

"""Locks whose backend comes and goes."""

import fixtures
from oslotest import base as test_base
import tenacity
from tooz import coordination

from manageable_snapshots import conf as project_conf
from manageable_snapshots import exception
from manageable_snapshots.volume import locks

AWAY = coordination.ToozConnectionError('no etcd')


class Source:
    """A coordinator of whose locks each answers as it is told."""

    def __init__(self):
        self.calls = []
        self.acquired = True
        self.released = True

    def get_lock(self, name):
        return _Lock(self, name)


class _Lock:
    def __init__(self, source, name):
        self._source = source
        self._name = name.decode().split('-')[-2]

    def acquire(self, blocking):
        return self._answer('acquire', self._source.acquired)

    def release(self):
        return self._answer('release', self._source.released)

    def _answer(self, call, answer):
        self._source.calls.append(f'{call} {self._name}')
        if isinstance(answer, Exception):
            raise answer
        return answer


class LocksTest(test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        conf = project_conf.new()
        conf([], default_config_files=[])
        self.source = Source()
        self.locks = locks.Locks(conf, self.source, 'node@dir')

    def hold(self, name='volume-1'):
        with self.locks.hold(name):
            self.source.calls.append('work')

    def assert_refused(self, reason):
        self.assertIn(reason, self.assertRaises(
            exception.ServiceUnavailable, self.hold).msg)
        self.assertNotIn('work', self.source.calls)

    def test_it_is_held_meanwhile(self):
        self.hold()
        self.assertEqual(['acquire volume', 'work', 'release volume'],
                         self.source.calls)

    def test_who_has_waited_for_long_is_told_so_whatever_the_driver_says(self):
        for answer in (False, tenacity.RetryError(None)):
            self.source.acquired = answer
            self.assert_refused('Another adoption holds the lock')

    def test_a_backend_that_is_away_is_named_whatever_the_driver_says(self):
        for error, reason in (
                (AWAY, 'is away: no etcd'),
                (coordination.OperationTimedOut(''), ': OperationTimedOut'),
                (AttributeError('no client'), 'is away: no client')):
            self.source.acquired = error
            self.assert_refused(reason)

    def test_what_was_done_is_done_if_the_release_fails(self):
        for answer in (AWAY, OSError('broken pipe'), False):
            self.source.released = answer
            self.hold()
            self.source.released = True
        self.assertIn('is not released yet', self.log.output)
        self.assertIn('could not be released: broken pipe', self.log.output)
        self.assertIn('was gone before it was released', self.log.output)

    def test_what_has_failed_is_told_if_the_release_fails_too(self):
        self.source.released = AWAY

        def fail():
            with self.locks.hold('volume-1'):
                raise exception.InvalidInput(reason='wrong')

        self.assertRaises(exception.InvalidInput, fail)

    def test_a_release_that_did_not_get_through_is_made_up_for(self):
        self.source.released = AWAY
        self.hold('volume-1')
        self.source.calls.clear()
        self.assert_refused('is away')
        self.source.released = True
        self.source.calls.clear()
        self.hold('ref-x')
        self.hold('ref-x')
        self.assertEqual(
            ['release volume', *2 * ['acquire ref', 'work', 'release ref']],
            self.source.calls)

    def test_a_release_that_fails_otherwise_is_not_tried_again(self):
        self.source.released = coordination.ToozError('no such lock')
        self.hold()
        self.source.released = True
        self.source.calls.clear()
        self.hold()
        self.assertEqual(1, self.source.calls.count('release volume'))
