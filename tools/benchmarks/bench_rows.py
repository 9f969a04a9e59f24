# SPDX-License-Identifier: Apache-2.0

"""What recovery, an audit and an adoption cost with 1,000,000 rows.

Each server has two databases with Cinder's own tables. The small one has one
backend; the large one has 50 of the same size. So a ratio says what the rows
of the other backends cost.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
import os
import pathlib
import statistics
import subprocess
import time
from typing import Any
import uuid

import sqlalchemy as sa

from benchmarks import results
from manageable_snapshots.api import adoption
from manageable_snapshots.api import app
from manageable_snapshots.api import urls
from manageable_snapshots.audit import backends
from manageable_snapshots.audit import quotas
from manageable_snapshots.audit import rows as audit_rows
from manageable_snapshots import conf as configuration
from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import services
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots.drivers import base
from manageable_snapshots.tests.unit.api import base as api_base
from manageable_snapshots.tests.unit.db import base as db_base

SERVERS = {'MariaDB': 'MANAGEABLE_SNAPSHOTS_TEST_MARIADB_URL',
           'PostgreSQL': 'MANAGEABLE_SNAPSHOTS_TEST_POSTGRESQL_URL'}
BACKENDS = 50
#: of each backend
VOLUMES = 2000
#: live ones of each volume
SNAPSHOTS = 10
PROJECTS = 200
ORPHANS = (1000, 100000)
ADOPTIONS = 1000
#: adoptions of which the median is taken, at either end
ENDS = 50

#: seconds that a look at one backend may take
LIMIT = 0.5

ADMIN = context.RequestContext(
    user_id='bench', project_id='bench', roles=['admin'], is_admin=True,
    overwrite=False)

MANAGE = (pathlib.Path(__file__).resolve().parents[2]
          / '.venv-cinder-29/bin/cinder-manage')

#: numbers from 1 on, as ``n``
SERIES = {'mysql': 'SELECT seq AS n FROM seq_1_to_{}',
          'postgresql': 'SELECT n FROM generate_series(1, {}) AS n'}
#: a UUID that a number always has
ID = {'mysql': "INSERT(INSERT(INSERT(INSERT(MD5(CONCAT('{0}', {1})), 9, 0, "
               "'-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')",
      'postgresql': "CAST(CAST(MD5(CONCAT('{0}', {1})) AS uuid) AS varchar)"}

VOLUME_ROWS = """
INSERT INTO volumes (id, host, project_id, volume_type_id, created_at,
    deleted, size, status, use_quota)
SELECT {volume}, CONCAT('node', MOD(n, {backends}), '@store#pool'),
    CONCAT('project-', MOD(n, {projects})), 'type', CURRENT_TIMESTAMP, FALSE,
    1, 'available', TRUE
FROM ({series}) AS numbers"""

#: a sixth of them is deleted, as in a cloud that is used
SNAPSHOT_ROWS = """
INSERT INTO snapshots (id, volume_id, project_id, volume_type_id, created_at,
    deleted, volume_size, status, progress, display_name, use_quota)
SELECT {snapshot}, {volume}, CONCAT('project-', MOD(MOD(n, {volumes}) + 1,
    {projects})), 'type', CURRENT_TIMESTAMP, n > {live}, 1,
    CASE WHEN n > {live} THEN 'deleted' ELSE 'available' END, '100%',
    CONCAT('every night, number ', n), TRUE
FROM ({series}) AS numbers"""

USAGE_ROWS = """
INSERT INTO quota_usages (project_id, resource, in_use, reserved, deleted,
    race_preventer)
SELECT CONCAT('project-', n - 1), kind, CASE WHEN kind LIKE 'snapshots%'
    THEN {each} * {snapshots} WHEN kind LIKE 'volumes%' THEN {each}
    ELSE {each} * ({snapshots} + 1) END, 0, FALSE, TRUE
