# SPDX-License-Identifier: Apache-2.0

"""What a walk through the pages of a backend sees."""

from concurrent import futures
import dataclasses
import threading
from unittest import mock

import hypothesis
from hypothesis import stateful
from hypothesis import strategies
from oslo_utils import units
from oslotest import base as test_base

from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import paging
from manageable_snapshots import exception
from manageable_snapshots import reference
from manageable_snapshots.volume import inventory

BY_NAME = paging.View(('reference',), ('asc',))
BY_NAME_DOWN = paging.View(('reference',), ('desc',))

#: as large as any
MUCH = 1000


def snapshot(name, size=1, volume='volume-1', pool=None):
    return base.BackendSnapshot(
        reference={'source-name': name, 'source-id': f'{volume}/{name}'},
        source_reference={'source-name': volume}, size=size, pool=pool)


def keys(page):
    return [reference.key(entry.reference) for entry in page]


def names(page):
    return [entry.reference['source-name'] for entry in page]


def read(stock, view=BY_NAME, marker=None, limit=2, offset=None,
         marker_size=None):
    return stock.page(view, marker=marker, limit=limit, offset=offset,
                      mark=list, marker_size=marker_size)


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
                   'max_memory': MUCH, **options}

        def scan():
            self.scans += 1
            return list(self.held)

        return inventory.Inventory(
            'node@dir', scan, clock=self.clock, **options)

    def page(self, stock, marker=None, limit=2, offset=None,
             marker_size=None, view=BY_NAME, **changes):
        return read(stock, dataclasses.replace(view, **changes), marker,
                    limit, offset, marker_size)

    def walk(self, stock, limit=2, **changes):
        seen = []
        marker = None
        while page := self.page(stock, marker, limit, **changes):
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
        seen = self.walk(self.inventory(), sort_keys=('reference',),
                         sort_dirs=('desc',))
        self.assertEqual(list('dcba'), names(seen))

    def test_equal_sizes_are_in_the_order_of_their_references(self):
        self.held = [snapshot('b', 2), snapshot('a', 2), snapshot('c', 1)]
        seen = self.walk(self.inventory(), sort_keys=('size',),
                         sort_dirs=('desc',))
        self.assertEqual(list('abc'), names(seen))

    def test_two_sort_keys(self):
        self.held = [snapshot('b', 2), snapshot('a', 2), snapshot('c', 1)]
        seen = self.walk(self.inventory(), sort_keys=('size', 'reference',),
                         sort_dirs=('asc', 'desc',))
        self.assertEqual(list('cba'), names(seen))

    def test_an_unknown_size_sorts_first(self):
        self.held = [snapshot('a', 2), snapshot('b', None)]
        seen = self.walk(self.inventory(), sort_keys=('size',),
                         sort_dirs=('asc',))
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
        order = {'sort_keys': ('size', 'reference'),
                 'sort_dirs': ('desc', 'desc')}
        first = self.page(stock, limit=2, **order)
        self.assertEqual(['d', 'c'], names(first))
        self.held = [snapshot(name) for name in 'abd']
        self.clock.now += 10
        self.page(stock, limit=1, **order)
        self.assertEqual(['b', 'a'], names(self.page(
            stock, first[-1].reference, **order)))

    def test_a_marker_that_ended_a_page_before_a_restart(self):
        """The end of that page is all that is known of the walk."""
        for order, expected in (
                ({}, 'cd'), ({'sort_dirs': ('desc',)}, 'a'),
                ({'sort_keys': ('size',)}, 'da')):
            self.held = [snapshot('a', 9), snapshot('c', 1), snapshot('d', 7)]
            marker = {'source-name': 'b', 'source-id': 'volume-1/b'}
            self.assertEqual(list(expected), names(self.page(
                self.inventory(), marker, marker_size=5, **order)))
            self.assertRaises(exception.InvalidInput, self.page,
                              self.inventory(), marker, **order)

    def test_a_walk_does_not_go_back_to_a_scan_before_it(self):
        stock = self.inventory(scans=2)
        older = self.page(stock)
        self.held.append(snapshot('bb'))
        self.clock.now += 10
        first = self.page(stock)
        self.assertEqual(names(older), names(first))
        # The older one is used, so it is the walk's own scan that goes.
        self.clock.now += 1
        stock._kept = stock._kept[:1]
        self.assertEqual(['bb', 'c', 'd'], names(self.page(
            stock, first[-1].reference, limit=9)))

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
            sort_keys=('cinder_id',), sort_dirs=('asc',))

    def test_an_unknown_sort_direction_is_refused(self):
        self.assertRaises(
            exception.InvalidInput, self.page, self.inventory(),
            sort_keys=('size',), sort_dirs=('up',))

    def test_sort_keys_without_their_directions_are_refused(self):
        self.assertRaises(
            exception.InvalidInput, self.page, self.inventory(),
            sort_keys=('size', 'reference',), sort_dirs=('asc',))

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

    def test_an_adoption_during_a_scan_shows_on_its_pages(self):
        held = [snapshot(name) for name in 'abcd']

        def scan():
            yield from held
            stock.adopted({'source-name': 'c'}, 'volume-1', 'the-id')

        stock = inventory.Inventory(
            'node@dir', scan, max_age=5, keep=300, scans=2, max_memory=MUCH,
            timeout=5, clock=self.clock)
        first = self.page(stock)
        self.assertEqual(['the-id', None], [
            entry.cinder_id
            for entry in self.page(stock, first[-1].reference)])

    def test_names_that_begin_so(self):
        self.held = [snapshot(name) for name in (
            'a', 'ab', 'abc', 'b', 'ab\uffff', 'ac')]
        stock = self.inventory()
        for prefix, expected in (
                ('ab', ['ab', 'abc', 'ab\uffff']), ('abc', ['abc']),
                ('b', ['b']), ('x', [])):
            self.assertEqual(expected, names(self.page(
                stock, limit=9, source_name=prefix)))
            self.assertEqual(expected[::-1], names(self.page(
                stock, limit=9, source_name=prefix, sort_dirs=('desc',))))

    def test_of_one_volume(self):
        self.held = [snapshot(name, volume=f'volume-{number}')
                     for name in 'ab' for number in (1, 2)]
        stock = self.inventory()
        self.assertEqual(['volume-2/a', 'volume-2/b'], [
            entry.reference['source-id'] for entry in self.walk(
                stock, limit=1, volume_name='volume-2')])
        self.assertEqual([], self.page(stock, volume_name='volume-3'))

    def test_what_is_left_out_makes_a_page_no_shorter(self):
        self.held = [snapshot(f'{number:04}') for number in range(3000)]
        stock = self.inventory()
        asked = []

        def mark(entries):
            asked.append(len(entries))
            return [entry if int(entry.reference['source-name']) % 700 == 699
                    else None for entry in entries]

        def page(**options):
            return names(stock.page(
                dataclasses.replace(BY_NAME, safe_to_manage=False), limit=3,
                mark=mark, **{'marker': None, 'offset': None, **options}))

        first = page()
        self.assertEqual(['0699', '1399', '2099'], first)
        self.assertEqual(['2799'], page(marker={'source-name': first[-1]}))
        self.assertEqual(['2099', '2799'], page(offset=2))
        self.assertLessEqual(max(asked), inventory.CHUNK)
        self.assertEqual(1, self.scans)

    def test_scans_take_so_much_memory_and_no_more(self):
        self.held = [snapshot(f'{number:0500}') for number in range(1000)]
        stock = self.inventory(scans=100, max_memory=3)
        for _count in range(10):
            self.page(stock)
            self.clock.now += 10
        self.assertGreater(len(stock._kept), 1)
        self.assertLessEqual(sum(kept.memory for kept in stock._kept),
                             3 * units.Mi)

    def test_the_newest_scan_is_kept_whatever_it_takes(self):
        self.held = [snapshot(f'{number:0500}') for number in range(1000)]
        stock = self.inventory(max_memory=0.1)
        self.assertEqual(1000, len(self.walk(stock, limit=100)))
        self.assertEqual(1, self.scans)

    def test_what_is_no_snapshot_is_left_out(self):
        self.held = [snapshot('a'), snapshot('b', size='large'),
                     snapshot(None), snapshot(7), snapshot('c\0'),
                     snapshot('d', volume=None), None,
                     dataclasses.replace(snapshot('e'), reference=None)]
        self.assertEqual(['a'], names(self.page(self.inventory(), limit=9)))

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
            'node@dir', scan, max_age=5, keep=300, scans=2, max_memory=MUCH,
            timeout=5, clock=self.clock)
        self.assertRaises(OSError, self.page, stock)
        self.assertEqual(['a', 'b'], names(self.page(stock)))


