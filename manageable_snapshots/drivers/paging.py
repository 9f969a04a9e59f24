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

"""A page of a scan, by the rules of Cinder's ``get_manageable_snapshots``."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from manageable_snapshots.drivers import base
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import reference

# A size that is not known is less than any other.
_VALUES: dict[str, Callable[[base.BackendSnapshot], Any]] = {
    'reference': lambda entry: reference.key(entry.reference),
    'size': lambda entry: -1 if entry.size is None else entry.size,
}

SORT_KEYS = tuple(_VALUES)
SORT_DIRS = ('asc', 'desc')


def sort(entries: Iterable[base.BackendSnapshot],
         sort_keys: Sequence[str],
         sort_dirs: Sequence[str]) -> list[base.BackendSnapshot]:
    """The entries in order; those that are equal, by their references.

    :param sort_keys: of :data:`SORT_KEYS`
    :param sort_dirs: of :data:`SORT_DIRS`, one for each key
    :raises InvalidInput: an unknown key or direction
    """
    check_order(sort_keys, sort_dirs)
    ordered = sorted(entries, key=_VALUES['reference'])
    for key, direction in reversed(list(zip(sort_keys, sort_dirs))):
        ordered.sort(key=_VALUES[key], reverse=direction == 'desc')
    return ordered


def is_after(entry: base.BackendSnapshot, other: base.BackendSnapshot,
             sort_keys: Sequence[str], sort_dirs: Sequence[str]) -> bool:
    """Whether an entry comes after another one, in the order of a sort."""
    for key, direction in (*zip(sort_keys, sort_dirs), ('reference', 'asc')):
        left, right = _VALUES[key](entry), _VALUES[key](other)
        if left != right:
            return (left > right) == (direction == 'asc')
    return False


def check_order(sort_keys: Sequence[str], sort_dirs: Sequence[str]) -> None:
    """See to it that :func:`sort` can use the keys and directions.

    :raises InvalidInput: it cannot
    """
    for known, given, message in (
            (SORT_KEYS, sort_keys, _('Invalid sort keys passed: %s')),
            (SORT_DIRS, sort_dirs, _('Invalid sort dirs passed: %s'))):
        unknown = [str(word) for word in given if word not in known]
        if unknown:
            raise exception.InvalidInput(
                reason=message % reference.shown(', '.join(unknown)))
    if len(sort_keys) != len(sort_dirs):
        raise exception.InvalidInput(
            reason=_('each sort key needs a sort direction'))


def place_of(marker: reference.Reference,
             entries: Sequence[base.BackendSnapshot]) -> int:
    """Where the entry is that a marker names.

    :param marker: its reference, or as much of it as no other entry has
    :raises InvalidInput: there is none, or more than one
    """
    places = [place for place, entry in enumerate(entries)
              if reference.matches(marker, entry.reference)]
    if not places:
        raise reference.marker_not_found(marker)
    if len(places) > 1:
        raise exception.InvalidInput(
            reason=_('marker names several snapshots, give the source-id as '
                     'well: %s') % reference.shown(marker))
    return places[0]


def page(entries: Iterable[base.BackendSnapshot], marker: Any,
         limit: int, offset: int | None, sort_keys: Sequence[str],
         sort_dirs: Sequence[str]) -> list[base.BackendSnapshot]:
    """One page.

    :param entries: all that there are, in any order
    :param marker: a reference, as a dict or as JSON, after which the page
        starts; None: from the beginning
    :param limit: most entries in the page
    :param offset: entries to leave out after the marker
    :raises InvalidInput: the marker is on no page, or a sort key or
        direction is unknown
    """
    wanted = reference.parse_marker(marker)
    ordered = sort(entries, sort_keys, sort_dirs)
    start = 0 if wanted is None else place_of(wanted, ordered) + 1
    start += offset or 0
    return ordered[start:start + limit]