FROM ({series}) AS numbers
CROSS JOIN (SELECT 'snapshots' AS kind UNION SELECT 'volumes'
    UNION SELECT 'gigabytes' UNION SELECT 'snapshots_fast'
    UNION SELECT 'volumes_fast' UNION SELECT 'gigabytes_fast') AS kinds"""

#: what a look would be by itself
JOIN = sa.select(models.Snapshot).join(
    models.Volume, models.Volume.id == models.Snapshot.volume_id).where(
        models.Snapshot.deleted == sa.false(),
        models.Volume.deleted == sa.false())


@dataclasses.dataclass
class Filled:
    """A database with rows.

    :ivar held: the ids of one backend's snapshots and of their volumes
    """

    conf: Any
    database: engine.Database
    held: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def read(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self.database.reader(ADMIN) as session:
            return function(session, *arguments)


class Driver:
    """A backend that has snapshots of these ids, each with its volume's."""

    NAME = 'bench'
    knows_volumes = True

    def __init__(self, held: Iterable[tuple[str, str]]) -> None:
        self._held = held

    def prepare_to_read(self, context: Any) -> None:
        """Nothing to prepare."""

    def scan(self, _rows: Any) -> Iterator[base.BackendSnapshot]:
        for snapshot_id, volume_id in self._held:
            yield base.BackendSnapshot(
                reference={'source-name': f'snapshot-{snapshot_id}'}, size=1,
                source_reference={'source-name': f'volume-{volume_id}'})

    def managed_name(self, reference: base.Reference) -> str | None:
        return reference['source-name']


def run(turns: int, work: pathlib.Path) -> list[results.Row]:
    found = []
    for server, variable in SERVERS.items():
        with contextlib.ExitStack() as stack:
            small, large = (
                stack.enter_context(_filled(
                    os.environ[variable], work, f'bench_{number}', number))
                for number in (1, BACKENDS))
            measured = []
            for turn in range(turns):
                measured.append(_measure(small, large))
                results.tell(f'{server}, turn {turn + 1} of {turns}: '
                             f'{measured[-1]}')
        found += _rows(server, measured)
    return found


def _rows(server: str,
          measured: list[dict[str, float]]) -> list[results.Row]:
    live = VOLUMES * SNAPSHOTS
    total = f'{live * BACKENDS:,}'

    def row(what: str, unit: str, stock: str, ours: str,
            **target: Any) -> results.Row:
        return results.Row(
            'rows', f'{server}: {what}', unit,
            [turn[stock] for turn in measured],
            [turn[ours] for turn in measured], **target)

    return [
        row(f'look at one of {BACKENDS} backends, {total} rows, by the '
            'limit', 's', 'limit', 'look', most=1),
        row('the same, by one that joins all rows', 's', 'join', 'look'),
        row(f'the same, by the same {live:,} rows alone', 's',
            # Fifty times the rows, of which the cache holds fewer.
            'look alone', 'look', most=10),
        row(f'audit of a backend among {total} rows, by the same {live:,} '
            'rows alone', 's', 'audit alone', 'audit', most=2),
        row(f'an orphan of {ORPHANS[1]:,}, by one of {ORPHANS[0]:,}', 's',
            'few orphans', 'many orphans', most=1.2),
        row(f'quota of a row, {total}, by one of {live:,}', 's',
            'quota alone', 'quota', most=2),
        row(f'adoption on a volume, number {ADOPTIONS:,}, by the first', 's',
            'first', 'last', most=1.5)]


def _measure(small: Filled, large: Filled) -> dict[str, float]:
    queues = [f'node{number}@store' for number in range(0, BACKENDS, 5)]
    first, last = _adoptions(large)
    return {
        'limit': LIMIT,
        'look alone': _seconds(lambda: [
            small.read(snapshots.creating_on, 'node0@store')
            for _queue in queues]) / len(queues),
        'look': _seconds(lambda: [
            large.read(snapshots.creating_on, queue)
            for queue in queues]) / len(queues),
        'join': _seconds(lambda: [
            large.read(_join, queue) for queue in queues]) / len(queues),
        'audit alone': _seconds(lambda: _audit(small)),
        'audit': _seconds(lambda: _audit(large)),
        'few orphans': _orphans(large, ORPHANS[0]),
        'many orphans': _orphans(large, ORPHANS[1]),
        'quota alone': _quota(small) / (VOLUMES * SNAPSHOTS),
        'quota': _quota(large) / (VOLUMES * SNAPSHOTS * BACKENDS),
        'first': first, 'last': last}