class ForgetTest(InventoryTestCase):
    """Another storage is in the place of the one that was scanned."""

    def test_a_new_list_and_a_walk_under_way_see_the_new_storage(self):
        stock = self.inventory()
        first = self.page(stock)
        self.assertEqual(['a', 'b'], names(first))
        self.held = [snapshot(name) for name in 'axy']
        stock.forget()
        self.assertEqual(['x', 'y'], names(self.page(
            stock, first[-1].reference)))
        self.assertEqual(['a', 'x'], names(self.page(stock)))

    def test_a_scan_of_the_old_storage_that_hangs_holds_up_nobody(self):
        hangs, goes_on = threading.Event(), threading.Event()
        self.addCleanup(goes_on.set)

        def scan():
            if not hangs.is_set():
                hangs.set()
                goes_on.wait(60)
                return [snapshot('old')]
            return [snapshot('new')]

        stock = inventory.Inventory(
            'node@dir', scan, max_age=60, keep=300, scans=2, max_memory=MUCH,
            timeout=50)
        with futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.page, stock)
            self.assertTrue(hangs.wait(60))
            [thread] = [each for each in threading.enumerate()
                        if each.name == 'scan']
            stock.forget()
            self.assertEqual(['new'], names(waiting.result(40)))
        goes_on.set()
        thread.join(60)
        self.assertEqual(['new'], names(self.page(stock)))


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
        (kept,) = stock._kept
        self.assertEqual(paging.MAX_VIEWS, len(kept.scan._views))


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
            'node@dir', scan, max_age=5, keep=300, scans=2, max_memory=MUCH,
            timeout=30)
        pages = []

        threads = [
            threading.Thread(target=lambda: pages.append(read(stock)))
            for _ in range(32)]
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
            'max_memory': MUCH, **options})

    def page(self, stock):
        return read(stock)

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


