# SPDX-License-Identifier: Apache-2.0

"""What drivers of our own have in common: they scan, and know no rows."""

import abc
from collections.abc import Iterator
from typing import Any

from oslo_utils import units

from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import paging
from manageable_snapshots import version


class NativeDriver(base.SnapshotDriver):
    """A driver that adopts by renaming and lists by scanning.

    Cinder's way to list, page by page with the rows in hand, is made of
    :meth:`scan`. The ``source_reference`` of each entry has the name of its
    volume as ``source-name``.
    """

    knows_volumes = True

    @abc.abstractmethod
    def scan(self, cinder_snapshots: list[Any]
             ) -> Iterator[base.BackendSnapshot]:
        """Every snapshot of the backend, once, in any order.

        What cannot be read costs the entry that it is, not the scan. A
        volume that cannot be read has an entry that says so (``is_unread``).

        :param cinder_snapshots: not looked at
        :raises ServiceUnavailable: the backend is away
        """

    @abc.abstractmethod
    def is_adopted(self, snapshot: Any) -> bool:
        """Whether the backend has a snapshot of the row's name and volume."""

    @property
    def pool_name(self) -> str:
        """How Cinder's scheduler calls the one pool that the backend has."""
        return self.conf[self.backend].volume_backend_name or self.backend

    def stats(self, protocol: str, total: float | None, free: float | None,
              *, thin: bool) -> dict[str, Any]:
        """What the backend offers, for ``get_volume_stats``.

        :param protocol: by which its volumes are reached
        :param total: bytes; None: not known now
        :param free: bytes, likewise
        :param thin: whether a volume takes no more room than it needs
        """
        total_gb, free_gb = (
            'unknown' if size is None else round(size / units.Gi, 2)
            for size in (total, free))
        return {
            'volume_backend_name': self.pool_name,
            'vendor_name': 'Open Source',
            'driver_version': version.version_string(),
            'storage_protocol': protocol,
            'total_capacity_gb': total_gb,
            'free_capacity_gb': free_gb,
            'reserved_percentage': 0,
            'thin_provisioning_support': thin,
            'thick_provisioning_support': not thin,
            'multiattach': False,
            'QoS_support': False,
        }

    def get_manageable_snapshots(
            self, cinder_snapshots: list[Any], marker: Any, limit: int,
            offset: int | None, sort_keys: list[str],
            sort_dirs: list[str]) -> list[dict[str, Any]]:
        rows = {(row['volume_name'], row['name']): row['id']
                for row in cinder_snapshots}
        entries = paging.page(self.scan(cinder_snapshots), marker, limit,
                              offset, sort_keys, sort_dirs)
        return [base.describe(entry, rows.get((
            entry.source_reference['source-name'],
            self.managed_name(entry.reference)))) for entry in entries]

    def unmanage_snapshot(self, snapshot: Any) -> None:
        """Nothing to do: no longer being managed changes no name."""