def _seconds(function: Callable[[], Any]) -> float:
    began = time.monotonic()
    function()
    return time.monotonic() - began


def _join(session: Any, queue: str) -> list[Any]:
    return session.scalars(JOIN.where(
        models.Snapshot.status == snapshots.CREATING,
        volumes.on_backend(queue))).all()


def _held(session: Any) -> list[tuple[str, str]]:
    return [(row.id, row.volume_id) for row in session.scalars(
        JOIN.where(volumes.on_backend('node0@store')))]


def _audit(filled: Filled) -> None:
    """Compare the rows of a backend with what it has, which is the same."""
    _check(filled, 'node0@store', filled.held, breaches=0)


def _orphans(filled: Filled, number: int) -> float:
    """Seconds for each of so many orphans, on as many volumes."""
    with filled.database.engine.connect() as connection:
        volume_ids = connection.execute(
            sa.select(models.Volume.id).limit(number)).scalars().all()
    statements = db_base.Statements()
    with statements:
        seconds = _seconds(lambda: _check(
            filled, 'nobody@store',
            [(str(uuid.uuid4()), volume_id) for volume_id in volume_ids],
            breaches=number))
    results.tell(f'{number} orphans: {len(statements.seen)} statements')
    return seconds / number


def _check(filled: Filled, queue: str, held: Iterable[tuple[str, str]],
           breaches: int) -> None:
    scope = audit_rows.Scope(
        filled.conf, filled.database,
        backends.Backend(queue, Driver(held), 3600), 3600, 'repair',
        lambda text: None)
    found = list(audit_rows.check(scope))
    if len(found) != breaches:
        raise AssertionError(found[:3])


def _quota(filled: Filled) -> float:
    def check() -> None:
        found = list(quotas.check(filled.conf, filled.database, 'repair',
                                  lambda text: None))
        if found:
            raise AssertionError(found[:3])

    return _seconds(check)


def _adoptions(filled: Filled) -> tuple[float, float]:
    """Seconds for an adoption on a volume without snapshots and with many.

    The API's part, and the end of the worker's. The volume is on a backend of
    its own, and is deleted in the end.
    """
    host = 'adopting@store'
    application = app.Application(
        filled.conf, filled.database, api_base.VolumeClient(),
        urls.MANAGEABLE_SNAPSHOTS)
    with filled.database.writer(ADMIN) as session:
        service = services.report(
            session, host=host, cluster=None, availability_zone='nova',
            rpc_version='3.20', object_version='1.39')
        volume = volumes.create(session, {
            'host': host, 'size': 1, 'status': 'available',
            'project_id': 'bench', 'user_id': 'bench',
            'volume_type_id': 'type'})
    volume_id = volume.id

    def adopt(number: int) -> None:
        snapshot_id = adoption.accept(
            application, ADMIN, volume, service,
            {'source-name': f'old-{number}'}, name=None, description=None,
            metadata={})['id']
        with filled.database.writer(ADMIN) as session:
            snapshots.make_available(session, snapshot_id)

    def seconds() -> float:
        return statistics.median(
            _seconds(lambda: adopt(number)) for number in range(ENDS))

    first = seconds()
    with filled.database.engine.begin() as connection:
        connection.execute(sa.insert(models.Snapshot), [
            {'id': str(uuid.uuid4()), 'volume_id': volume_id,
             'project_id': ADMIN.project_id, 'volume_type_id': 'type',
             'volume_size': 1, 'status': 'available', 'deleted': False,
             'use_quota': True} for _ in range(ADOPTIONS - 2 * ENDS)])
    last = seconds()
    with filled.database.engine.begin() as connection:
        for model, column in (
                (models.Snapshot, models.Snapshot.volume_id),
                (models.Volume, models.Volume.id)):
            connection.execute(sa.delete(model).where(column == volume_id))
        connection.execute(sa.delete(models.QuotaUsage).where(
            models.QuotaUsage.project_id == ADMIN.project_id))
    return first, last


