# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What a walk through the pages of a backend sees."""

from concurrent import futures
import threading
from unittest import mock

import hypothesis
from hypothesis import stateful
from hypothesis import strategies
from oslotest import base as test_base

from manageable_snapshots.drivers import base
from manageable_snapshots import exception
from manageable_snapshots.volume import inventory

BY_NAME = {'sort_keys': ['reference'], 'sort_dirs': ['asc']}


def snapshot(name, size=1, volume='volume-1', pool=None):
    return base.BackendSnapshot(
        reference={'source-name': name, 'source-id': f'{volume}/{name}'},
        source_reference={'source-name': volume}, size=size, pool=pool)


def names(page):
    return [entry.reference['source-name'] for entry in page]


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class InventoryTestCase(test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.clock = Clock()
        self.held = [snapshot(name) for name in 'dbca']
        self.scans = 0

    def inventory(self, **options):
        options = {'max_age': 5, 'keep': 300, 'scans': 2, 'timeout': 5,
                   **options}

        def scan():
            self.scans += 1
            return list(self.held)

        return inventory.Inventory(
            'node@dir', scan, clock=self.clock, **options)

    def page(self, stock, marker=None, limit=2, offset=None, pool=None,
             **order):
        return stock.page(marker=marker, limit=limit, offset=offset,
                          pool=pool, **(order or BY_NAME))

    def walk(self, stock, limit=2, **order):
        seen = []
        marker = None
        while page := self.page(stock, marker, limit, **order):
            seen += page
            marker = page[-1].reference
        return seen


class InventoryTest(InventoryTestCase):

    def test_a_walk_sees_each_snapshot_once_in_order(self):
        stock = self.inventory()
        self.assertEqual(list('abcd'), names(self.walk(stock)))

    def test_a_walk_is_one_scan(self):
        self.walk(self.inventory(), limit=1)
        self.assertEqual(1, self.scans)

    def test_descending(self):
        seen = self.walk(self.inventory(), sort_keys=['reference'],
                         sort_dirs=['desc'])
        self.assertEqual(list('dcba'), names(seen))

    def test_equal_sizes_are_in_the_order_of_their_references(self):
        self.held = [snapshot('b', 2), snapshot('a', 2), snapshot('c', 1)]
        seen = self.walk(self.inventory(), sort_keys=['size'],
                         sort_dirs=['desc'])
        self.assertEqual(list('abc'), names(seen))

    def test_two_sort_keys(self):
        self.held = [snapshot('b', 2), snapshot('a', 2), snapshot('c', 1)]
        seen = self.walk(self.inventory(), sort_keys=['size', 'reference'],
                         sort_dirs=['asc', 'desc'])
        self.assertEqual(list('cba'), names(seen))

    def test_an_unknown_size_sorts_first(self):
        self.held = [snapshot('a', 2), snapshot('b', None)]
        seen = self.walk(self.inventory(), sort_keys=['size'],
                         sort_dirs=['asc'])
        self.assertEqual(list('ba'), names(seen))

    def test_the_same_name_on_two_volumes_is_two_snapshots(self):
        self.held = [snapshot('a', volume=f'volume-{n}') for n in range(5)]
        seen = self.walk(self.inventory())
        self.assertEqual(
            5, len({entry.reference['source-id'] for entry in seen}))

    def test_an_offset_leaves_entries_out(self):
        stock = self.inventory()
        self.assertEqual(['c', 'd'], names(self.page(stock, offset=2)))
        self.assertEqual([], self.page(stock, offset=4))

    def test_an_offset_counts_from_the_marker(self):
        stock = self.inventory()
        first = self.page(stock, limit=1)
        self.assertEqual(['c', 'd'], names(self.page(
            stock, first[0].reference, offset=1)))

    def test_a_walk_by_offset_reads_one_scan(self):
        stock = self.inventory(max_age=0)
        self.assertEqual(['a', 'b'], names(self.page(stock)))
        self.held.append(snapshot('aa'))
        self.clock.now += 10
        self.assertEqual(['c', 'd'], names(self.page(stock, offset=2)))
        self.assertEqual(1, self.scans)

    def test_a_first_page_sees_what_is_new(self):
        stock = self.inventory()
        self.page(stock)
        self.held.append(snapshot('aa'))
        self.clock.now += 5.1
        self.assertEqual(['a', 'aa'], names(self.page(stock)))

    def test_a_first_page_may_be_as_old_as_max_age(self):
        stock = self.inventory()
        self.page(stock)
        self.clock.now += 4.9
        self.page(stock)
        self.assertEqual(1, self.scans)

    def test_what_changed_through_us_is_seen_at_once(self):
        stock = self.inventory()
        self.page(stock)
        self.clock.now += 1
        stock.changed()
        self.page(stock)
        self.assertEqual(2, self.scans)

    def test_a_walk_keeps_to_its_scan_while_others_list(self):
        stock = self.inventory()
        first = self.page(stock)
        self.held = [snapshot(name) for name in ('a', 'b', 'bb', 'd')]
        self.clock.now += 10
        self.assertEqual(['a', 'b', 'bb'], names(self.page(stock, limit=3)))
        self.assertEqual(['c', 'd'], names(self.page(
            stock, first[-1].reference, limit=10)))

    def test_a_walk_that_lost_its_scan_goes_on(self):
        stock = self.inventory(scans=1)
        first = self.page(stock)
        self.clock.now += 10
        self.page(stock, limit=1)
        self.assertEqual(['c', 'd'], names(self.page(
            stock, first[-1].reference)))

    def test_a_walk_that_lost_its_scan_and_its_marker_goes_on(self):
        stock = self.inventory(scans=1)
        first = self.page(stock)
        self.held = [snapshot(name) for name in 'acd']
        self.clock.now += 10
        self.page(stock, limit=1)
        self.assertEqual(['c', 'd'], names(self.page(
            stock, first[-1].reference)))

    def test_a_lost_marker_of_a_descending_walk(self):
        stock = self.inventory(scans=1)
        order = {'sort_keys': ['size', 'reference'],
                 'sort_dirs': ['desc', 'desc']}
        first = self.page(stock, limit=2, **order)
        self.assertEqual(['d', 'c'], names(first))
        self.held = [snapshot(name) for name in 'abd']
        self.clock.now += 10
        self.page(stock, limit=1, **order)
        self.assertEqual(['b', 'a'], names(self.page(
            stock, first[-1].reference, **order)))

    def test_the_end_of_a_lost_walk(self):
        stock = self.inventory(scans=1)
        last = self.page(stock, limit=10)[-1]
        self.held = [snapshot('a')]
        self.clock.now += 10
        self.page(stock, limit=1)
        self.assertEqual([], self.page(stock, last.reference))

    def test_a_marker_that_nobody_was_given_is_refused(self):
        error = self.assertRaises(
            exception.InvalidInput, self.page, self.inventory(),
            {'source-name': 'zzz'})
        self.assertEqual(
            "Invalid input received: marker not found: "
            "{'source-name': 'zzz'}", error.msg)

    def test_a_part_of_a_reference_is_a_marker_where_it_is_unique(self):
        stock = self.inventory()
        self.page(stock)
        for marker in ({'source-name': 'b'}, {'source-id': 'volume-1/b'}):
            self.assertEqual(['c', 'd'], names(self.page(stock, marker)))
        self.held.append(snapshot('b', volume='volume-2'))
        stock.changed()
        self.clock.now += 1
        self.page(stock)
        error = self.assertRaises(
            exception.InvalidInput, self.page, stock, {'source-name': 'b'})
        self.assertIn('give the source-id as well', error.msg)

    def test_an_unknown_sort_key_is_refused(self):
        self.assertRaises(
            exception.InvalidInput, self.page, self.inventory(),
            sort_keys=['cinder_id'], sort_dirs=['asc'])

    def test_an_unknown_sort_direction_is_refused(self):
        self.assertRaises(
            exception.InvalidInput, self.page, self.inventory(),
            sort_keys=['size'], sort_dirs=['up'])

    def test_sort_keys_without_their_directions_are_refused(self):
        self.assertRaises(
            exception.InvalidInput, self.page, self.inventory(),
            sort_keys=['size', 'reference'], sort_dirs=['asc'])

    def test_an_adoption_shows_on_the_pages_of_an_older_scan(self):
        stock = self.inventory()
        first = self.page(stock)
        stock.adopted({'source-name': 'c'}, 'volume-1', 'the-id')
        following = self.page(stock, first[-1].reference)
        self.assertEqual([('c', 'the-id'), ('d', None)], [
            (entry.reference['source-name'], entry.cinder_id)
            for entry in following])

    def test_an_adoption_leaves_another_volumes_namesake_alone(self):
        self.held = [snapshot('a', volume='volume-1'),
                     snapshot('a', volume='volume-2')]
        stock = self.inventory()
        first = self.page(stock, limit=1)
        stock.adopted({'source-name': 'a'}, 'volume-1', 'the-id')
        following = self.page(stock, first[-1].reference)
        self.assertEqual([None], [entry.cinder_id for entry in following])

    def test_scans_are_kept_within_bounds(self):
        stock = self.inventory(scans=2)
        for _ in range(5):
            self.page(stock)
            self.clock.now += 10
        self.assertEqual(2, len(stock._kept))

    def test_a_scan_is_dropped_when_it_was_not_used_for_long(self):
        stock = self.inventory(scans=10, keep=60)
        self.page(stock)
        self.clock.now += 61
        self.page(stock)
        self.assertEqual(1, len(stock._kept))

    def test_a_scan_that_fails_is_tried_again(self):
        failures = [OSError('gone')]

        def scan():
            if failures:
                raise failures.pop()
            return self.held

        stock = inventory.Inventory(
            'node@dir', scan, max_age=5, keep=300, scans=2, timeout=5,
            clock=self.clock)
        self.assertRaises(OSError, self.page, stock)
        self.assertEqual(['a', 'b'], names(self.page(stock)))


class PoolTest(InventoryTestCase):

    def setUp(self):
        super().setUp()
        self.held = [snapshot(name, pool=pool) for name, pool in (
            ('a', 'one'), ('b', 'two'), ('c', None), ('d', 'one'),
            ('e', 'two'), ('f', 'one'))]

    def test_a_pool_is_what_is_not_in_another(self):
        stock = self.inventory()
        for pool, expected in (('one', 'acdf'), ('two', 'bce'),
                               ('three', 'c'), ('', 'c'), (None, 'abcdef')):
            self.assertEqual(list(expected),
                             names(self.page(stock, limit=9, pool=pool)))

    def test_a_walk_stays_in_its_pool_and_in_its_scan(self):
        stock = self.inventory()
        first = self.page(stock, limit=2, pool='one')
        self.held.append(snapshot('da', pool='one'))
        self.clock.now += 10
        self.page(stock, limit=4)
        self.assertEqual(['d', 'f'], names(self.page(
            stock, first[-1].reference, limit=9, pool='one')))

    def test_a_walk_by_offset_stays_in_its_pool(self):
        stock = self.inventory()
        self.page(stock, limit=2, pool='one')
        self.page(stock, limit=2)
        self.assertEqual(['d', 'f'], names(self.page(
            stock, limit=2, offset=2, pool='one')))

    def test_a_walk_that_lost_its_marker_goes_on_in_its_pool(self):
        stock = self.inventory(scans=1)
        first = self.page(stock, limit=2, pool='one')
        self.held = [entry for entry in self.held
                     if entry.reference != first[-1].reference]
        self.clock.now += 10
        self.page(stock, limit=1)
        self.assertEqual(['d', 'f'], names(self.page(
            stock, first[-1].reference, limit=9, pool='one')))

    def test_a_marker_of_another_pool_is_none(self):
        stock = self.inventory()
        marker = self.page(stock, pool='two')[0].reference
        for given in (marker, {'source-name': 'b'}):
            self.assertRaises(exception.InvalidInput, self.page, stock, given,
                              pool='one')

    def test_where_the_driver_knows_no_pools_all_is_shown(self):
        self.held = [snapshot(name) for name in 'ab']
        stock = self.inventory()
        self.assertEqual(['a', 'b'], names(self.page(stock, pool='one')))

    def test_names_of_pools_that_there_are_not_take_no_memory(self):
        stock = self.inventory()
        for number in range(100):
            self.page(stock, pool=f'pool-{number}')
        (scan,) = stock._kept
        self.assertEqual(1, len(scan._sorted))


class ConcurrencyTest(test_base.BaseTestCase):

    def test_first_pages_at_the_same_time_share_a_scan(self):
        started, go = threading.Event(), threading.Event()
        scans = []

        def scan():
            scans.append(1)
            started.set()
            self.assertTrue(go.wait(30))
            return [snapshot('a')]

        stock = inventory.Inventory(
            'node@dir', scan, max_age=5, keep=300, scans=2, timeout=30)
        pages = []

        def read():
            pages.append(stock.page(
                marker=None, limit=1, offset=None, **BY_NAME))

        threads = [threading.Thread(target=read) for _ in range(32)]
        threads[0].start()
        self.assertTrue(started.wait(30))
        for thread in threads[1:]:
            thread.start()
        go.set()
        for thread in threads:
            thread.join(30)
        self.assertEqual(32, len(pages))
        self.assertEqual(1, len(scans))


class HangingTest(test_base.BaseTestCase):
    """A backend that does not answer, until it does."""

    def setUp(self):
        super().setUp()
        self.answers = threading.Event()
        self.addCleanup(self.answers.set)
        self.scans = 0
        self.failure = None

    def scan(self):
        self.scans += 1
        self.assertTrue(self.answers.wait(30))
        if self.failure:
            raise self.failure
        yield snapshot('a')

    def inventory(self, **options):
        return inventory.Inventory('node@dir', self.scan, **{
            'max_age': 5, 'keep': 300, 'scans': 2, 'timeout': 0.05,
            **options})

    def page(self, stock):
        return stock.page(marker=None, limit=1, offset=None, **BY_NAME)

    def assert_too_late(self, stock):
        error = self.assertRaises(
            exception.BackendTimeout, self.page, stock)
        self.assertEqual('The backend node@dir did not answer within 0.05 '
                         'seconds.', error.msg)

    def pages(self, stock, count):
        """What pages, or errors, so many requests at the same time get."""
        def page(_number):
            try:
                return names(self.page(stock))
            except Exception as error:
                return error

        with futures.ThreadPoolExecutor(count) as executor:
            return list(executor.map(page, range(count), timeout=30))

    def test_who_starts_a_scan_and_who_joins_it_wait_for_so_long(self):
        stock = self.inventory()
        for _count in range(3):
            self.assert_too_late(stock)
        self.assertEqual(1, self.scans)

    def test_requests_start_no_more_threads(self):
        stock = self.inventory()
        self.assert_too_late(stock)
        before = threading.active_count()
        for error in self.pages(stock, 40):
            self.assertIsInstance(error, exception.BackendTimeout)
        self.assertEqual(before, threading.active_count())
        self.assertEqual(1, self.scans)

    def test_only_some_wait_for_what_took_too_long_already(self):
        stock = self.inventory()
        self.assert_too_late(stock)
        stock._waiting = inventory.MAX_WAITING
        with mock.patch.object(stock._changed, 'wait') as wait:
            self.assert_too_late(stock)
        wait.assert_not_called()

    def test_it_works_again_by_itself(self):
        stock = self.inventory(timeout=10)
        stock._timeout = 0.05
        self.assert_too_late(stock)
        stock._timeout = 10
        self.answers.set()
        self.assertEqual(['a'], names(self.page(stock)))
        self.assertEqual(1, self.scans)

    def test_what_comes_too_late_for_a_page_is_too_old_for_the_next(self):
        stock = self.inventory(max_age=0)
        self.assert_too_late(stock)
        stock._timeout = 10
        self.answers.set()
        self.assertEqual(['a'], names(self.page(stock)))
        self.assertEqual(2, self.scans)

    def test_a_failure_is_everybodys_who_waits(self):
        stock = self.inventory(timeout=10)
        self.failure = exception.ServiceUnavailable('no storage')
        stock._changed = _Watched(8, self.answers.set)
        self.assertEqual(
            ['no storage'] * 8,
            [error.msg for error in self.pages(stock, 8)])
        self.assertEqual(1, self.scans)
        self.failure = None
        self.assertEqual(['a'], names(self.page(stock)))

    def test_changes_meanwhile_do_not_make_it_scan_for_ever(self):
        stock = self.inventory(timeout=10)
        self.answers.set()
        scan = stock._scan

        def changing():
            yield from scan()
            stock.changed()

        stock._scan = changing
        self.assertEqual(['a'], names(self.page(stock)))
        self.assertEqual(1, self.scans)

    def test_without_a_thread_it_is_unavailable_for_now(self):
        def fail(_thread):
            raise RuntimeError('no thread')

        stock = self.inventory(timeout=10)
        self.answers.set()
        with mock.patch.object(threading.Thread, 'start', fail):
            self.assertRaises(
                exception.ServiceUnavailable, self.page, stock)
        self.assertEqual(['a'], names(self.page(stock)))


class _Watched(threading.Condition):
    """Calls a function when so many wait."""

    def __init__(self, count, function):
        super().__init__()
        self._left = count
        self._function = function

    def wait(self, timeout=None):
        self._left -= 1
        if not self._left:
            self._function()
        return super().wait(timeout)


class Walks(stateful.RuleBasedStateMachine):
    """Two walks go on while the backend changes and others list."""

    NAMES = strategies.sampled_from([f'{n:02}' for n in range(20)])

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.held = {}
        self.always = set()
        self.seen = []
        self.marker = None
        self.done = True
        self.stock = inventory.Inventory(
            'node@dir', lambda: list(self.held.values()), max_age=5,
            keep=300, scans=2, timeout=5, clock=self.clock)

    @stateful.rule(name=NAMES)
    def create(self, name):
        self.held.setdefault(name, snapshot(name))

    @stateful.rule(name=NAMES)
    def delete(self, name):
        self.held.pop(name, None)
        self.always.discard(name)

    @stateful.rule(seconds=strategies.sampled_from([1, 6, 400]))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @stateful.rule(limit=strategies.integers(1, 5))
    def somebody_else_lists(self, limit):
        self.stock.page(marker=None, limit=limit, offset=None, **BY_NAME)

    @stateful.rule()
    def start(self):
        self.clock.now += 6
        self.always = set(self.held)
        self.seen, self.marker, self.done = [], None, False

    @stateful.precondition(lambda self: not self.done)
    @stateful.rule(limit=strategies.integers(1, 5))
    def go_on(self, limit):
        page = self.stock.page(marker=self.marker, limit=limit, offset=None,
                               **BY_NAME)
        if page:
            self.seen += names(page)
            self.marker = page[-1].reference
        else:
            self.done = True
            missing = self.always - set(self.seen)
            assert not missing, missing

    @stateful.invariant()
    def nothing_is_seen_twice_and_all_is_in_order(self):
        assert self.seen == sorted(set(self.seen)), self.seen


Walks.TestCase.settings = hypothesis.settings(
    max_examples=60, stateful_step_count=25, deadline=None)
WalksTest = Walks.TestCase
