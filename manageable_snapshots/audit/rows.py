# SPDX-License-Identifier: Apache-2.0

"""Whether each row has its snapshot, and each renamed snapshot its row.

Memory: about 500 bytes for each snapshot that the backend has under
``snapshot_name_template``, 100 for each volume of the backend, and 300 for
each volume of the cloud that was migrated. Rows are read 500 at a time.
"""

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import functools
from typing import Any

from oslo_config import cfg

from manageable_snapshots.audit import backends
from manageable_snapshots.audit import findings
from manageable_snapshots.audit import repair
from manageable_snapshots import context
from manageable_snapshots.db import audit as db_audit
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import query
from manageable_snapshots.db import snapshots
from manageable_snapshots.drivers import base
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import names
from manageable_snapshots import reference
from manageable_snapshots.volume import owners
from manageable_snapshots.volume import rows

#: rows between two words of progress
_STEP = 10000

#: volumes that a message names
_NAMED = 10

#: by the id in its name, the volume and the name of what a backend has
Held = dict[str, list[tuple[str, str]]]


@dataclasses.dataclass(frozen=True)
class Scope:
    """What is looked at, and how.

    :ivar older_than: seconds for which a row may be ``creating``
    :ivar repair_command: what mends all that is safe to mend
    :ivar progress: is told what goes on
    :ivar unread: names of the volumes whose snapshots could not be read; their
        rows are not looked at
    """

    conf: cfg.ConfigOpts
    database: engine.Database
    backend: backends.Backend
    older_than: float
    repair_command: str
    progress: Callable[[str], None]
    unread: frozenset[str] = frozenset()


def check(scope: Scope) -> Iterator[findings.Finding]:
    """Everything about the rows and the snapshots of one backend.

    :raises ServiceUnavailable: the database does not answer
    """
    name = scope.backend.name
    yield from _shared(scope)
    if scope.backend.driver is None:
        yield findings.Note(
            f'{name}: no driver of this project reads this backend, so only '
            'its rows were looked at.')
        yield from _undecided(scope)
        return
    try:
        scope.backend.set_up()
        scope.progress(f'{name}: asking for its snapshots')
        held, unread = scope.backend.ask(
            _held, scope.conf, scope.backend.driver)
        if unread:
            scope = dataclasses.replace(scope, unread=unread)
            yield _unread(name, unread)
        scope.progress(f'{name}: has {len(held)} snapshots with a row\'s name')
        believed = yield from _available(scope, held)
        yield from _failed(scope, held)
        yield from _creating(scope, held, believed=believed)
        yield from _orphans(scope, held)
    except backends.Away as error:
        yield findings.Gap(f'{name} was not looked at to the end: {error}')
    except NotImplementedError:
        yield findings.Gap(f'{name}: its driver cannot list snapshots.')


def _held(conf: cfg.ConfigOpts,
          driver: base.SnapshotDriver) -> tuple[Held, frozenset[str]]:
    """Return what a backend has that is named as if it had a row.

    :returns: that, and the names of the volumes that could not be read
    """
    held: Held = {}
    unread = set()
    for entry in driver.scan([]):
        volume_name = entry.source_reference.get('source-name', '')
        if entry.is_unread:
            unread.add(volume_name)
            continue
        snapshot_id = owners.candidate(conf, driver, entry.reference)
        if snapshot_id:
            held.setdefault(snapshot_id, []).append(
                (volume_name, entry.reference.get('source-name', '')))
    return held, frozenset(unread)


def _unread(name: str, unread: frozenset[str]) -> findings.Gap:
    named = [reference.shown(each) for each in sorted(unread)[:_NAMED]]
    if len(unread) > _NAMED:
        named.append('...')
    return findings.Gap(
        f'{name}: volumes that could not be read: {len(unread)}. Their '
        f'snapshots and rows were not looked at: {", ".join(named)}')


def _available(scope: Scope, held: Held
               ) -> Generator[findings.Finding, None, bool]:
    """Rows with nothing behind them.

    :returns: whether the backend looks like the one that the rows mean
    """
    number = found = 0
    for pairs in _pages(scope, snapshots.AVAILABLE):
        missing = {}
        for row, volume in pairs:
            number += 1
            if number % _STEP == 0:
                scope.progress(f'{scope.backend.name}: {number} rows')
            view = rows.snapshot(scope.conf, row, volume)
            reason = None if _has(scope, held, view) else _look(
                scope, view)[1]
            if reason is None:
                found += 1
            else:
                missing[row] = (
                    f'Available, and the backend has no {view.name} of '
                    f'{view.volume_name}: {reason}.')
        for row in _still(scope, missing):
            yield _breach(scope, row, 'stolen', missing[row],
                          findings.set_state(snapshots.ERROR, row.id))
    if number and not found:
        yield findings.Note(
            f'{scope.backend.name}: of the snapshots that are available '
            f'({number}) it has none. If it is not the storage that it '
            'should be, nothing is wrong with the rows; what it has not got '
            'is not repaired.')
        return False
    return True