VIEWS = [
    paging.View(keys, dirs, source_name=source_name, safe_to_manage=safe)
    for keys, dirs in ((('reference',), ('asc',)), (('reference',), ('desc',)),
                       (('size',), ('asc',)), (('size',), ('desc',)),
                       (('size', 'reference'), ('asc', 'desc')))
    for source_name in ('', '1') for safe in (None, True)]


class Walk:
    """One client that follows the pages of a list.

    :ivar always: keys of what was there all the time
    """

    def __init__(self, view, there):
        self.view = view
        self.always = set(keys(there))
        self.seen = []
        self.last = None


class Walks(stateful.RuleBasedStateMachine):
    """Walks go on while the backend changes, and its worker restarts.

    Each snapshot that is there from the beginning to the end of a walk is
    seen, none is seen twice, and all in order.
    """

    walks = stateful.Bundle('walks')
    NAMES = strategies.sampled_from([f'{n:02}' for n in range(20)])
    LIMITS = strategies.integers(1, 5)

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.held = {}
        self.managed = set()
        self.going = []
        self.created = 0
        self.scans = 0
        self.restart()

    def scan(self):
        self.scans += 1
        yield from self.held.values()

    def mark(self, entries):
        return [(None if self.view.safe_to_manage
                 and entry.reference['source-name'] in self.managed
                 else entry) for entry in entries]

    def page(self, view, **options):
        self.view = view
        return self.stock.page(
            view, **{'marker': None, 'offset': None, **options},
            mark=self.mark)

    def leaves(self, entry):
        """A snapshot is not what a walk has to show any more."""
        for walk in self.going:
            walk.always.difference_update(keys([entry]))

    @stateful.rule()
    def restart(self):
        self.stock = inventory.Inventory(
            'node@dir', self.scan, max_age=5, keep=300, scans=2,
            max_memory=MUCH, timeout=5, clock=self.clock)

    @stateful.rule(name=NAMES, size=strategies.sampled_from([1, 2, None]))
    def create(self, name, size):
        if name not in self.held:
            self.created += 1
            self.held[name] = base.BackendSnapshot(
                reference={'source-name': name,
                           'source-id': str(self.created)},
                source_reference={'source-name': 'volume-1'}, size=size)

    @stateful.rule(name=NAMES)
    def delete(self, name):
        if name in self.held:
            self.managed.discard(name)
            self.leaves(self.held.pop(name))

    @stateful.rule(name=NAMES)
    def adopt(self, name):
        if name in self.held:
            self.managed.add(name)
            self.stock.adopted({'source-name': name}, 'volume-1', name)
            self.leaves(self.held[name])

    @stateful.rule(name=NAMES)
    def unmanage(self, name):
        self.managed.discard(name)
        self.stock.changed()

    @stateful.rule(seconds=strategies.sampled_from([1, 6, 400]))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @stateful.rule(view=strategies.sampled_from(VIEWS), limit=LIMITS)
    def somebody_else_lists(self, view, limit):
        scans = self.scans
        self.page(view, limit=limit)
        assert self.scans - scans <= 1

    @stateful.rule(target=walks, view=strategies.sampled_from(VIEWS))
    def start(self, view):
        self.clock.now += 6
        walk = Walk(view, [
            entry for name, entry in self.held.items()
            if name.startswith(view.source_name)
            and not (view.safe_to_manage and name in self.managed)])
        self.going.append(walk)
        return walk

    @stateful.rule(walk=walks, limit=LIMITS)
    def go_on(self, walk, limit):
        if walk not in self.going:
            return
        options = {}
        if walk.last is not None:
            size = walk.last.size
            options = {'marker': walk.last.reference,
                       'marker_size': -1 if size is None else size}
        page = self.page(walk.view, limit=limit, **options)
        if page:
            walk.last = page[-1]
            walk.seen += page
        else:
            self.going.remove(walk)
            assert walk.always <= set(keys(walk.seen))

    @stateful.invariant()
    def nothing_is_seen_twice_and_all_is_in_order(self):
        for walk in self.going:
            seen = keys(walk.seen)
            places = {key: place for place, key in enumerate(sorted(seen))}
            assert len(places) == len(seen)
            ranks = [walk.view.rank(places[key], entry.size or -1)
                     for key, entry in zip(seen, walk.seen)]
            assert ranks == sorted(ranks)

    @stateful.invariant()
    def scans_are_kept_within_bounds(self):
        assert len(self.stock._kept) <= 2


Walks.TestCase.settings = hypothesis.settings(
    max_examples=100, stateful_step_count=40, deadline=None,
    derandomize=True)
WalksTest = Walks.TestCase
