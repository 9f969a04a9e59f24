# SPDX-License-Identifier: Apache-2.0

"""A walk through all that a pool of Ceph holds, page by page."""

import pathlib
import statistics
import time
from typing import Any

from benchmarks import results
from benchmarks import sides
from manageable_snapshots.tests.integration import cinder

IMAGES, EACH, MORE = 300, 10, 10
COUNT = IMAGES * EACH + MORE
LIMIT = 100

#: threads of a bare scan that are tried
THREADS = (1, 2, 4, 8, 16)


def run(turns: int, work: pathlib.Path) -> list[results.Row]:
    cinder.stack().load(conf=sides.CONF)
    cinder.stack().clear()
    sides.fill(IMAGES, EACH, MORE)
    best = min(THREADS, key=lambda count: min(
        sides.scan(count) for _attempt in range(2)))
    scans: list[float] = []

    def measure(side: str) -> dict[str, float]:
        if side == 'ours':
            scans.append(sides.scan(best))
        return _walk(side)

    measured = sides.by_turns(turns, sides.CONF, measure)
    cinder.stack().clear()

    def both(key: str) -> tuple[list[float], list[float]]:
        return ([turn['stock'][key] for turn in measured],
                [turn['ours'][key] for turn in measured])

    return [
        results.Row('list', f'walk of {COUNT} by {LIMIT}', 's',
                    *both('walk'), least=40),
        results.Row('list', f'first page, by a scan of {best} threads', 's',
                    scans, both('first')[1], most=1.2),
        results.Row('list', 'first page', 's', *both('first')),
        results.Row('list', 'following page', 's', *both('following'),
                    least=100),
    ]


def _walk(side: str) -> dict[str, float]:
    seconds = []
    seen = set()

    def by_offset(path: str, entries: list[Any], body: Any) -> str | None:
        # By marker Cinder's own walk does not end.
        base, _equals, offset = path.rpartition('=')
        return (f'{base}={int(offset) + LIMIT}' if len(entries) == LIMIT
                else None)

    def by_link(path: str, entries: list[Any], body: Any) -> str | None:
        links = body.get('manageable-snapshots_links')
        return links and links[0]['href'].rpartition(
            sides.PROJECT + '/')[2]

    client = sides.Client()
    path = f'manageable_snapshots?host={sides.HOST}&limit={LIMIT}&offset=0'
    # Each process has connected to whatever it needs.
    for _process in range(8):
        client.ask('GET', 'manageable_snapshots?host=nowhere@ceph')
    started = time.monotonic()
    for took, entries in sides.walk(
            client, path if side == 'stock' else path[:-len('&offset=0')],
            by_offset if side == 'stock' else by_link):
        seconds.append(took)
        seen.update(
            (entry['source_reference']['source-name'],
             entry['reference']['source-name']) for entry in entries)
    total = time.monotonic() - started
    client.close()
    if len(seen) != COUNT:
        raise AssertionError(f'{side}: {len(seen)} snapshots of {COUNT}')
    return {'walk': total, 'first': seconds[0],
            'following': statistics.median(seconds[1:-1])}
