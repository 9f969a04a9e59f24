# SPDX-License-Identifier: Apache-2.0

"""What a backend holds, scanned once and read page by page.

A scan is the slow part of a list. A first page starts one, unless there is one
that is young enough or under way; the pages that follow read the scan that
their walk began with, even if other clients list meanwhile. A client sends
only a marker, so the inventory remembers which scan each page that it returned
ended in. A walk whose scan is lost goes on in a newer one, from where its
marker was.

A backend may hang. So a scan has a thread of its own, one at most, and a page
waits for it no longer than configured. When the backend answers again, so does
the inventory.

Cost: a first page O(n log n) beyond the driver's own scan, a following page
O(log n + page); filtered by what is managed, a page may look at all of them.
Memory: as configured, see :mod:`manageable_snapshots.drivers.paging`.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import itertools
import threading
import time
from typing import TypeVar

from oslo_log import log as logging
from oslo_utils import units

from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import paging
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import reference

LOG = logging.getLogger(__name__)

#: ends of pages that are remembered; a walk whose end is forgotten goes on
#: in the newest scan
MAX_ENDS = 10000

#: pages that wait at the same time for a scan which took too long already
MAX_WAITING = 16

#: entries that are marked at once, where some of them are left out then
CHUNK = 1000

Marked = TypeVar('Marked')


@dataclasses.dataclass(frozen=True, slots=True)
class _End:
    """Where a page ended.

    :ivar number: the scan's
    :ivar size: the last entry's
    """

    number: int
    size: int


class _Attempt:
    """A scan under way.

    :ivar ended: whether it has; False as well where it was dropped
    :ivar kept: what it has found, in the end
    :ivar failure: where it has found nothing, why
    :ivar adopted: arguments of ``Scan.manage``, for what it may have read
        before that was adopted
    """

    def __init__(self, started: float) -> None:
        self.started = started
        self.ended = False
        self.adopted: list[tuple[base.Reference, str, str]] = []
        self.kept: _Kept | None = None
        self.failure: Exception = exception.ServiceUnavailable()


@dataclasses.dataclass(eq=False)
class _Kept:
    """A scan that was made.

    :ivar number: newer ones have higher ones
    :ivar started: when; monotonic seconds, as ``used``
    :ivar memory: bytes
    """

    number: int
    started: float
    used: float
    scan: paging.Scan
    memory: int


class Inventory:
    """A backend's snapshots, as pages.

    :param name: the backend's, for messages
    :param scan: gives every snapshot of the backend, once, in any order
    :param max_age: seconds; an older scan serves no first page
    :param keep: seconds since its last use for which a scan is kept
    :param scans: how many scans are kept at most
    :param max_memory: MiB that the scans that are kept take at most; the
        newest one is kept in any case
    :param timeout: seconds for which a page waits for a scan
    :param clock: seconds, monotonic
    """

    def __init__(self, name: str,
                 scan: Callable[[], Iterable[base.BackendSnapshot]], *,
                 max_age: float, keep: float, scans: int, max_memory: float,
                 timeout: float,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._scan = scan
        self._max_age = max_age
        self._keep = keep
        self._max_scans = scans
        self._max_bytes = max_memory * units.Mi
        self._timeout = timeout
        self._clock = clock
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._kept: list[_Kept] = []
        self._under_way: _Attempt | None = None
        self._waiting = 0
        self._stale_before = float('-inf')
        self._ends: collections.OrderedDict[
            tuple[paging.View, str | int], _End] = collections.OrderedDict()

    def page(self, view: paging.View, *, marker: base.Reference | None,
             limit: int, offset: int | None,
             mark: Callable[[Sequence[base.BackendSnapshot]],
                            Iterable[Marked | None]],
             marker_size: int | None = None) -> list[Marked]:
        """A page of the backend's snapshots.

        :param view: which of them, in which order
        :param marker: reference of the last entry of the page before
        :param limit: most entries
        :param offset: entries to leave out after the marker, or from the
            start
        :param mark: makes of entries what the page shows of each, or None
            for one that is left out. ``cinder_id`` of an entry is set where
            the driver or an adoption since the scan says so
        :param marker_size: the marker's size, :data:`paging.UNKNOWN` for
            none, where it is known to have ended a page
        :raises InvalidInput: the marker names nothing, or a sort key or
            direction is unknown
        :raises BackendTimeout: the scan takes too long
        :raises ServiceUnavailable: there is no thread for a scan
        """
        view.check()
        offset = offset or 0
        if marker is None:
            kept, start = self._from_the_start(view, offset), 0
        else:
            kept, start = self._after(view, marker, marker_size)
        skip = offset
        if view.safe_to_manage is None:
            start, skip = start + offset, 0
        shown: list[Marked] = []
        last = None
        count = limit
        while len(shown) < limit:
            chunk = kept.scan.page(view, start, count)
            if not chunk:
                break
            start += len(chunk)
            for entry, marked in zip(chunk, mark(chunk)):
                if marked is None:
                    continue
                if skip:
                    skip -= 1
                elif len(shown) < limit:
                    shown.append(marked)
                    last = entry
            count = max(count, CHUNK)
        if last is not None:
            self._remember(view, kept, last, None if marker is not None
                           else offset + len(shown))
        return shown

    def adopted(self, ref: base.Reference, source_name: str,
                snapshot_id: str) -> None:
        """Say that a snapshot is managed now; the next page shows it.

        :param ref: what the adoption was asked with
        :param source_name: the backend's name of its volume
        :param snapshot_id: the row's id
        """
        with self._changed:
            self._stale_before = self._clock()
            kept = list(self._kept)
            if self._under_way is not None:
                self._under_way.adopted.append(
                    (ref, source_name, snapshot_id))
        for each in kept:
            each.scan.manage(ref, source_name, snapshot_id)

    def changed(self) -> None:
        """Say that the backend changed; the next first page scans it."""
        with self._changed:
            self._stale_before = self._clock()

    def forget(self) -> None:
        """Drop every scan: the backend works on another storage now.

        A scan under way may hang with the old storage. Nobody waits for it
        any longer, and the next page starts another one.
        """
        with self._changed:
            self._kept = []
            self._under_way = None
            self._changed.notify_all()

    def _from_the_start(self, view: paging.View, offset: int) -> _Kept:
        if offset:
            with self._changed:
                end = self._ends.get((view, offset))
                for kept in self._kept:
                    if end is not None and kept.number == end.number:
                        kept.used = self._clock()
                        return kept
        return self._fresh()

    def _after(self, view: paging.View, marker: base.Reference,
               size: int | None) -> tuple[_Kept, int]:
        """The scan in which a walk goes on, and where.

        A walk never goes on in a scan that is older than its own: what was
        made between the two would be missing.
        """
        with self._changed:
            newest_first = self._kept[::-1]
        end = self._end(view, marker, newest_first)
        if end is None:
            usable = []
        else:
            usable = [kept for kept in newest_first
                      if kept.number >= end.number]
            usable.sort(key=lambda kept: kept.number != end.number)
            size = end.size
        for kept in usable:
            start = kept.scan.after(view, marker)
            if start is not None:
                kept.used = self._clock()
                return kept, start
        kept = self._fresh()
        start = kept.scan.after(view, marker)
        if start is None:
            if size is None:
                raise reference.marker_not_found(marker)
            # It was on a page of ours, and is gone since.
            start = kept.scan.after_lost(view, marker, size)
        return kept, start

    def _end(self, view: paging.View, marker: base.Reference,
             newest_first: list[_Kept]) -> _End | None:
        """What is known of the page that a marker ended."""
        end = self._ends.get((view, reference.key(marker)))
        for kept in newest_first:
            if end is not None:
                break
            # It may be a part of a reference.
            start = kept.scan.after(view, marker)
            if start is not None:
                [entry] = kept.scan.page(view, start - 1, 1)
                end = self._ends.get((view, reference.key(entry.reference)))
        return end

    def _remember(self, view: paging.View, kept: _Kept,
                  entry: base.BackendSnapshot, offset: int | None) -> None:
        """Note where a page has ended.

        :param offset: of the page that follows, in a walk by offset
        """
        end = _End(kept.number, paging.UNKNOWN if entry.size is None
                   else entry.size)
        with self._changed:
            for key in (reference.key(entry.reference), offset):
                if key is not None:
                    self._ends[view, key] = end
                    self._ends.move_to_end((view, key))
            while len(self._ends) > MAX_ENDS:
                self._ends.popitem(last=False)

    def _fresh(self) -> _Kept:
        """A scan that is young enough; several callers share one.

        If the scan fails, every caller that waits for it gets the error.
        """
        arrived = self._clock()
        with self._changed:
            while True:
                for kept in reversed(self._kept):
                    if (kept.started >= arrived - self._max_age
                            and kept.started > self._stale_before):
                        kept.used = self._clock()
                        return kept
                attempt = self._under_way or self._begin()
                self._wait_for(attempt, arrived + self._timeout)
                if not attempt.ended:
                    continue
                if attempt.kept is None:
                    raise attempt.failure
                # However much has changed since it began.
                if attempt.started >= arrived:
                    return attempt.kept

    def _begin(self) -> _Attempt:
        attempt = _Attempt(self._clock())
        # A daemon: the process must be able to end while the backend hangs.
        thread = threading.Thread(target=self._run, args=(attempt,),
                                  name='scan', daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise exception.ServiceUnavailable(
                _('No thread for a scan: %s') % error) from error
        self._under_way = attempt
        return attempt

    def _run(self, attempt: _Attempt) -> None:
        scan = memory = None
        try:
            scan = paging.Scan(self._scan())
            memory = scan.memory
        except Exception as error:
            attempt.failure = error
        finally:
            with self._changed:
                if self._under_way is attempt:
                    self._end_scan(attempt, scan, memory)

    def _end_scan(self, attempt: _Attempt, scan: paging.Scan | None,
                  memory: int | None) -> None:
        if scan is not None and memory is not None:
            for adopted in attempt.adopted:
                scan.manage(*adopted)
            attempt.kept = _Kept(next(self._numbers), attempt.started,
                                 self._clock(), scan, memory)
            self._keep_scan(attempt.kept)
        attempt.ended = True
        self._under_way = None
        self._changed.notify_all()

    def _wait_for(self, attempt: _Attempt, deadline: float) -> None:
        now = self._clock()
        if (now - attempt.started > self._timeout
                and self._waiting >= MAX_WAITING):
            raise self._too_late()
        self._waiting += 1
        try:
            while self._under_way is attempt:
                left = deadline - self._clock()
                if left <= 0 or not self._changed.wait(left):
                    raise self._too_late()
        finally:
            self._waiting -= 1

    def _too_late(self) -> exception.BackendTimeout:
        return exception.BackendTimeout(host=self._name,
                                        seconds=self._timeout)

    def _keep_scan(self, newest: _Kept) -> None:
        limit = self._clock() - self._keep
        others = sorted((kept for kept in self._kept if kept.used >= limit),
                        key=lambda kept: kept.used)
        room = self._max_bytes - newest.memory
        if room < 0:
            LOG.warning(
                'The %(count)d snapshots of %(name)s take %(mib)d MiB, more '
                'than inventory_max_memory; a walk that somebody else\'s list '
                'comes between goes on in a new scan.', {
                    'count': len(newest.scan), 'name': self._name,
                    'mib': newest.memory // units.Mi})
        while others and (
                len(others) >= self._max_scans
                or sum(kept.memory for kept in others) > room):
            del others[0]
        self._kept = sorted([*others, newest], key=lambda kept: kept.number)
