# SPDX-License-Identifier: Apache-2.0

"""A real LVM volume group, on a loop device.

``MANAGEABLE_SNAPSHOTS_TEST_LVM_DIR`` names a folder for its disk, a sparse
file; it takes root and a kernel with device-mapper. ``tools/test integration
lvm`` has a virtual machine for that.
"""

from collections.abc import Iterator
import contextlib
import fcntl
import os
import pathlib
import subprocess
from typing import Any
import uuid

from oslo_utils import units

from manageable_snapshots.drivers import base
from manageable_snapshots.tests.drivers import conformance
from manageable_snapshots.tests.integration import servers

#: names that LVM allows, and that are not what one expects
WEIRD_NAMES = ('+', '...', 'a--b-', 'snapshots-to.Keep', 'n' * 100)

#: seconds that any one command may take
PATIENCE = 120

#: What a command says of a device that it finds in its cache and that another
#: one has made or removed meanwhile; it gets over it.
HARMLESS = ('WARNING', 'fstat failed', 'skip hint hash but found label')

_DISK = 1024 * units.Gi


def lvm(*commands: str) -> None:
    """Run commands of LVM, all in one process.

    :raises AssertionError: one of them failed
    """
    made = subprocess.run(
        ['lvm'], input='\n'.join(commands), capture_output=True, text=True,
        timeout=PATIENCE)
    # The status is the last command's.
    failures = [line for line in made.stderr.splitlines()
                if not any(words in line for words in HARMLESS)]
    if made.returncode or failures:
        raise AssertionError(made.stdout + made.stderr)


class VolumeGroup:
    """A volume group of its own; made at once.

    :param thin: whether its volumes are thin ones
    :raises unittest.SkipTest: there is no LVM to test with
    """

    def __init__(self, thin: bool = False) -> None:
        folder = servers.setting('LVM_DIR')
        self.name = f'test-{uuid.uuid4().hex[:8]}'
        self._thin = thin
        self._folder = pathlib.Path(folder)
        self._disks: list[tuple[str, pathlib.Path]] = []
        lvm(f'vgcreate {self.name} {self.new_disk()}', *(
            (f'lvcreate --type thin-pool --size 64g --name {self.name}-pool '
             f'{self.name}',) if thin else ()))

    def driver(self, **options: Any) -> base.SnapshotDriver:
        """A driver of the group, not set up.

        :param options: of the backend
        """
        return conformance.load_driver(
            'disks', 'lvm', **{'volume_group': self.name, **options})

    def remove(self) -> None:
        lvm(f'vgremove --force --force --yes {self.name}')
        while self._disks:
            self.lose_disk()

    def new_disk(self) -> str:
        """The device of an empty disk."""
        path = self._folder / f'{uuid.uuid4().hex}.disk'
        with path.open('xb') as file:
            file.truncate(_DISK)
        device = subprocess.run(
            ['losetup', '--find', '--show', path], check=True,
            capture_output=True, text=True, timeout=PATIENCE).stdout.strip()
        self._disks.append((device, path))
        return device

    def lose_disk(self) -> None:
        """Take the newest disk away."""
        device, path = self._disks.pop()
        subprocess.run(['losetup', '--detach', device], check=True,
                       timeout=PATIENCE)
        path.unlink()

    def clear(self) -> None:
        """Remove all volumes and snapshots."""
        lvm(f'lvremove --yes {self.name} --select '
            f'"lv_name != {self.name}-pool"')

    def volume(self, name: str, size: int = 1) -> str:
        """The command that makes a volume.

        :param size: GiB
        """
        if self._thin:
            return (f'lvcreate --virtualsize {size}g --name {name} '
                    f'--thinpool {self.name}/{self.name}-pool')
        return (f'lvcreate --wipesignatures n --zero n --size {size}g '
                f'--name {name} {self.name}')

    def snapshot(self, volume: str, name: str) -> str:
        """The command that takes a snapshot, an active one."""
        return (f'lvcreate --snapshot --name {name} ' + (
            '--setactivationskip n ' if self._thin else '--size 8m ')
            + f'{self.name}/{volume}')

    def remove_snapshot(self, name: str) -> str:
        return f'lvremove --force {self.name}/{name}'

    def resize(self, volume: str, size: int) -> list[str]:
        """The commands that make a volume larger."""
        path = f'{self.name}/{volume}'
        # Under its thick snapshots a volume keeps its size while it is
        # active.
        return [f'lvchange --activate n {path}',
                f'lvextend --size {size}g {path}',
                f'lvchange --activate y {path}']

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """A context in which each command waits for a lock of LVM's."""
        with open(f'/run/lock/lvm/V_{self.name}', 'a') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def path(self, name: str) -> str:
        """Where the device of an active LV is."""
        return f'/dev/{self.name}/{name}'

    def active(self) -> list[str]:
        """The names of the LVs that have a device."""
        folder = pathlib.Path('/dev', self.name)
        return os.listdir(folder) if folder.exists() else []

    def identity(self, name: str) -> str:
        """What the kernel knows an active LV by, whatever its name."""
        number = os.stat(self.path(name)).st_rdev
        return pathlib.Path(
            f'/sys/dev/block/{os.major(number)}:{os.minor(number)}'
            '/dm/uuid').read_text()
