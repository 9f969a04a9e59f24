# SPDX-License-Identifier: Apache-2.0

"""A list of what a volume group holds, in a virtual machine that has LVM.

Cinder's volume manager is there with this project's in it, so both lists are
made by one process, in turn: Cinder's own method with Cinder's driver, and
ours. Snapshots are thick, since Cinder's driver lists no others.
"""

import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

from benchmarks import results

ROOT = pathlib.Path(__file__).resolve().parents[2]
VENV = ROOT / '.venv-cinder-29'
VOLUMES, EACH = 10, 10
COUNT = VOLUMES * EACH

#: seconds for the machine, whose processor is emulated, and for each turn
SETUP_SECONDS = 2400
TURN_SECONDS = 1200


def run(turns: int, work: pathlib.Path) -> list[results.Row]:
    library = subprocess.check_output(
        [VENV / 'bin/python', '-c',
         'import sysconfig; print(sysconfig.get_path("stdlib"))'],
        text=True).strip()
    found = work / 'machine' / 'found.json'
    subprocess.run(
        [ROOT / 'tools/rig/lvm', work / 'machine', VENV, library, '--', 'env',
         f'PYTHONPATH={ROOT / "tools"}', 'PYTHONUNBUFFERED=1',
         VENV / 'bin/python', '-W', 'ignore', '-m', 'benchmarks.bench_lvm',
         str(turns), found],
        check=True, stdout=sys.stderr, env={
            **os.environ, 'MANAGEABLE_SNAPSHOTS_TEST_LVM_DIR': '/tmp',
            'LVM_SECONDS': str(SETUP_SECONDS + turns * TURN_SECONDS)})
    measured = json.loads(found.read_text())
    return [results.Row(
        'lvm', f'list of {COUNT} snapshots', 's', measured['stock'],
        measured['ours'], least=20)]


def measure(turns: int) -> dict[str, list[float]]:
    """In the machine: seconds of each list."""
    from manageable_snapshots.tests.drivers import lvm_group
    from manageable_snapshots.tests.integration import test_lvm_in_cinder
    group = lvm_group.VolumeGroup()
    host = test_lvm_in_cinder.Host(
        'disks', test_lvm_in_cinder.DISKS.format(
            group=group.name, native=True, type='default'),
        test_lvm_in_cinder.new_folder())
    for number in range(VOLUMES):
        volume = host.volume()
        lvm_group.lvm(*(group.snapshot(volume.name, f'old-{number}-{each}')
                        for each in range(EACH)))
        results.tell(f'{(number + 1) * EACH} of {COUNT} snapshots made')
    from cinder.volume import manager
    arguments: tuple[Any, ...] = (
        host.context, None, COUNT + 1, 0, ['reference'], ['desc'])
    lists = {
        'stock': lambda: manager.VolumeManager.get_manageable_snapshots(
            host.manager, *arguments),
        'ours': lambda: host.manager.get_manageable_snapshots(*arguments)}
    seconds: dict[str, list[float]] = {side: [] for side in lists}
    for turn in range(turns):
        for side, ask in lists.items():
            began = time.monotonic()
            entries = ask()
            seconds[side].append(time.monotonic() - began)
            if len(entries) != COUNT:
                raise AssertionError(f'{side}: {len(entries)} snapshots')
            results.tell(f'turn {turn + 1} of {turns}, {side}: '
                         f'{seconds[side][-1]:.2f} s')
    return seconds


if __name__ == '__main__':
    pathlib.Path(sys.argv[2]).write_text(json.dumps(measure(int(sys.argv[1]))))
    # Threads of Cinder's would hold it up.
    sys.stdout.flush()
    os._exit(0)
