# SPDX-License-Identifier: Apache-2.0

"""Adoptions by several clients, from the first request until all are done."""

import pathlib
import time
from typing import Any

import sqlalchemy as sa

from benchmarks import results
from benchmarks import sides
from manageable_snapshots.tests.integration import cinder

COUNT = 60
CLIENTS = 8

#: adoptions that are not measured
WARM_UP = 16

#: seconds
PATIENCE = 300


def run(turns: int, work: pathlib.Path) -> list[results.Row]:
    stack = cinder.stack()
    stack.load(conf=sides.CONF)
    stack.clear()
    volumes = make_volumes(COUNT)
    engine = sa.create_engine(stack.database_url)
    measured = sides.by_turns(
        turns, sides.CONF, lambda side: _measure(engine, volumes))
    engine.dispose()
    stack.clear()
    return [
        results.Row('adopt', f'{COUNT} adoptions, {what}', 's',
                    [turn['stock'][key] for turn in measured],
                    [turn['ours'][key] for turn in measured], least=least)
        for key, what, least in (
            ('settled', 'posted and settled', 4),
            ('posted', 'posted', None))]


def make_volumes(count: int) -> list[str]:
    """The ids of so many new volumes."""
    def make(client: sides.Client, _number: int) -> str:
        status, body = client.ask(
            'POST', 'volumes', {'volume': {'size': 1}})
        if status != 202:
            raise AssertionError(body)
        return body['volume']['id']

    _seconds, made = sides.together(4, list(range(count)), make)

    def is_there(client: sides.Client, volume_id: str) -> None:
        def status() -> str:
            return client.ask('GET', f'volumes/{volume_id}')[1][
                'volume']['status']
        cinder.wait_for(lambda: status() == 'available')

    sides.together(4, made, is_there)
    return made


def _measure(engine: Any, volumes: list[str]) -> dict[str, float]:
    # Whatever is done once in each process is done then.
    _adopt(engine, volumes[:WARM_UP])
    return _adopt(engine, volumes)


def _adopt(engine: Any, volumes: list[str]) -> dict[str, float]:
    stack = cinder.stack()
    for volume_id in volumes:
        stack.put(volume_id, 'old')

    def post(client: sides.Client, volume_id: str) -> str:
        status, body = client.ask('POST', 'manageable_snapshots', {
            'snapshot': {'volume_id': volume_id,
                         'ref': {'source-name': 'old'}}})
        if status != 202:
            raise AssertionError(body)
        return body['snapshot']['id']

    started = time.monotonic()
    posted, adopted = sides.together(CLIENTS, volumes, post)
    while time.monotonic() < started + PATIENCE:
        with engine.connect() as connection:
            statuses = connection.exec_driver_sql(
                'SELECT status, COUNT(*) FROM snapshots WHERE NOT deleted '
                'GROUP BY status').all()
        if 'creating' not in dict(map(tuple, statuses)):
            break
        time.sleep(0.02)
    settled = time.monotonic() - started
    if dict(map(tuple, statuses)) != {'available': len(volumes)}:
        raise AssertionError(statuses)
    _check_and_remove(stack, dict(zip(volumes, adopted)))
    return {'posted': posted, 'settled': settled}


def _check_and_remove(stack: cinder.Stack, adopted: dict[str, str]) -> None:
    for volume_id, snapshot_id in adopted.items():
        name = f'snapshot-{snapshot_id}'
        if stack.held(volume_id) != {name}:
            raise AssertionError(stack.held(volume_id))
        with stack.image(f'volume-{volume_id}') as image:
            if image.is_protected_snap(name):
                image.unprotect_snap(name)
            image.remove_snap(name)
    forget_snapshots(stack)


def forget_snapshots(stack: cinder.Stack) -> None:
    stack.execute('DELETE FROM snapshot_metadata', 'DELETE FROM snapshots',
                  'DELETE FROM reservations', 'DELETE FROM quota_usages')
