# SPDX-License-Identifier: Apache-2.0

import dataclasses
import threading

import fixtures
from oslotest import base as test_base

from manageable_snapshots.cinder import last_list
from manageable_snapshots.drivers import base
from manageable_snapshots import exception

ENTRY = base.BackendSnapshot(
    reference={'source-name': 'a'}, source_reference={}, size=1)
ADOPTED = dataclasses.replace(ENTRY, cinder_id='row')


class LastListTest(test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.now = 100.0
        self.useFixture(fixtures.MockPatchObject(
            last_list.time, 'monotonic', lambda: self.now))
        self.asked, self.takes = 0, 1
        self.during = lambda: None
        self.last = last_list.LastList(self.ask, keep=5, timeout=1)

    def ask(self):
        self.asked += 1
        self.now += self.takes
        self.during()
        return [ENTRY]

    def test_a_quick_list_is_fresh_for_as_long_as_is_said(self):
        self.takes = 0.9
        self.last.renew()
        self.now += 4.9
        self.assertTrue(self.last.is_fresh)
        self.now += 0.2
        self.assertFalse(self.last.is_fresh)

    def test_a_slow_list_is_fresh_for_ten_times_as_long_as_it_took(self):
        self.assertFalse(self.last.exists)
        self.last.renew()
        self.assertTrue(self.last.exists)
        self.now += 9.9
        self.assertTrue(self.last.is_fresh)
        self.now += 0.2
        self.assertFalse(self.last.is_fresh)

    def test_what_is_adopted_during_a_list_is_kept(self):
        self.during = lambda: self.last.add(ADOPTED)
        self.last.renew()
        self.assertEqual([ENTRY, ADOPTED], self.last.entries)
        self.during = lambda: None
        self.now += 1
        self.last.renew()
        self.assertEqual([ENTRY], self.last.entries)

    def test_a_list_that_was_forgotten_meanwhile_is_not_kept(self):
        self.during = self.last.forget
        self.last.renew()
        self.assertEqual([], self.last.entries)
        self.assertFalse(self.last.exists)

    def test_a_failure_is_not_repeated_at_once(self):
        def fail():
            raise LookupError()

        self.during = fail
        self.assertRaises(LookupError, self.last.renew)
        self.assertFalse(self.last.exists)
        self.assertTrue(self.last.is_fresh)

    def test_one_list_does_for_those_that_wait_for_it(self):
        self.last.renew_once()
        self.now += 1
        self.last.renew_once()
        self.assertEqual(2, self.asked)
        # A list that began after the call came.
        clock = iter([self.now, self.now + 3])
        self.now += 2
        self.last.renew()
        with fixtures.MockPatchObject(
                last_list.time, 'monotonic', lambda: next(clock)):
            self.last.renew_once()
        self.assertEqual(3, self.asked)

    def test_a_list_that_hangs_is_waited_for_so_long(self):
        held, done = threading.Event(), threading.Event()
        self.addCleanup(done.set)

        def hang():
            held.set()
            done.wait(60)

        self.during = hang
        thread = threading.Thread(target=self.last.renew_once, daemon=True)
        thread.start()
        self.assertTrue(held.wait(10))
        self.assertRaises(exception.BackendTimeout, self.last.renew_once)
