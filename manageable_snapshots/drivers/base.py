# SPDX-License-Identifier: Apache-2.0

"""What a driver is asked to do.

The first four methods are Cinder's, with its signatures
(``cinder.interface.volume_snapshotmanagement_driver``,
``VolumeSnapshotManagementDriver``); any Cinder driver has them. The rest is
what the inventory and crash recovery need. Its defaults make do with the
four. Most drivers start from :class:`native.NativeDriver`, which pages a scan.

A driver knows no database and no RPC. ``snapshot`` and ``volume`` arguments
are mappings that answer to attributes as well, with the fields of Cinder's
objects: ``snapshot.id``, ``snapshot.name`` (by ``snapshot_name_template``),
``snapshot.volume_id``, ``snapshot.volume_name``, ``snapshot.volume_size``
(GiB), ``snapshot.provider_id``, ``snapshot.provider_location``,
``snapshot.volume`` (``id``, ``name``, ``size``, ``host``, ``provider_id``,
``provider_location``).
"""

import abc
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import math
import sys
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import units

from manageable_snapshots import reference

LOG = logging.getLogger(__name__)

Reference = reference.Reference

#: characters of a text in a list; no storage has names that are as long
MAX_TEXT = 4096

#: GiB; what the column of a database holds
MAX_SIZE = 0x7fffffff


