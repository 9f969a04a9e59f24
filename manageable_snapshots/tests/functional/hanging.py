# SPDX-License-Identifier: Apache-2.0

"""A directory driver that hangs when it is told to.

As long as there is a FIFO called ``hang`` in its folder, it opens that: a call
of the system which returns when somebody opens the other end.
"""

from collections.abc import Iterator
import contextlib
import os
from typing import Any

from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import directory

FIFO = 'hang'


class Driver(directory.DirectoryDriver):

    def scan(self, cinder_snapshots: list[Any]
             ) -> Iterator[base.BackendSnapshot]:
        self._hang()
        yield from super().scan(cinder_snapshots)

    def manage_existing_snapshot(
            self, snapshot: Any,
            existing_ref: base.Reference) -> dict[str, Any] | None:
        self._hang()
        return super().manage_existing_snapshot(snapshot, existing_ref)

    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:
        self._hang()
        return super().get_volume_stats(refresh)

    def _hang(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.close(os.open(os.path.join(self._path, FIFO), os.O_RDONLY))