def _failed(scope: Scope, held: Held) -> Iterator[findings.Finding]:
    """Rows that say "error" of an adoption that is done."""
    for pairs in _pages(scope, snapshots.ERROR, failed=True):
        done = {}
        for row, volume in pairs:
            view = rows.snapshot(scope.conf, row, volume)
            if _has(scope, held, view) and _look(scope, view)[1] is None:
                done[row] = view
        for row in _still(scope, done):
            yield _breach(
                scope, row, 'failed',
                f'Its adoption has failed, and the backend has '
                f'{done[row].name} all the same, which goes if the row is '
                'deleted.',
                findings.set_state(snapshots.AVAILABLE, row.id))


def _creating(scope: Scope, held: Held,
              believed: bool) -> Iterator[findings.Finding]:
    """Rows that are ``creating`` for too long.

    :param believed: whether what the backend does not have is not there
    """
    for pairs in _pages(scope, snapshots.CREATING,
                        older_than=scope.older_than):
        seen = {}
        for row, volume in pairs:
            view = rows.snapshot(scope.conf, row, volume)
            seen[row] = volume, view, *_look(scope, view)
        for row in _still(scope, seen):
            yield _unfinished(scope, row, *seen[row], held=held,
                              believed=believed)


def _unfinished(scope: Scope, row: models.Snapshot, volume: models.Volume,
                view: rows.Row, size: int | None, reason: str | None, *,
                held: Held, believed: bool) -> findings.Breach:
    """Return what is wrong with a row that is ``creating`` for too long.

    :param size: what :func:`_look` returned
    :param reason: likewise
    """
    if size is None and _has(scope, held, view):
        return _breach(
            scope, row, 'undecided',
            f'Creating since {row.created_at} UTC. The backend has '
            f'{view.name}, and says: {reason}. Do not delete it.',
            findings.set_state(snapshots.AVAILABLE, row.id))
    kind, text, mend = _decide(scope, row, volume, view, size, reason)
    if kind == 'lost' and not believed:
        mend = None
    return _breach(
        scope, row, kind, f'Creating since {row.created_at} UTC. {text}',
        scope.repair_command if mend
        else findings.set_state(snapshots.ERROR, row.id), mend)


def _decide(scope: Scope, row: models.Snapshot, volume: models.Volume,
            view: rows.Row, size: int | None, reason: str | None,
            ) -> tuple[str, str, Callable[[], str | None] | None]:
    """The kind of a row that is ``creating``, a text, and what mends it."""
    if size is not None:
        return 'unfinished', (
            f'The backend has {view.name}: the adoption is done, only the '
            'row does not say so.'), functools.partial(
                repair.finish, scope.conf, scope.database, scope.backend,
                row, view, size)
    if snapshots.has_reference(row) and not volume.deleted:
        return 'waiting', (
            f'The backend has no {view.name} yet: {reason}. What it is to be '
            f'adopted from is recorded; a worker of {scope.backend.name} '
            'takes it up.'), None
    cause = (_('The volume is deleted.') if volume.deleted else
             _('The request never reached a worker, or was lost with it.'))
    return 'lost', (
        f'The backend has no {view.name}, and nobody will adopt it. {cause}'
    ), functools.partial(
        repair.fail, scope.database, row,
        cause + ' ' + _('On the backend nothing has changed.'))


def _undecided(scope: Scope) -> Iterator[findings.Finding]:
    """The same where nobody can ask the backend."""
    for pairs in _pages(scope, snapshots.CREATING,
                        older_than=scope.older_than):
        for row, volume in pairs:
            view = rows.snapshot(scope.conf, row, volume)
            if snapshots.has_reference(row):
                text = ('What it is to be adopted from is recorded; a worker '
                        f'of {scope.backend.name} takes it up.')
            else:
                text = (f'If the backend has {view.name}, it is adopted: set '
                        'it "available" instead, and do not delete it.')
            yield _breach(
                scope, row, 'undecided',
                f'Creating since {row.created_at} UTC. {text}',
                findings.set_state(snapshots.ERROR, row.id))


