# SPDX-License-Identifier: Apache-2.0

"""The conformance suite, against the LVM driver and a real LVM."""

from collections.abc import Iterator
import contextlib
import os
from typing import Any

from oslotest import base as test_base

from manageable_snapshots.drivers import base
from manageable_snapshots.tests.drivers import conformance
from manageable_snapshots.tests.drivers import lvm_group


class TestThick(conformance.DriverConformance, test_base.BaseTestCase):

    thin = False

    weird_names = lvm_group.WEIRD_NAMES

    names_repeat = False

    steps = (
        'manageable_snapshots.drivers.lvm.commands.Commands.lvrename',)

    many = 4

    patience = 30

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.group = lvm_group.VolumeGroup(cls.thin)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.group.remove()
        super().tearDownClass()

    def setUp(self) -> None:
        super().setUp()
        self.parents: dict[str, str] = {}
        self.addCleanup(self.group.clear)

    def new_driver(self, **options: Any) -> base.SnapshotDriver:
        driver = self.group.driver(**options)
        driver.do_setup(None)
        driver.check_for_setup_error()
        return driver

    def volume(self, *names: str, size: int = 1) -> conformance.Row:
        row = conformance.volume_row(size)
        self.make(self.group.volume(row.name, size), *(
            self.group.snapshot(row.name, backends_name(name))
            for name in names))
        self.found(row.name, *names)
        return row

    def make_volume(self, volume: str, size: int) -> None:
        self.make(self.group.volume(volume, size))

    def resize_volume(self, volume: str, size: int) -> None:
        self.make(*self.group.resize(volume, size))

    def make_snapshot(self, volume: str, name: str) -> None:
        with open(self.group.path(volume), 'r+b') as device:
            device.write(os.urandom(64))
            device.flush()
            os.fsync(device.fileno())
        self.make(self.group.snapshot(volume, backends_name(name)))
        self.found(volume, name)

    def remove_snapshot(self, volume: str, name: str) -> None:
        self.make(self.group.remove_snapshot(backends_name(name)))

    def names(self, volume: str) -> set[str]:
        return {
            name.removeprefix('_') if name.startswith('_snapshot') else name
            for name in self.group.active()
            if self.parents.get(self.group.identity(name)) == volume}

    def fingerprint(self, volume: str, name: str | None = None) -> Any:
        name = backends_name(name or volume)
        with open(self.group.path(name), 'rb') as device:
            return (self.group.identity(name),
                    device.read(64), device.seek(0, os.SEEK_END))

    @contextlib.contextmanager
    def hang(self) -> Iterator[None]:
        self.driver = self.new_driver(lvm_command_timeout=2)
        with self.group.locked():
            yield
        self.restart()

    def make(self, *commands: str) -> None:
        lvm_group.lvm(*commands)

    def found(self, volume: str, *names: str) -> None:
        for name in names:
            self.parents[self.group.identity(backends_name(name))] = volume


class TestThin(TestThick):

    thin = True


def backends_name(name: str) -> str:
    return '_' + name if name.startswith('snapshot') else name
