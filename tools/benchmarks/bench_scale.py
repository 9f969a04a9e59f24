# SPDX-License-Identifier: Apache-2.0

"""What a list costs by itself, with more and more snapshots."""

from collections.abc import Iterator
import gc
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

from benchmarks import results
from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import paging
from manageable_snapshots.volume import inventory

SIZES = (1000, 10000, 100000)
LIMIT = 100
VIEW = paging.View(('reference',), ('desc',))

#: snapshots of each volume
EACH = 10


def run(turns: int, work: pathlib.Path) -> list[results.Row]:
    measured = []
    for turn in range(turns):
        measured.append([_in_a_process(size) for size in SIZES])
        results.tell(f'turn {turn + 1} of {turns}: {measured[-1]}')
    rows = []
    small = [turn[0]['following'] for turn in measured]
    for place, size in enumerate(SIZES[1:], 1):
        rows.append(results.Row(
            'scale', f'following page at {size:,}, by that at 1,000', 's',
            small, [turn[place]['following'] for turn in measured],
            most=1.2))
    large = [turn[-1] for turn in measured]
    for figure, what, unit, limit in (
            ('memory', f'memory a snapshot at {SIZES[-1]:,}', 'bytes', 400),
            ('beyond', f'first page of {SIZES[-1]:,} beyond the driver\'s '
             'own time', 's', 0.5)):
        rows.append(results.Row(
            'scale', f'{what}, by the limit', unit, [limit] * turns,
            [turn[figure] for turn in large], most=1))
    for place, size in enumerate(SIZES):
        rows.append(results.Row(
            'scale', f'first page of {size:,}, by the driver alone', 's',
            [turn[place]['driver'] for turn in measured],
            [turn[place]['first'] for turn in measured]))
    return rows


def _in_a_process(size: int) -> dict[str, float]:
    """What :func:`measure` finds, with a memory that nobody has used."""
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks.bench_scale', str(size)],
        stdout=subprocess.PIPE, check=True, timeout=600)
    return json.loads(done.stdout)


def snapshots(size: int) -> Iterator[base.BackendSnapshot]:
    """As those of an RBD pool: the same names in each volume."""
    for number in range(size):
        volume = f'volume-{number // EACH:08x}-4a5a-9d52-87b6-27b0f4ee2a3b'
        yield base.BackendSnapshot(
            reference={'source-name': f'every-night-{number % EACH:02}',
                       'source-id': f'{volume}@{number}'},
            source_reference={'source-name': volume}, size=number % 7 + 1,
            extra_info={'protected': 'true'} if number % 3 else None,
            pool='ceph')


def measure(size: int) -> dict[str, float]:
    began = time.monotonic()
    for _snapshot in snapshots(size):
        pass
    driver = time.monotonic() - began
    stock = inventory.Inventory(
        'devhost@synthetic', lambda: snapshots(size), max_age=3600, keep=3600,
        scans=1, max_memory=1024, timeout=600)

    def page(marker: base.Reference | None) -> list[base.BackendSnapshot]:
        return stock.page(VIEW, marker=marker, limit=LIMIT, offset=None,
                          mark=list)

    gc.collect()
    before = _resident()
    began = time.monotonic()
    entries = page(None)
    first = time.monotonic() - began
    gc.collect()
    memory = (_resident() - before) / size
    following = []
    for _page in range(200):
        if len(entries) < LIMIT:
            entries = page(None)
        began = time.monotonic()
        entries = page(entries[-1].reference)
        following.append(time.monotonic() - began)
    return {'driver': driver, 'first': first, 'beyond': first - driver,
            'memory': memory, 'following': statistics.median(following)}


def _resident() -> int:
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


if __name__ == '__main__':
    print(json.dumps(measure(int(sys.argv[1]))))
