# SPDX-License-Identifier: Apache-2.0

"""The conformance suite, against the directory driver."""

import os
import pathlib
from typing import Any

import fixtures
from oslo_utils import units
from oslotest import base as test_base

from manageable_snapshots.drivers import base
from manageable_snapshots.tests.drivers import conformance


class TestDirectoryDriver(conformance.DriverConformance,
                          test_base.BaseTestCase):

    weird_names = tuple(name for name in conformance.WEIRD_NAMES
                        if '/' not in name)

    steps = ('manageable_snapshots.drivers.directory._rename', 'os.fsync')

    def setUp(self) -> None:
        self.path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        super().setUp()

    def new_driver(self) -> base.SnapshotDriver:
        driver = conformance.load_driver(
            'pictures', 'directory', directory_path=str(self.path))
        driver.do_setup(None)
        driver.check_for_setup_error()
        return driver

    def make_volume(self, volume: str, size: int) -> None:
        self.write(self.path / 'volumes' / volume, size)

    def resize_volume(self, volume: str, size: int) -> None:
        os.truncate(self.path / 'volumes' / volume, size * units.Gi)

    def make_snapshot(self, volume: str, name: str) -> None:
        folder = self.path / 'snapshots' / volume
        folder.mkdir(exist_ok=True)
        size = (self.path / 'volumes' / volume).stat().st_size // units.Gi
        self.write(folder / name, size)

    def remove_snapshot(self, volume: str, name: str) -> None:
        (self.path / 'snapshots' / volume / name).unlink()

    def names(self, volume: str) -> set[str]:
        folder = self.path / 'snapshots' / volume
        return set(os.listdir(folder)) if folder.exists() else set()

    def fingerprint(self, volume: str, name: str | None = None) -> Any:
        path = (self.path / 'volumes' / volume if name is None
                else self.path / 'snapshots' / volume / name)
        status = path.stat()
        with path.open('rb') as file:
            return (status.st_ino, status.st_size, status.st_mtime_ns,
                    file.read(64))

    def write(self, path: pathlib.Path, size: int) -> None:
        with path.open('xb') as file:
            file.write(os.urandom(64))
            file.truncate(size * units.Gi)
