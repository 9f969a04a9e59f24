# SPDX-License-Identifier: Apache-2.0

"""Adoptions that wait for a thread."""

import threading
from unittest import mock

import fixtures
from oslotest import base as test_base

from manageable_snapshots.volume import backlog


class BacklogTestCase(test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.go = threading.Event()
        self.addCleanup(self.go.set)
        self.done = []
        self.ended = threading.Semaphore(0)

    def backlog(self, threads=1, limit=2, refill=lambda: None):
        waiting = backlog.Backlog(threads, limit, refill)
        self.addCleanup(waiting.stop, 0)
        return waiting

    def put(self, waiting, name, project='p'):
        def adopt():
            self.go.wait(30)
            self.done.append(name)
            self.ended.release()
            return True
        return waiting.put(name, project, adopt)

    def busy(self, **options):
        """A backlog whose thread has something to do until ``go``."""
        waiting = self.backlog(**options)
        running = threading.Event()

        def adopt():
            running.set()
            return self.go.wait(30)

        waiting.put('first', 'another', adopt)
        self.assertTrue(running.wait(30))
        return waiting

    def ended_in_order(self, count):
        self.go.set()
        for _count in range(count):
            self.assertTrue(self.ended.acquire(timeout=30))
        return self.done


class BacklogTest(BacklogTestCase):

    def test_what_is_put_is_done(self):
        waiting = self.backlog()
        self.assertTrue(self.put(waiting, 'a'))
        self.go.set()
        self.assertTrue(self.ended.acquire(timeout=30))
        self.assertEqual(['a'], self.done)

    def test_a_snapshot_is_taken_up_once_at_a_time(self):
        waiting = self.backlog()
        self.assertTrue(self.put(waiting, 'a'))
        self.assertTrue(self.put(waiting, 'a'))
        self.put(waiting, 'b')
        self.assertEqual(['a', 'b'], self.ended_in_order(2))

    def test_what_runs_for_long_gets_nowhere_nor_does_what_waits(self):
        waiting = self.busy()
        self.put(waiting, 'behind')
        for name in ('first', 'behind', 'not taken up'):
            self.assertFalse(waiting.gets_nowhere(name))
            with mock.patch.object(backlog, 'HANGING', 0):
                self.assertTrue(waiting.gets_nowhere(name))

    def test_as_long_as_a_thread_is_free_nothing_waits_in_vain(self):
        waiting = self.busy(threads=2)
        with mock.patch.object(backlog, 'HANGING', 0):
            self.assertTrue(waiting.gets_nowhere('first'))
            self.assertFalse(waiting.gets_nowhere('not taken up'))

    def test_a_full_backlog_takes_no_more(self):
        waiting = self.backlog(limit=2)
        self.put(waiting, 'a')
        self.put(waiting, 'b')
        self.assertFalse(self.put(waiting, 'c'))

    def test_there_is_room_again_when_one_is_done(self):
        waiting = self.backlog(limit=1)
        self.put(waiting, 'a')
        self.go.set()
        self.assertTrue(self.ended.acquire(timeout=30))
        with waiting._changed:
            self.assertTrue(waiting._changed.wait_for(
                lambda: not waiting._taken, 30))
        self.assertTrue(self.put(waiting, 'b'))

    def test_projects_take_turns(self):
        waiting = self.busy(limit=100)
        for project, count in (('p', 4), ('q', 2), ('r', 1)):
            for number in range(count):
                self.put(waiting, f'{project}{number}', project)
        self.assertEqual(['p0', 'q0', 'r0', 'p1', 'q1', 'p2', 'p3'],
                         self.ended_in_order(7))

    def test_who_has_most_waiting_makes_room(self):
        waiting = self.busy(limit=4)
        self.assertEqual([True, True, True, False], [
            self.put(waiting, f'p{number}', 'p') for number in range(4)])
        self.assertEqual([True, False], [
            self.put(waiting, f'q{number}', 'q') for number in range(2)])
        # What was left out may come again.
        self.assertFalse(self.put(waiting, 'p2', 'p'))
        self.assertEqual(['p0', 'q0', 'p1'], self.ended_in_order(3))
        self.assertTrue(self.put(waiting, 'p2', 'p'))

    def test_a_stopped_backlog_takes_no_more(self):
        waiting = self.backlog()
        self.assertTrue(waiting.stop(0))
        self.assertFalse(self.put(waiting, 'a'))

    def test_stopping_finishes_what_runs_and_drops_what_waits(self):
        waiting = self.backlog(threads=1)
        running = threading.Event()

        def adopt():
            running.set()
            self.go.wait(30)
            self.done.append('a')

        waiting.put('a', 'p', adopt)
        self.put(waiting, 'b')
        self.assertTrue(running.wait(30))
        stopped = []
        stopping = threading.Thread(
            target=lambda: stopped.append(waiting.stop(None)))
        stopping.start()
        self.go.set()
        stopping.join(30)
        self.assertEqual([True], stopped)
        self.assertEqual(['a'], self.done)

    def test_stopping_is_bounded(self):
        waiting = self.backlog()
        running = threading.Event()

        def adopt():
            running.set()
            self.go.wait(30)

        waiting.put('a', 'p', adopt)
        self.assertTrue(running.wait(30))
        self.assertFalse(waiting.stop(0.01))

    def test_a_failure_is_logged_and_makes_room(self):
        log = self.useFixture(fixtures.FakeLogger())
        waiting = self.backlog(limit=1)

        running = threading.Event()

        def adopt():
            running.set()
            raise ValueError('no such luck')

        waiting.put('a', 'p', adopt)
        self.assertTrue(running.wait(30))
        self.assertTrue(waiting.stop(30))
        self.assertIn('no such luck', log.output)

    def test_nothing_ends_a_thread_but_want_of_work(self):
        waiting = self.busy(limit=3)
        self.useFixture(fixtures.FakeLogger())
        waiting.put('a', 'p', mock.Mock(side_effect=SystemExit))
        self.put(waiting, 'b')
        self.assertEqual(['b'], self.ended_in_order(1))

    def threads(self):
        return [thread for thread in threading.enumerate()
                if thread.name == 'adoption']

    def test_there_are_threads_as_long_as_there_is_work(self):
        waiting = self.backlog(threads=3, limit=100)
        before = self.threads()
        for number in range(10):
            self.put(waiting, f'a{number}')
        mine = [thread for thread in self.threads() if thread not in before]
        self.assertEqual(3, len(mine))
        # The process must be able to end while a backend hangs.
        self.assertTrue(all(thread.daemon for thread in mine))
        self.ended_in_order(10)
        for thread in mine:
            thread.join(30)
            self.assertFalse(thread.is_alive())
        self.put(waiting, 'again')
        self.ended_in_order(1)

    def test_a_thread_that_cannot_start_leaves_it_to_the_database(self):
        waiting = self.backlog()
        self.go.set()
        with mock.patch.object(threading.Thread, 'start',
                               side_effect=RuntimeError("can't start")):
            self.assertRaises(RuntimeError, self.put, waiting, 'a')
        self.assertFalse(waiting.has('a'))
        self.put(waiting, 'a')
        self.assertEqual(['a'], self.ended_in_order(1))

    def test_many_that_come_at_once_are_adopted_once_each(self):
        waiting = self.backlog(threads=4, limit=1000)
        together = threading.Barrier(8)

        def put():
            together.wait(30)
            for number in range(50):
                self.put(waiting, f'a{number}')

        putting = [threading.Thread(target=put) for _ in range(8)]
        for thread in putting:
            thread.start()
        for thread in putting:
            thread.join(30)
        self.assertEqual(50, len(set(self.ended_in_order(50))))
        self.assertTrue(waiting.stop(30))
        self.assertEqual(50, len(self.done))


class RefillTest(BacklogTestCase):
    """What was left to the database, when there is room again."""

    def setUp(self):
        super().setUp()
        self.refilled = threading.Semaphore(0)

    def left_out(self, settled, refill=lambda waiting: None):
        """A backlog that had no room for one; its thread has ended."""
        def refill_and_tell():
            refill(waiting)
            self.refilled.release()

        waiting = self.backlog(limit=1, refill=refill_and_tell)

        def adopt():
            self.go.wait(30)
            return settled

        waiting.put('first', 'p', adopt)
        self.assertFalse(self.put(waiting, 'left out'))
        self.go.set()
        self.wait_for_the_end(waiting)
        return waiting

    def wait_for_the_end(self, waiting):
        for thread in threading.enumerate():
            if getattr(thread, '_target', None) == waiting._work:
                thread.join(30)
                self.assertFalse(thread.is_alive())

    def is_refilled(self):
        return self.refilled.acquire(blocking=False)

    def test_it_is_taken_up_at_once(self):
        self.left_out(True, lambda waiting: self.put(waiting, 'left out'))
        self.assertTrue(self.is_refilled())
        self.assertEqual(['left out'], self.done)

    def test_nothing_is_looked_for_where_all_had_room(self):
        waiting = self.left_out(True)
        self.assertTrue(self.is_refilled())
        self.put(waiting, 'alone')
        self.wait_for_the_end(waiting)
        self.assertFalse(self.is_refilled())

    def test_while_the_backend_is_away_it_is_not_asked_without_a_pause(self):
        waiting = self.left_out(False)
        self.assertFalse(self.is_refilled())
        # The first that succeeds shows that it is back.
        self.put(waiting, 'another')
        self.wait_for_the_end(waiting)
        self.assertTrue(self.is_refilled())

    def test_what_made_room_for_another_project_counts(self):
        waiting = self.busy(limit=3, refill=self.refilled.release)
        self.put(waiting, 'p0', 'p')
        self.put(waiting, 'p1', 'p')
        self.assertTrue(self.put(waiting, 'q0', 'q'))
        self.ended_in_order(2)
        self.wait_for_the_end(waiting)
        self.assertTrue(self.is_refilled())

    def test_a_stopped_backlog_is_not_refilled(self):
        waiting = self.busy(limit=1, refill=self.refilled.release)
        self.assertFalse(self.put(waiting, 'left out'))
        self.assertFalse(waiting.stop(0))
        self.go.set()
        self.wait_for_the_end(waiting)
        self.assertFalse(self.is_refilled())