@contextlib.contextmanager
def _filled(url: str, work: pathlib.Path, name: str,
            number: int) -> Iterator[Filled]:
    """A database of so many backends, made by Cinder's own migrations."""
    server = sa.create_engine(url, isolation_level='AUTOCOMMIT')
    with server.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE {name}')
        if server.dialect.name == 'mysql':
            # All of it in memory, as PostgreSQL has it by the system.
            connection.exec_driver_sql(
                f'SET GLOBAL innodb_buffer_pool_size = {1 << 30}')
        else:
            # Seconds shall not be those of several processes.
            connection.exec_driver_sql(
                f'ALTER DATABASE {name} '
                'SET max_parallel_workers_per_gather = 0')
    own = server.url.set(database=name).render_as_string(hide_password=False)
    server.dispose()
    path = work / f'{name}.conf'
    path.write_text(f'[database]\nconnection = {own}\n')
    subprocess.run([MANAGE, '--config-file', path, 'db', 'sync'], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=600)
    conf = configuration.new()
    conf(['--config-file', str(path)])
    database = engine.Database(conf, timeout=600)
    try:
        _fill(database.engine, number)
        results.tell(f'{name} has its rows')
        filled = Filled(conf, database)
        filled.held += filled.read(_held)
        _explain(filled)
        yield filled
    finally:
        database.dispose()


def _fill(target: Any, number: int) -> None:
    dialect = target.dialect.name
    volume_count = VOLUMES * number
    live = volume_count * SNAPSHOTS

    def execute(connection: Any, statement: str, count: int,
                volume: str) -> None:
        connection.execute(sa.text(statement.format(
            backends=number, projects=PROJECTS, volumes=volume_count,
            live=live, each=volume_count // PROJECTS, snapshots=SNAPSHOTS,
            series=SERIES[dialect].format(count),
            volume=ID[dialect].format('volume', volume),
            snapshot=ID[dialect].format('snapshot', 'n'))))

    with target.begin() as connection:
        if dialect == 'mysql':
            connection.exec_driver_sql(
                'SET foreign_key_checks = 0, unique_checks = 0')
        connection.execute(sa.insert(models.VolumeType).values(
            id='type', name='fast', deleted=False, is_public=True))
        connection.execute(sa.insert(models.Quota), [
            {'project_id': ADMIN.project_id, 'resource': resource,
             'hard_limit': -1, 'deleted': False}
            for resource in ('snapshots', 'gigabytes')])
        execute(connection, VOLUME_ROWS, volume_count, 'n')
        execute(connection, SNAPSHOT_ROWS, live + live // 5,
                f'MOD(n, {volume_count}) + 1')
        execute(connection, USAGE_ROWS, PROJECTS, 'n')
    # The settings end with the connection.
    target.dispose()
    with target.begin() as connection:
        for table in 'volumes', 'snapshots', 'quota_usages':
            connection.exec_driver_sql(
                f'ANALYZE TABLE {table}' if dialect == 'mysql'
                else f'ANALYZE {table}')


def _explain(filled: Filled) -> None:
    """Say what a look reads, as the server plans it."""
    statements = db_base.Statements()
    with statements:
        filled.read(snapshots.creating_on, 'node0@store')
    with filled.database.engine.connect() as connection:
        for statement, parameters in statements.seen[1:3]:
            for row in connection.exec_driver_sql(
                    'EXPLAIN ' + statement, parameters):
                results.tell(' '.join(map(str, row))[:160])
