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
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import sys
from typing import Any

from oslo_config import cfg
from oslo_utils import units

from manageable_snapshots import reference

Reference = reference.Reference


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
    """

    reference: Reference
    source_reference: Reference
    size: int | None
    safe_to_manage: bool = True
    reason_not_safe: str | None = None
    extra_info: Mapping[str, str] | None = None
    cinder_id: str | None = None
    pool: str | None = None


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
        :raises ManageExistingInvalidReference: there is none, or its parent
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
        """Let go of a snapshot, which stays on the backend as it is."""

    def do_setup(self, context: Any) -> None:
        """Get ready; called once, before anything else."""

    def check_for_setup_error(self) -> None:
        """Look at the configuration and the backend.

        :raises ConfigurationError: which option is wrong
        """

    def scan(self, cinder_snapshots: list[Any]) -> Iterator[BackendSnapshot]:
        """Every snapshot of the backend, once, in any order.

        A native driver leaves ``cinder_snapshots`` alone. This default asks
        Cinder's method for one page that holds all.

        :param cinder_snapshots: the rows of this backend
        :raises NotImplementedError: the backend cannot list
        """
        for entry in self.get_manageable_snapshots(
                cinder_snapshots, None, sys.maxsize, 0, ['reference'],
                ['asc']):
            yield BackendSnapshot(
                reference=entry['reference'],
                source_reference=entry['source_reference'],
                size=entry['size'],
                safe_to_manage=entry['safe_to_manage'],
                reason_not_safe=entry.get('reason_not_safe'),
                extra_info=entry.get('extra_info'),
                cinder_id=entry.get('cinder_id'))

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
            entries = self.get_manageable_snapshots(
                [snapshot], None, sys.maxsize, 0, ['reference'], ['asc'])
        except NotImplementedError:
            return None
        return any(entry.get('cinder_id') == snapshot['id']
                   for entry in entries)

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
