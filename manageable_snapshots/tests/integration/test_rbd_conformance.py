# SPDX-License-Identifier: Apache-2.0

"""The conformance suite, against the rbd driver on a real Ceph."""

import contextlib
import hashlib
import os
from typing import Any

from oslo_utils import units
from oslotest import base as test_base

from manageable_snapshots.drivers import base
from manageable_snapshots.tests.drivers import ceph
from manageable_snapshots.tests.drivers import conformance


class TestRBDDriver(conformance.DriverConformance, test_base.BaseTestCase):

    steps = ('manageable_snapshots.drivers.rbd.images.rename',
             'manageable_snapshots.drivers.rbd.images.protect')

    def setUp(self) -> None:
        self.pool = self.useFixture(ceph.Pool())
        super().setUp()

    def new_driver(self) -> base.SnapshotDriver:
        return self.pool.driver()

    def make_volume(self, volume: str, size: int) -> None:
        self.pool.create(volume, size * units.Gi)
        with self.pool.open(volume) as image:
            image.write(os.urandom(64), 0)

    def resize_volume(self, volume: str, size: int) -> None:
        with self.pool.open(volume) as image:
            image.resize(size * units.Gi)

    def make_snapshot(self, volume: str, name: str) -> None:
        with self.pool.open(volume) as image:
            image.create_snap(name)
            image.write(os.urandom(64), 0)

    def remove_snapshot(self, volume: str, name: str) -> None:
        with self.pool.open(volume) as image:
            image.remove_snap(name)

    def names(self, volume: str) -> set[str]:
        return set(self.pool.snapshots(volume))

    def fingerprint(self, volume: str, name: str | None = None) -> Any:
        with self.pool.open(volume, read_only=True) as image:
            return _fingerprint(image, name)

    def state(self, *volumes: conformance.Row
              ) -> dict[tuple[str, str | None], Any]:
        # Each image is opened once, not once for each snapshot.
        found = {}
        for volume in volumes:
            with self.pool.open(volume.name, read_only=True) as image:
                names = [each['name'] for each in image.list_snaps()]
                for name in (None, *names):
                    found[volume.name, name] = _fingerprint(image, name)
        return found

    def hang(self) -> contextlib.AbstractContextManager[Any]:
        return self.pool.stopped_osd()


def _fingerprint(image: Any, name: str | None) -> Any:
    image.set_snap(name)
    return (name and image.snap_get_id(name), image.size(),
            hashlib.sha256(image.read(0, 4096)).hexdigest())
