# SPDX-License-Identifier: Apache-2.0

"""The snapshots of one scan, in little room, and their pages.

Pages go by the rules of Cinder's ``get_manageable_snapshots``.

Of each snapshot there is a string that holds its reference, 8 bytes of size
and 8 of numbers; volumes, and all else that many snapshots have in common, are
there once. That is about 200 bytes a snapshot with names of 40 characters,
and 150 more where each has a volume of its own.

Cost, of n snapshots: to make a scan, and an order other than by reference,
O(n log n); a page, wherever it starts, O(log n + page).
"""

import array
import bisect
import collections
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import sys
import threading
from typing import Any

from oslo_log import log as logging

from manageable_snapshots.drivers import base
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import reference

LOG = logging.getLogger(__name__)

SORT_KEYS = ('reference', 'size')
SORT_DIRS = ('asc', 'desc')

#: A size that is not known; it is less than any other.
UNKNOWN = -1

#: views of one scan that are kept in order
MAX_VIEWS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """Which snapshots of a scan, in which order.

    :ivar sort_keys: of :data:`SORT_KEYS`
    :ivar sort_dirs: of :data:`SORT_DIRS`, one for each key
    :ivar pool: show only this pool and unknown pools; None: all
    :ivar source_name: what the snapshot's name begins with
    :ivar volume_name: the name of its volume on the backend; None: any
    :ivar safe_to_manage: what it has to be, as far as a scan tells: what is
        unsafe now will not be safe; None: either
    """

    sort_keys: tuple[str, ...]
    sort_dirs: tuple[str, ...]
    pool: str | None = None
    source_name: str = ''
    volume_name: str | None = None
    safe_to_manage: bool | None = None

    def check(self) -> None:
        """Raise an error unless the sort order is valid.

        :raises InvalidInput: there cannot
        """
        for known, given, message in (
                (SORT_KEYS, self.sort_keys,
                 _('Invalid sort keys passed: %s')),
                (SORT_DIRS, self.sort_dirs,
                 _('Invalid sort dirs passed: %s'))):
            unknown = [str(word) for word in given if word not in known]
            if unknown:
                raise exception.InvalidInput(
                    reason=message % reference.shown(', '.join(unknown)))
        if len(self.sort_keys) != len(self.sort_dirs):
            raise exception.InvalidInput(
                reason=_('each sort key needs a sort direction'))

    def rank(self, place: float, size: int) -> tuple[float, ...]:
        """What a snapshot is ordered by.

        :param place: by reference, ascending
        """
        values = {'reference': place, 'size': size}
        return tuple(
            -values[key] if direction == 'desc' else values[key]
            for key, direction in zip(self.sort_keys, self.sort_dirs)
        ) + (place,)


