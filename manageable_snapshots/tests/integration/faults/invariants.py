# SPDX-License-Identifier: Apache-2.0

"""What must be true after any fault, read from the database and the backend.

It shares no line with the project's audit, which is asked as well: SQL, and
librbd.
"""

import dataclasses
import datetime
from typing import Any

import sqlalchemy as sa

from manageable_snapshots.tests.drivers import ceph


@dataclasses.dataclass
class Foreign:
    """A snapshot as it was before anybody adopted it.

    :ivar volume_id: its parent's
    :ivar number: the id that Ceph gave it
    :ivar data: what its first bytes are
    """

    volume_id: str
    name: str
    number: int
    data: bytes

    @property
    def key(self) -> str:
        """Stands in the description of rows that are to adopt it."""
        return f'{self.volume_id}/{self.name}'


@dataclasses.dataclass
class Ledger:
    """What was there, and what was answered.

    :ivar foreign: the snapshots, by their keys
    :ivar accepted: the ids of rows whose request was answered 202
    :ivar refused: the names of rows whose request was answered 4xx or 5xx,
        with the answer
    :ivar deleted: the ids of rows that a test has had deleted
    """

    foreign: dict[str, Foreign] = dataclasses.field(default_factory=dict)
    accepted: set[str] = dataclasses.field(default_factory=set)
    refused: dict[str, Any] = dataclasses.field(default_factory=dict)
    deleted: set[str] = dataclasses.field(default_factory=set)


def breaches(database_url: str, pool: ceph.Pool,
             ledger: Ledger) -> list[str]:
    """Each breach of an invariant, in a sentence.

    To be asked for when no adoption is under way.
    """
    engine = sa.create_engine(database_url)
    try:
        with engine.connect() as connection:
            return [*_rows(connection, pool, ledger), *_quota(connection)]
    finally:
        engine.dispose()


def creating(database_url: str) -> list[str]:
    """The ids of live rows that are ``creating``."""
    engine = sa.create_engine(database_url)
    try:
        with engine.connect() as connection:
            return list(connection.scalars(sa.text(
                'SELECT id FROM snapshots WHERE deleted = 0 AND'
                " status = 'creating'")))
    finally:
        engine.dispose()


def _ask(connection: sa.engine.Connection, statement: str) -> list[Any]:
    return list(connection.execute(sa.text(statement)))


def _rows(connection: sa.engine.Connection, pool: ceph.Pool,
          ledger: Ledger) -> list[str]:
    found = []
    rows = _ask(connection, """
        SELECT id, volume_id, status, display_name, display_description
        FROM snapshots WHERE deleted = 0""")
    reasons = {row.snapshot_id for row in _ask(connection, """
        SELECT snapshot_id FROM snapshot_metadata
        WHERE deleted = 0 AND `key` = 'manage_error'""")}
    held = {volume_id: pool.snapshots(f'volume-{volume_id}')
            for volume_id in {each.volume_id
                              for each in ledger.foreign.values()}}
    owners: dict[str, str] = {}
    for row in rows:
        if row.id in ledger.deleted:
            continue
        foreign = ledger.foreign.get(row.display_description)
        number = held.get(row.volume_id, {}).get(f'snapshot-{row.id}')
        if row.display_name in ledger.refused:
            found.append(f'{row.id} is {row.status}, and was refused: '
                         f'{ledger.refused[row.display_name]}')
        if row.status == 'available':
            if foreign is None or number != foreign.number:
                found.append(
                    f'{row.id} is available; behind it is {number}, and '
                    f'{foreign} was asked for')
            if row.display_description in owners:
                found.append(f'{row.id} and {owners[row.display_description]}'
                             f' have both adopted {foreign}')
            owners[row.display_description] = row.id
        elif row.status == 'error':
            if row.id not in reasons:
                found.append(f'{row.id} is in error without a reason')
            if number is not None:
                found.append(f'{row.id} is in error and has {number}')
        else:
            found.append(f'{row.id} is {row.status}')
    lost = ledger.accepted - ledger.deleted - {row.id for row in rows}
    found += [f'{snapshot_id} was accepted and is gone'
              for snapshot_id in lost]
    for key, foreign in ledger.foreign.items():
        name = (f'snapshot-{owners[key]}' if key in owners else foreign.name)
        if held[foreign.volume_id].get(name) != foreign.number:
            found.append(f'{foreign} is not called {name}')
        elif _data(pool, foreign, name) != foreign.data:
            found.append(f'{foreign} has other bytes')
    return found


def _data(pool: ceph.Pool, foreign: Foreign, name: str) -> bytes:
    with pool.open(f'volume-{foreign.volume_id}', read_only=True) as image:
        image.set_snap(name)
        return image.read(0, len(foreign.data))


def _quota(connection: sa.engine.Connection) -> list[str]:
    found = []
    counted: dict[tuple[str, str], int] = {}
    for table, size, resource in (
            ('volumes', 'size', 'volumes'),
            ('snapshots', 'volume_size', 'snapshots')):
        for row in _ask(connection, f"""
                SELECT project_id, COUNT(*) AS number,
                       COALESCE(SUM({size}), 0) AS size
                FROM {table} WHERE deleted = 0 GROUP BY project_id"""):
            counted[row.project_id, resource] = row.number
            key = row.project_id, 'gigabytes'
            counted[key] = counted.get(key, 0) + int(row.size)
    reserved: dict[int, int] = {}
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    for row in _ask(connection, """
            SELECT usage_id, delta, expire FROM reservations
            WHERE deleted = 0"""):
        reserved[row.usage_id] = (
            reserved.get(row.usage_id, 0) + max(0, row.delta))
        if row.expire < now:
            found.append(f'a reservation has expired at {row.expire}')
    for row in _ask(connection, """
            SELECT id, project_id, resource, in_use, reserved
            FROM quota_usages WHERE deleted = 0 AND resource IN
            ('volumes', 'snapshots', 'gigabytes')"""):
        there = counted.get((row.project_id, row.resource), 0)
        if (row.in_use, row.reserved) != (there, reserved.get(row.id, 0)):
            found.append(
                f'{row.project_id} has {there} {row.resource}, and '
                f'{row.in_use} are counted, {row.reserved} reserved')
    return found
