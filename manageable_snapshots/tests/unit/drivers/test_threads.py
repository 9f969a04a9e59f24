# SPDX-License-Identifier: Apache-2.0

"""Calls that block, with and without eventlet."""

import subprocess
import sys
import threading
from unittest import mock

from oslotest import base

from manageable_snapshots.drivers import threads

#: what a service is that eventlet has patched
_PATCHED = """
import eventlet
eventlet.monkey_patch()
import threading
import time
from eventlet import patcher

from manageable_snapshots.drivers import threads

block = patcher.original('time').sleep
real = patcher.original('threading')
ticks = []


def tick():
    while True:
        ticks.append(time.monotonic())
        time.sleep(0.01)


def where(item):
    block(0.2)
    return item, real.get_ident()


def fail(item):
    raise ValueError(item)


def within():
    return threads.call(where, 'inner'), threads.map(where, range(4), 4)


eventlet.spawn(tick)
"""


class TestThreads(base.BaseTestCase):

    def test_call(self):
        self.assertEqual(5, threads.call(divmod, 17, 3)[0])
        self.assertRaises(ZeroDivisionError, threads.call, divmod, 1, 0)

    def test_results_are_in_order(self):
        items = list(range(100))
        self.assertEqual([item * 2 for item in items],
                         threads.map(lambda item: item * 2, items, 8))
        self.assertEqual([], threads.map(str, [], 8))

    def test_as_many_at_once_as_there_may_be(self):
        together = threading.Barrier(4, timeout=30)
        threads.map(lambda _item: together.wait(), range(8), 4)
        idents = threads.map(
            lambda _item: threading.get_ident(), range(100), 3)
        self.assertLessEqual(len(set(idents)), 3)

    def test_after_an_error_nothing_is_begun(self):
        done = []

        def work(item):
            done.append(item)
            if item == 3:
                raise LookupError(item)

        error = self.assertRaises(
            LookupError, threads.map, work, range(1000), 1)
        self.assertEqual((3,), error.args)
        self.assertEqual([0, 1, 2, 3], done)

    def test_calls_that_block_do_not_keep_others_waiting(self):
        released = threading.Event()
        self.addCleanup(released.set)

        def work(item):
            if item % 2:
                released.wait()
            return item

        with mock.patch.object(threads, '_PAUSE', 0.05):
            self.assertEqual(
                [None if item % 2 else item for item in range(20)],
                threads.map(work, range(20), 2, seconds=2))

    def test_what_is_left_is_not_begun(self):
        released, begun = threading.Event(), []

        def work(item):
            begun.append(item)
            released.wait()

        with mock.patch.object(threads, '_MOST', 3):
            threads.map(work, range(9), 1, seconds=2)
        released.set()
        self.assertLessEqual(len(begun), 3)

    def test_what_is_slow_is_waited_for(self):
        done = threading.Event()

        def work(item):
            # Some call ends in each second, however long all of them take.
            done.wait(0.3)
            return item

        with mock.patch.object(threads, '_PAUSE', 5):
            self.assertEqual(list(range(4)),
                             threads.map(work, range(4), 1, seconds=0.1))

    def test_a_backend_that_hangs_for_a_moment_is_waited_for(self):
        stalled, done = threading.Event(), threading.Event()

        def work(item):
            if item == 1:
                stalled.wait(0.4)
            done.wait(0.01)
            return item

        with mock.patch.object(threads, '_PAUSE', 0.2):
            self.assertEqual(list(range(100)),
                             threads.map(work, range(100), 1, seconds=0.5))

    def test_calls_that_wait_in_vain_are_no_progress(self):
        begun, done = [], threading.Event()

        def work(item):
            begun.append(item)
            done.wait(0.05)
            return None

        with mock.patch.object(threads, '_PAUSE', 0.2), \
                mock.patch.object(threads, '_MOST', 1):
            threads.map(work, range(1000), 1, seconds=0.3,
                        is_progress=lambda result: result is not None)
        self.assertLess(len(begun), 1000)

    def test_an_error_ends_the_wait(self):
        released = threading.Event()
        self.addCleanup(released.set)

        def work(item):
            if item:
                raise LookupError(item)
            released.wait()

        self.assertRaises(
            LookupError, threads.map, work, range(2), 2, seconds=60)

    def test_nobody_needs_eventlet(self):
        ran = subprocess.run(
            [sys.executable, '-c',
             'import sys\n'
             'from manageable_snapshots.drivers import threads\n'
             'threads.map(str, [1], 2)\n'
             'print("eventlet" in sys.modules)'],
            capture_output=True, text=True, timeout=60)
        self.assertEqual('False\n', ran.stdout, ran.stderr)


class TestThreadsOfEventlet(base.BaseTestCase):

    def run_patched(self, *lines):
        ran = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c',
             '\n'.join((_PATCHED, *lines, 'print("fine")'))],
            capture_output=True, text=True, timeout=60)
        self.assertEqual('fine\n', ran.stdout, ran.stderr)

    def test_others_go_on_during_a_call(self):
        self.run_patched(
            'eventlet.sleep(0)',
            'before = len(ticks)',
            'item, ident = threads.call(where, "a")',
            'assert item == "a"',
            'assert ident != real.get_ident()',
            'assert len(ticks) > before + 3, ticks')

    def test_others_go_on_during_a_map(self):
        self.run_patched(
            'eventlet.sleep(0)',
            'before, started = len(ticks), time.monotonic()',
            'found = threads.map(where, range(8), 8)',
            'assert [item for item, _ident in found] == list(range(8))',
            'assert len({ident for _item, ident in found}) == 8, found',
            'assert time.monotonic() - started < 1.5',
            'assert len(ticks) > before + 3, ticks')

    def test_calls_that_block(self):
        self.run_patched(
            'released = real.Event()',
            'def hang(item):',
            '    return item if item else released.wait()',
            'before = len(ticks)',
            'found = threads.map(hang, range(3), 1, seconds=2)',
            'assert found == [None, 1, 2], found',
            'assert len(ticks) > before + 3, ticks',
            'released.set()')

    def test_from_within_a_thread(self):
        self.run_patched(
            '(item, _ident), found = threads.call(within)',
            'assert item == "inner"',
            'assert [item for item, _ident in found] == list(range(4))')

    def test_errors(self):
        self.run_patched(
            'for function, *args in ((threads.call, fail, 1),',
            '                        (threads.map, fail, [1], 4)):',
            '    try:',
            '        function(*args)',
            '    except ValueError as error:',
            '        assert error.args == (1,)',
            '    else:',
            '        raise AssertionError()')

    def test_eventlet_that_is_loaded_only(self):
        ran = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c',
             'import eventlet, threading\n'
             'from manageable_snapshots.drivers import threads\n'
             'here = threading.get_ident()\n'
             'assert threads.call(threading.get_ident) == here\n'
             'assert threads.map(str, [1], 2) == ["1"]\n'],
            capture_output=True, text=True, timeout=60)
        self.assertEqual('', ran.stderr)