class Scan:
    """What a backend held.

    :param entries: every snapshot once, in any order
    """

    def __init__(self, entries: Iterable[base.BackendSnapshot]) -> None:
        keys: list[str] = []
        sizes = array.array('q')
        volumes, traits = _Numbers(), _Numbers()
        volume_of, traits_of = array.array('I'), array.array('I')
        cinder_ids: list[tuple[int, str]] = []
        unread: set[int] = set()
        for entry in entries:
            try:
                key = reference.key(entry.reference)
                volume = volumes.number(reference.key(entry.source_reference))
                trait = traits.number((
                    entry.safe_to_manage, entry.reason_not_safe,
                    None if entry.extra_info is None
                    else tuple(entry.extra_info.items()), entry.pool))
                sizes.append(UNKNOWN if entry.size is None else entry.size)
            except (AttributeError, OverflowError, TypeError, ValueError):
                LOG.warning('Leaving out what is no snapshot: %s',
                            reference.shown(entry))
                continue
            if entry.cinder_id is not None:
                cinder_ids.append((len(keys), entry.cinder_id))
            if entry.is_unread:
                unread.add(len(keys))
            keys.append(key)
            volume_of.append(volume)
            traits_of.append(trait)
        order = sorted(range(len(keys)), key=keys.__getitem__)
        self._keys = [keys[number] for number in order]
        self._sizes = array.array('q', (sizes[number] for number in order))
        self._volume_of = array.array(
            'I', (volume_of[number] for number in order))
        self._traits_of = array.array(
            'I', (traits_of[number] for number in order))
        self._volumes: list[str] = volumes.values()
        self._traits: list[tuple[Any, ...]] = traits.values()
        self._pools = {pool for *_rest, pool in self._traits} - {None}
        #: those that stand for all snapshots of a volume, whatever their names
        self._unread = {place for place, number in enumerate(order)
                        if number in unread} if unread else set()
        self._managed: dict[int, str] = {}
        if cinder_ids:
            places = {number: place for place, number in enumerate(order)}
            self._managed = {
                places[number]: owner for number, owner in cinder_ids}
        self._views: collections.OrderedDict[View, Sequence[int]] = (
            collections.OrderedDict())
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def memory(self) -> int:
        """Bytes that it takes, with as many views as there can be."""
        views = MAX_VIEWS * 4 * len(self._keys)
        return views + sum(map(sys.getsizeof, (
            self._keys, self._sizes, self._volume_of, self._traits_of,
            self._volumes, self._traits, *self._keys, *self._volumes,
            *self._traits)))

    def page(self, view: View, start: int,
             limit: int) -> list[base.BackendSnapshot]:
        """The snapshots from the start-th of a view on."""
        return [self._entry(place)
                for place in self._view(view)[start:start + limit]]

    def after(self, view: View, marker: base.Reference) -> int | None:
        """Return the index of the first snapshot after the marker in a view.

        :param marker: its reference, or as much of it as no other one has
        :returns: None: the view has no such snapshot
        :raises InvalidInput: it goes for several
        """
        ordered = self._view(view)
        starts = []
        for place in self.find(marker):
            start = self._bisect(view, ordered, place, self._sizes[place])
            if start and ordered[start - 1] == place:
                if self._keys[place] == reference.key(marker):
                    return start
                starts.append(start)
        if len(starts) > 1:
            raise exception.InvalidInput(
                reason=_('marker names several snapshots, give the source-id '
                         'as well: %s') % reference.shown(marker))
        return starts[0] if starts else None

    def after_lost(self, view: View, marker: base.Reference,
                   size: int) -> int:
        """As :meth:`after`, for one that is not there any more.

        :param size: which it had
        """
        place = bisect.bisect_left(self._keys, reference.key(marker))
        return self._bisect(view, self._view(view), place - 0.5, size)

    def find(self, ref: base.Reference) -> list[int]:
        """The places of those that a reference, or a part of one, names."""
        key = reference.key(ref)
        place = bisect.bisect_left(self._keys, key)
        if place < len(self._keys) and self._keys[place] == key:
            return [place]
        if 'source-name' in ref:
            start, end = self._range(ref['source-name'] + '\0')
            candidates: Iterable[int] = range(start, end)
        else:
            # Each is looked through, by means that need no decoding.
            words = [word for pair in ref.items() for word in pair]
            candidates = (place for place, key in enumerate(self._keys)
                          if all(word in key for word in words))
        return [place for place in candidates if reference.matches(
            ref, reference.from_key(self._keys[place]))]

    def manage(self, ref: base.Reference, volume_name: str,
               snapshot_id: str) -> None:
        """Note that a row manages what a reference names.

        :param volume_name: the backend's name of its volume
        """
        for place in self.find(ref):
            volume = reference.from_key(self._volumes[self._volume_of[place]])
            if volume.get('source-name', volume_name) == volume_name:
                self._managed[place] = snapshot_id

    def _entry(self, place: int) -> base.BackendSnapshot:
        safe, reason, extra, pool = self._traits[self._traits_of[place]]
        size = self._sizes[place]
        return base.BackendSnapshot(
            reference=reference.from_key(self._keys[place]),
            source_reference=reference.from_key(
                self._volumes[self._volume_of[place]]),
            size=None if size == UNKNOWN else size, safe_to_manage=safe,
            reason_not_safe=reason,
            extra_info=None if extra is None else dict(extra),
            cinder_id=self._managed.get(place), pool=pool)

    def _view(self, view: View) -> Sequence[int]:
        with self._lock:
            ordered = self._views.get(view)
            if ordered is None:
                ordered = self._views[view] = self._sorted(view)
                if len(self._views) > MAX_VIEWS:
                    self._views.popitem(last=False)
            self._views.move_to_end(view)
        return ordered

    def _sorted(self, view: View) -> Sequence[int]:
        chosen: Sequence[int] = range(*self._range(view.source_name))
        if view.source_name and self._unread:
            chosen = sorted(self._unread.union(chosen))
        if view.volume_name is not None:
            wanted = {
                number for number, key in enumerate(self._volumes)
                if reference.from_key(key).get(
                    'source-name') == view.volume_name}
            chosen = [place for place in chosen
                      if self._volume_of[place] in wanted]
        # What is not managed may be by the time that it is shown.
        fitting = {
            number for number, (safe, *_rest, pool) in enumerate(self._traits)
            if (safe or not view.safe_to_manage)
            and (not self._pools or view.pool is None
                 or pool in (view.pool, None))}
        if len(fitting) < len(self._traits):
            chosen = [place for place in chosen
                      if self._traits_of[place] in fitting]
        if view.sort_keys[:1] == ('reference',):
            if view.sort_dirs[0] == 'desc':
                chosen = chosen[::-1]
        else:
            chosen = sorted(chosen, key=lambda place: view.rank(
                place, self._sizes[place]))
        if isinstance(chosen, range):
            return chosen
        return array.array('I', chosen)

    def _bisect(self, view: View, ordered: Sequence[int], place: float,
                size: int) -> int:
        return bisect.bisect_right(
            ordered, view.rank(place, size),
            key=lambda other: view.rank(other, self._sizes[other]))

    def _range(self, prefix: str) -> tuple[int, int]:
        """The places of the keys that begin so."""
        if not prefix:
            return 0, len(self._keys)
        length = len(prefix)
        return (bisect.bisect_left(self._keys, prefix),
                bisect.bisect_right(self._keys, prefix,
                                    key=lambda key: key[:length]))


class _Numbers:
    """Numbers for values; equal ones have the same."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        return self._numbers.setdefault(value, len(self._numbers))

    def values(self) -> list[Any]:
        return list(self._numbers)


def page(entries: Iterable[base.BackendSnapshot], marker: Any,
         limit: int, offset: int | None, sort_keys: Sequence[str],
         sort_dirs: Sequence[str]) -> list[base.BackendSnapshot]:
    """One page.

    :param entries: all entries, in any order
    :param marker: a reference, as a dict or as JSON, after which the page
        starts; None: from the beginning
    :param limit: most entries in the page
    :param offset: entries to leave out after the marker
    :raises InvalidInput: the marker is on no page, or a sort key or
        direction is unknown
    """
    wanted = reference.parse_marker(marker)
    view = View(tuple(sort_keys), tuple(sort_dirs))
    view.check()
    scan = Scan(entries)
    start = 0 if wanted is None else scan.after(view, wanted)
    if wanted is not None and start is None:
        raise reference.marker_not_found(wanted)
    return scan.page(view, (start or 0) + (offset or 0), limit)