def _orphans(scope: Scope, held: Held) -> Iterator[findings.Finding]:
    """Snapshots that are named as if they had a row."""
    unmanaged = 0
    with scope.database.reader(context.get_admin_context()) as session:
        migrated = db_audit.migrated(session)
    for chunk in query.chunks(held):
        with scope.database.reader(context.get_admin_context()) as session:
            known = db_audit.known(session, chunk)
            name_ids = {
                volume_name: _name_id(scope, volume_name)
                for snapshot_id in chunk if snapshot_id not in known
                for volume_name, _name in held[snapshot_id]}
            live = db_audit.live_volumes(
                session, set(name_ids.values()) - set(migrated))
        unmanaged += list(known.values()).count(False)
        for snapshot_id in chunk:
            if snapshot_id in known:
                continue
            for volume_name, name in held[snapshot_id]:
                name_id = name_ids[volume_name]
                volume_id = migrated.get(
                    name_id, name_id if name_id in live else 'VOLUME')
                yield findings.Breach(
                    'orphan', (
                        f'The backend has {reference.shown(name)} of '
                        f'{reference.shown(volume_name)}, and there is no '
                        'row of that id.'),
                    findings.adopt(volume_id, name),
                    backend=scope.backend.name, snapshot_id=snapshot_id)
    if unmanaged:
        yield findings.Note(
            f'{scope.backend.name}: snapshots with the name of a row that is '
            f'deleted: {unmanaged}. They were unmanaged, and can be adopted '
            'again.')


def _shared(scope: Scope) -> Iterator[findings.Finding]:
    """Several rows that have the same snapshot, as drivers noted it."""
    with scope.database.reader(context.get_admin_context()) as session:
        shared = db_audit.shared(session, scope.backend.name)
    for provider_id, ids in shared:
        yield findings.Breach(
            'shared',
            f'Snapshots {", ".join(ids)} are all the backend\'s '
            f'{reference.shown(provider_id)}.',
            findings.unmanage(ids[-1]), backend=scope.backend.name,
            snapshot_id=ids[-1])


def _pages(scope: Scope, status: str, *, older_than: float = 0,
           failed: bool = False) -> Iterator[list[db_audit.Pair]]:
    admin = context.get_admin_context()
    with scope.database.reader(admin) as session:
        chunks = db_audit.volume_ids(session, scope.backend.name)
    for volume_ids in chunks:
        after: str | None = ''
        while after is not None:
            with scope.database.reader(admin) as session:
                pairs, after = db_audit.page(
                    session, volume_ids, status=status, after=after,
                    older_than=older_than, failed=failed)
            yield [pair for pair in pairs if _is_read(scope, pair[1])]


def _is_read(scope: Scope, volume: models.Volume) -> bool:
    return names.volume_name(
        scope.conf, volume.name_id) not in scope.unread


def _has(scope: Scope, held: Held, view: rows.Row) -> bool:
    """Whether the scan has found a row's snapshot."""
    return any(
        volume_name == view.volume_name
        # What does not know is believed.
        or not (scope.backend.driver and scope.backend.driver.knows_volumes)
        for volume_name, _name in held.get(view.id, ()))


def _look(scope: Scope, view: rows.Row) -> tuple[int | None, str | None]:
    """Ask the backend for a row's snapshot, as it is now.

    :returns: its size in GiB, or why it cannot be had
    :raises Away: the backend does not answer
    """
    driver: Any = scope.backend.driver

    def ask() -> int:
        return base.check_size(driver.manage_existing_snapshot_get_size(
            view, {'source-name': view.name}))

    try:
        return scope.backend.ask(ask), None
    except exception.ManageExistingInvalidReference as error:
        return None, reference.shown(error.reason or error.msg)


def _still(scope: Scope, looked_at: Iterable[models.Snapshot],
           ) -> list[models.Snapshot]:
    """Return the rows that are as before the backend was asked."""
    looked_at = list(looked_at)
    if not looked_at:
        return []
    with scope.database.reader(context.get_admin_context()) as session:
        unchanged = db_audit.unchanged(session, looked_at)
    return [row for row in looked_at if row.id in unchanged]


def _name_id(scope: Scope, volume_name: str) -> str:
    """Return the id that a volume's name on the backend has."""
    before, _sep, after = scope.conf.volume_name_template.partition('%s')
    return volume_name.removeprefix(before).removesuffix(after)


def _breach(scope: Scope, row: models.Snapshot, kind: str, text: str,
            command: str, mend: Callable[[], str | None] | None = None,
            ) -> findings.Breach:
    return findings.Breach(
        kind, text, command, backend=scope.backend.name, snapshot_id=row.id,
        project_id=row.project_id, mend=mend)