def gibibytes(size: int) -> int:
    """A size in GiB as Cinder counts: rounded up, 1 at least.

    :param size: bytes
    """
    return max(1, -(-size // units.Gi))


@dataclasses.dataclass(frozen=True, slots=True)
class BackendSnapshot:
    """A snapshot as a scan found it.

    :ivar reference: names this snapshot and no other of the backend; a
        request to adopt it carries it as ``ref``
    :ivar source_reference: names its parent volume on the backend
    :ivar size: GiB, rounded up; None: unknown before it is adopted
    :ivar safe_to_manage: whether adopting it can work, as far as the backend
        tells; that it is managed already is not the driver's business
    :ivar reason_not_safe: a sentence, where it is not safe
    :ivar extra_info: what else an operator would want to know
    :ivar cinder_id: the id of the row that manages it, where the driver was
        told of rows and knows; else None
    :ivar pool: where on the backend it is, the name after ``#`` in a
        volume's host; None: everywhere, or the driver cannot say
    :ivar is_unread: it is not a snapshot but stands for all snapshots of the
        volume in ``source_reference``, which could not be read; it is not
        safe to manage. A page does not keep this
    """

    reference: Reference
    source_reference: Reference
    size: int | None
    safe_to_manage: bool = True
    reason_not_safe: str | None = None
    extra_info: Mapping[str, str] | None = None
    cinder_id: str | None = None
    pool: str | None = None
    is_unread: bool = False


def describe(snapshot: BackendSnapshot,
             cinder_id: str | None) -> dict[str, Any]:
    """An entry of a list, in the form of Cinder's drivers.

    :param cinder_id: the row that manages it, if any
    """
    managed = cinder_id is not None
    return {
        'reference': dict(snapshot.reference),
        'size': snapshot.size,
        'safe_to_manage': snapshot.safe_to_manage and not managed,
        'reason_not_safe': ('already managed' if managed
                            else snapshot.reason_not_safe),
        'cinder_id': cinder_id,
        'extra_info': (None if snapshot.extra_info is None
                       else dict(snapshot.extra_info)),
        'source_reference': dict(snapshot.source_reference),
    }


def entries(name: str, listed: Any) -> Iterator[BackendSnapshot]:
    """What a driver of Cinder's lists, which can be anything.

    An invalid entry is skipped. The log says so once a list.

    :param name: the driver's, for the log
    :param listed: dicts as :func:`describe` makes them; they may leave out
        all but the reference
    :raises TypeError: it is no list
    """
    if not isinstance(listed, Iterable) or isinstance(
            listed, (str, bytes, Mapping)):
        raise TypeError(f'{name} lists what is no list but a '
                        f'{type(listed).__name__}')
    count, reason = 0, None
    for each in listed:
        try:
            entry = _entry(each)
        except (OverflowError, TypeError, ValueError) as error:
            count += 1
            reason = reason or error
        else:
            yield entry
    if count:
        LOG.warning('%(driver)s lists %(count)d invalid entries, which '
                    'are skipped. The first: %(reason)s',
                    {'driver': name, 'count': count,
                     'reason': reference.shown(str(reason))})


def check_size(value: Any) -> int:
    """A size as a driver tells it, in GiB, rounded up.

    :raises ValueError: there is no such size
    """
    try:
        size = math.ceil(float(value))
    except (OverflowError, TypeError, ValueError):
        size = -1
    if isinstance(value, bool) or not 0 <= size <= MAX_SIZE:
        raise ValueError(f'{reference.shown(value)} is no size in GiB')
    return size


def _entry(listed: Any) -> BackendSnapshot:
    if not isinstance(listed, Mapping):
        raise TypeError(f'it is a {type(listed).__name__}')
    size, reason = listed.get('size'), listed.get('reason_not_safe')
    owner, extra = listed.get('cinder_id'), listed.get('extra_info')
    ref = _texts(listed.get('reference'))
    if not ref:
        raise ValueError('it has no reference')
    return BackendSnapshot(
        reference=ref,
        source_reference=_texts(listed.get('source_reference') or {}),
        size=None if size is None else check_size(size),
        safe_to_manage=bool(listed.get('safe_to_manage')),
        reason_not_safe=None if reason is None else str(reason)[:MAX_TEXT],
        extra_info=({str(key)[:MAX_TEXT]: str(value)[:MAX_TEXT]
                     for key, value in extra.items() if value is not None}
                    if isinstance(extra, Mapping) else None),
        cinder_id=owner if isinstance(owner, str) else None)


def _texts(ref: Any) -> Reference:
    if not isinstance(ref, Mapping):
        raise TypeError('a reference is no dict')
    # A request has texts only, whatever numbers a driver has here.
    texts = {}
    for key, value in ref.items():
        if value is None:
            continue
        if not isinstance(key, str) or isinstance(value, bool) or (
                not isinstance(value, (str, int))):
            raise TypeError('a reference has what is no string')
        texts[key] = str(value)
        if len(key) > MAX_TEXT or len(texts[key]) > MAX_TEXT:
            raise ValueError('a name is longer than any storage has')
    return texts


class SnapshotDriver(abc.ABC):
    """A backend's snapshots.

    :param conf: the configuration
    :param backend: the backend's section in it
    """

    #: shown to users
    NAME: str = ''

    #: Whether ``source-name`` in a ``source_reference`` is the name that the
    #: volume's row has (``volume.name``), and a snapshot of any other volume
    #: than the row's is never adopted. A snapshot is then managed only where
    #: it is its row's volume's; else its own name is enough.
    knows_volumes: bool = False

    def __init__(self, conf: cfg.ConfigOpts, backend: str) -> None:
        self.conf = conf
        self.backend = backend

    @abc.abstractmethod
    def get_manageable_snapshots(
            self, cinder_snapshots: list[Any], marker: Reference | None,
            limit: int, offset: int | None, sort_keys: list[str],
            sort_dirs: list[str]) -> list[dict[str, Any]]:
        """A page of the backend's snapshots.

        :param cinder_snapshots: the rows of this backend
        :param marker: the reference after which the page starts
        :param limit: most entries in the page
        :param offset: entries to leave out after the marker
        :param sort_keys: of ``reference`` and ``size``
        :param sort_dirs: of ``asc`` and ``desc``, one for each key
        :returns: dicts with ``reference``, ``size`` (GiB),
            ``safe_to_manage``, ``reason_not_safe``, ``cinder_id``,
            ``extra_info`` and ``source_reference``
        :raises NotImplementedError: the backend cannot list
        """

    @abc.abstractmethod
    def manage_existing_snapshot(
            self, snapshot: Any,
            existing_ref: Reference) -> dict[str, Any] | None:
        """Make the backend's snapshot the one behind a row, at once or not.

        The backend renames it to ``snapshot.name``, or, where it cannot
        rename, records the row's id. Nothing is ever overwritten.

        :param snapshot: the row
        :param existing_ref: which snapshot
        :returns: columns of the row to update: ``provider_id``,
            ``provider_location``, ``provider_auth``; a ``display_name`` for
            one that has none; and ``metadata`` to add
        :raises ManageExistingInvalidReference: no such snapshot, or its parent
            is not ``snapshot.volume``
        :raises ManageExistingAlreadyManaged: the backend has a snapshot of
            the new name
        :raises InvalidInput: it is no reference at all
        :raises NotImplementedError: the backend cannot adopt
        """

    @abc.abstractmethod
    def manage_existing_snapshot_get_size(
            self, snapshot: Any, existing_ref: Reference) -> int:
        """The size of a snapshot that is to be adopted.

        :returns: GiB, rounded up
        :raises ManageExistingInvalidReference: as above
        """

    @abc.abstractmethod
    def unmanage_snapshot(self, snapshot: Any) -> None:
        """Unmanage a snapshot; the backend keeps it unchanged."""

    def do_setup(self, context: Any) -> None:
        """Get ready; called once, before anything else."""

    def check_for_setup_error(self) -> None:
        """Look at the configuration and the backend.

        :raises ConfigurationError: which option is wrong
        """

    def prepare_to_read(self, context: Any) -> None:
        """Get ready, in place of the two above, to be asked and no more.

        A driver whose set-up changes something on the backend leaves that
        out here.

        :raises ConfigurationError: which option is wrong
        """
        self.do_setup(context)
        self.check_for_setup_error()

    def forget(self) -> None:
        """Drop what is remembered of the storage.

        Called when the backend has failed over: another storage is in its
        place.
        """

    def scan(self, cinder_snapshots: list[Any]) -> Iterator[BackendSnapshot]:
        """Every snapshot of the backend, once, in any order.

        A native driver leaves ``cinder_snapshots`` alone. This default asks
        Cinder's method for one page that holds all.

        :param cinder_snapshots: the rows of this backend
        :raises NotImplementedError: the backend cannot list
        """
        yield from entries(self.NAME, self.get_manageable_snapshots(
            cinder_snapshots, None, sys.maxsize, 0, ['reference'], ['asc']))

    def managed_name(self, existing_ref: Reference) -> str | None:
        """The backend's name of the snapshot that a reference names.

        A worker that knows it finds out whether the snapshot is managed
        already, by ``snapshot_name_template``. The default reads
        ``source-name``, or ``name`` as some of Cinder's drivers have it.

        :returns: the name; None: the driver cannot say
        """
        return existing_ref.get('source-name', existing_ref.get('name'))

    def is_adopted(self, snapshot: Any) -> bool | None:
        """Whether the backend's snapshot of a row is there already.

        Asked where an adoption was cut short, perhaps after the rename. This
        default lists the whole backend, to see whether Cinder's method takes
        one of its snapshots for the row's.

        :returns: None: the driver cannot say
        """
        try:
            listed = self.get_manageable_snapshots(
                [snapshot], None, sys.maxsize, 0, ['reference'], ['asc'])
        except NotImplementedError:
            return None
        return any(isinstance(entry, Mapping)
                   and entry.get('cinder_id') == snapshot['id']
                   for entry in listed)

    def lost_updates(self, snapshot: Any) -> dict[str, Any] | None:
        """What ``manage_existing_snapshot`` returned, if it can be had again.

        Asked for a snapshot that ``is_adopted``, where nobody was there to
        hear it. A driver that returns nothing, or what can be done without,
        leaves this as it is.
        """
        return None


class VolumeDriver(SnapshotDriver):
    """A backend that makes volumes and snapshots as well.

    Needed only where the service runs on its own; methods and arguments are
    Cinder's. All but ``create_snapshot`` and ``create_volume`` may be
    repeated.
    """

    @abc.abstractmethod
    def create_volume(self, volume: Any) -> dict[str, Any] | None:
        """Make an empty volume of ``volume.size`` GiB.

        :returns: columns of the row to update, as for adopting
        :raises InvalidVolume: the backend has one of that name
        """

    @abc.abstractmethod
    def delete_volume(self, volume: Any) -> None:
        """Delete a volume; none of that name is fine."""

    @abc.abstractmethod
    def create_snapshot(self, snapshot: Any) -> dict[str, Any] | None:
        """Take a snapshot of ``snapshot.volume``, as ``snapshot.name``.

        :returns: columns of the row to update, as for adopting
        :raises InvalidVolume: there is no such volume
        :raises InvalidSnapshot: the volume has a snapshot of that name
        """

    @abc.abstractmethod
    def delete_snapshot(self, snapshot: Any) -> None:
        """Delete a snapshot; none of that name is fine."""

    @abc.abstractmethod
    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:
        """What the backend offers, in the form of Cinder's drivers.

        :param refresh: ask the backend anew
        :returns: among others ``volume_backend_name``, ``storage_protocol``,
            ``total_capacity_gb``, ``free_capacity_gb``
        """
