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

"""What a backend holds, scanned once and read page by page.

A scan is the slow part of a list. A first page starts one, unless there is
one that is young enough or under way; the pages that follow read the scan
that their walk began with, whoever else lists meanwhile. A marker is all that
a client sends of its walk, so the inventory remembers which scan each page
that it gave out ended in.

A backend may hang. So a scan has a thread of its own, one at most, and a page
waits for it no longer than configured. When the backend answers again, so does
the inventory.

Cost: a first page O(n log n) beyond the driver's own scan, a following page
O(page). Memory: ``scans`` scans at most.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import threading
import time

from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import paging
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import reference

#: ends of pages that are remembered; a walk whose end is forgotten goes on
#: in the newest scan
MAX_ENDS = 10000

#: pages that wait at the same time for a scan which took too long already
MAX_WAITING = 16

#: sort keys, and a direction for each
Order = tuple[tuple[str, ...], tuple[str, ...]]

#: which pool, and in which order; None: all pools
View = tuple[str | None, Order]

#: stands for every pool that a scan has not met
_NOWHERE = ''


@dataclasses.dataclass(frozen=True, slots=True)
class _End:
    scan: '_Scan'
    entry: base.BackendSnapshot


class _Attempt:
    """A scan under way.

    :ivar scan: what it has found, in the end
    :ivar failure: where it has found nothing, why
    """

    def __init__(self, started: float) -> None:
        self.started = started
        self.scan: _Scan | None = None
        self.failure: Exception = exception.ServiceUnavailable()


class _Scan:
    """The entries of one scan, sorted as they are asked for."""

    def __init__(self, started: float,
                 entries: list[base.BackendSnapshot]) -> None:
        self.started = started
        self.used = started
        self.entries = entries
        self.adopted: dict[str, str] = {}
        self._pools = {entry.pool for entry in entries} - {None}
        self._sorted: dict[View, list[base.BackendSnapshot]] = {}
        self._places: dict[View, dict[str, int]] = {}

    def sorted(self, view: View) -> list[base.BackendSnapshot]:
        view = self._known(view)
        entries = self._sorted.get(view)
        if entries is None:
            pool, order = view
            entries = self._sorted[view] = paging.sort(
                (entry for entry in self.entries
                 if pool is None or entry.pool in (pool, None)), *order)
        return entries

    def _known(self, view: View) -> View:
        """The same view; there are only so many, whatever is asked for."""
        pool, order = view
        if pool is None or pool in self._pools:
            return view
        return (_NOWHERE if self._pools else None), order

    def place(self, view: View, marker: base.Reference) -> int | None:
        """Where a reference is in the view; None: it is not.

        :param marker: the reference, or as much of it as no other one has
        :raises InvalidInput: it goes for several
        """
        view = self._known(view)
        entries = self.sorted(view)
        places = self._places.get(view)
        if places is None:
            places = {reference.key(entry.reference): place
                      for place, entry in enumerate(entries)}
            self._places[view] = places
        place = places.get(reference.key(marker))
        if place is None and any(
                reference.matches(marker, entry.reference)
                for entry in entries):
            place = paging.place_of(marker, entries)
        return place

    def mark(self, entries: list[base.BackendSnapshot]
             ) -> list[base.BackendSnapshot]:
        """The entries, with what was adopted since the scan."""
        if not self.adopted:
            return entries
        return [
            dataclasses.replace(entry, cinder_id=self.adopted.get(
                reference.key(entry.reference), entry.cinder_id))
            for entry in entries]


class Inventory:
    """A backend's snapshots, as pages.

    :param name: the backend's, for messages
    :param scan: gives every snapshot of the backend, once, in any order
    :param max_age: seconds; an older scan serves no first page
    :param keep: seconds since its last use for which a scan is kept
    :param scans: how many scans are kept at most
    :param timeout: seconds for which a page waits for a scan
    :param clock: seconds, monotonic
    """

    def __init__(self, name: str,
                 scan: Callable[[], Iterable[base.BackendSnapshot]], *,
                 max_age: float, keep: float, scans: int, timeout: float,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._scan = scan
        self._max_age = max_age
        self._keep = keep
        self._max_scans = scans
        self._timeout = timeout
        self._clock = clock
        self._changed = threading.Condition()
        self._kept: list[_Scan] = []
        self._under_way: _Attempt | None = None
        self._waiting = 0
        self._stale_before = float('-inf')
        self._ends: collections.OrderedDict[
            tuple[View, str | int], _End] = collections.OrderedDict()

    def page(self, *, marker: base.Reference | None, limit: int,
             offset: int | None, sort_keys: list[str],
             sort_dirs: list[str],
             pool: str | None = None) -> list[base.BackendSnapshot]:
        """A page of the backend's snapshots.

        :param marker: reference of the last entry of the page before
        :param limit: most entries
        :param offset: entries to leave out after the marker, or from the
            start
        :param sort_keys: of :data:`paging.SORT_KEYS`
        :param sort_dirs: of :data:`paging.SORT_DIRS`, one for each key
        :param pool: leave out what is in another one; None: all
        :returns: the entries; ``cinder_id`` is set where the driver or an
            adoption since the scan says so
        :raises InvalidInput: the marker names nothing, or a sort key or
            direction is unknown
        :raises BackendTimeout: the scan takes too long
        :raises ServiceUnavailable: there is no thread for a scan
        """
        paging.check_order(sort_keys, sort_dirs)
        view = (pool, (tuple(sort_keys), tuple(sort_dirs)))
        offset = offset or 0
        if marker is None:
            scan, start = self._from_the_start(view, offset)
        else:
            scan, start = self._after(view, marker)
            start += offset
        entries = scan.sorted(view)[start:start + limit]
        if entries:
            self._remember(view, scan, start + len(entries), entries[-1],
                           walks_by_offset=marker is None)
        return scan.mark(entries)

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
        for scan in kept:
            for entry in scan.entries:
                if (reference.matches(ref, entry.reference)
                        and entry.source_reference.get(
                            'source-name', source_name) == source_name):
                    scan.adopted[reference.key(entry.reference)] = snapshot_id

    def changed(self) -> None:
        """Say that the backend changed; the next first page scans it."""
        with self._changed:
            self._stale_before = self._clock()

    def _from_the_start(self, view: View,
                        offset: int) -> tuple[_Scan, int]:
        if offset:
            with self._changed:
                end = self._ends.get((view, offset))
                if end is not None and end.scan in self._kept:
                    end.scan.used = self._clock()
                    return end.scan, offset
        return self._fresh(), offset

    def _after(self, view: View,
               marker: base.Reference) -> tuple[_Scan, int]:
        key = reference.key(marker)
        with self._changed:
            end = self._ends.get((view, key))
            kept = [scan for scan in reversed(self._kept)]
            if end is not None and end.scan in kept:
                kept.insert(0, end.scan)
        for scan in kept:
            place = scan.place(view, marker)
            if place is not None:
                scan.used = self._clock()
                return scan, place + 1
        scan = self._fresh()
        place = scan.place(view, marker)
        if place is not None:
            return scan, place + 1
        if end is None:
            raise reference.marker_not_found(marker)
        # The page that ended there was ours; the snapshot is gone since.
        entries = scan.sorted(view)
        for place, entry in enumerate(entries):
            if paging.is_after(entry, end.entry, *view[1]):
                return scan, place
        return scan, len(entries)

    def _remember(self, view: View, scan: _Scan, place: int,
                  entry: base.BackendSnapshot, *,
                  walks_by_offset: bool) -> None:
        keys: list[str | int] = [reference.key(entry.reference)]
        if walks_by_offset:
            keys.append(place)
        with self._changed:
            for key in keys:
                self._ends[view, key] = _End(scan, entry)
                self._ends.move_to_end((view, key))
            while len(self._ends) > MAX_ENDS:
                self._ends.popitem(last=False)

    def _fresh(self) -> _Scan:
        """A scan that is young enough; several callers share one.

        Who waits for a scan that fails is told so, whoever began it.
        """
        arrived = self._clock()
        with self._changed:
            while True:
                for scan in reversed(self._kept):
                    if (scan.started >= arrived - self._max_age
                            and scan.started > self._stale_before):
                        scan.used = self._clock()
                        return scan
                attempt = self._under_way or self._begin()
                self._wait_for(attempt, arrived + self._timeout)
                if attempt.scan is None:
                    raise attempt.failure
                # However much has changed since it began.
                if attempt.started >= arrived:
                    return attempt.scan

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
        try:
            attempt.scan = _Scan(attempt.started, list(self._scan()))
        except Exception as error:
            attempt.failure = error
        finally:
            with self._changed:
                if attempt.scan is not None:
                    self._keep_scan(attempt.scan)
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

    def _keep_scan(self, scan: _Scan) -> None:
        limit = self._clock() - self._keep
        self._kept = [kept for kept in self._kept if kept.used >= limit]
        self._kept.append(scan)
        while len(self._kept) > self._max_scans:
            self._kept.remove(min(self._kept, key=lambda kept: kept.used))
