# SPDX-License-Identifier: Apache-2.0

"""Snapshots, and the reference that each was asked to be adopted from.

If the worker dies after it received the message, the reference must still be
recoverable. So the reference stays with the row for as long as that is
``creating``: in columns that a snapshot gets a use for when it is available.

A worker of Cinder's own would leave it there. Where one may have the row, the
reference is set aside: in metadata that are deleted from the start, which
Cinder does not look at, but to purge them one day.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import datetime
import json
import re
from typing import Any

from oslo_utils import timeutils
import sqlalchemy as sa
from sqlalchemy import orm

from manageable_snapshots import context as request_context
from manageable_snapshots.db import models
from manageable_snapshots.db import query
from manageable_snapshots.db import volumes
from manageable_snapshots import exception

CREATING = 'creating'
AVAILABLE = 'available'
ERROR = 'error'
DELETED = 'deleted'

# What a row that is 'creating' has come to; Cinder starts at 0%, too.
_WAITING = '0%'
_SET_ASIDE = '1%'
_PUT_OFF = '25%'
_CLAIMED = '50%'
_UNCLAIMED = (_WAITING, _SET_ASIDE, _PUT_OFF)
_HAS_NOT_BEGUN = sa.or_(models.Snapshot.progress.is_(None),
                        models.Snapshot.progress != _CLAIMED)

#: Metadata key under which a failed adoption says why.
ERROR_KEY = 'manage_error'

_REFERENCE_COLUMNS = ('provider_id', 'provider_location', 'provider_auth')
_COLUMN_LENGTH = 255
_PREFIX = 'manageable-snapshots ref '
_TOO_LONG = _PREFIX + 'too long'
_NO_REFERENCE = dict.fromkeys(_REFERENCE_COLUMNS)
_IS_RECORDED = models.Snapshot.provider_id.startswith(
    _PREFIX, autoescape=True)
_IS_ASIDE = (models.Snapshot.provider_id.is_(None),
             models.Snapshot.progress == _SET_ASIDE)
_IS_ADOPTING = sa.or_(_IS_RECORDED, sa.and_(*_IS_ASIDE))

_ASIDE_KEY = 'manageable_snapshots_ref_'
_ASIDE_LENGTH = 20 * _COLUMN_LENGTH

# What MariaDB's utf8mb3 lacks: characters beyond the basic plane, and the
# halves of them that JSON can bring, which no database takes.
_NOT_IN_UTF8MB3 = re.compile('[\ud800-\udfff\U00010000-\U0010ffff]')


def get(session: orm.Session, context: request_context.RequestContext,
        snapshot_id: str, *, for_update: bool = False) -> models.Snapshot:
    """A snapshot of the project that asks; of any, for an administrator.

    :param for_update: nobody else changes it before the transaction ends
    :raises SnapshotNotFound: the project has no such snapshot
    """
    snapshot = query.get(session, models.Snapshot, context, snapshot_id,
                         for_update=for_update)
    if snapshot is None:
        raise exception.SnapshotNotFound(snapshot_id=snapshot_id)
    return snapshot


def is_visible(session: orm.Session,
               context: request_context.RequestContext,
               snapshot_id: str) -> bool:
    """Return whether :func:`get` finds a snapshot."""
    try:
        get(session, context, snapshot_id)
    except exception.SnapshotNotFound:
        return False
    return True


def list_snapshots(session: orm.Session,
                   context: request_context.RequestContext, *,
                   all_projects: bool = False,
                   filters: Mapping[str, Any] | None = None,
                   limit: int | None = None,
                   marker: str | None = None) -> list[models.Snapshot]:
    """Snapshots, newest first.

    :param all_projects: an administrator asks for those of all projects
    :param filters: column names with the value, or list of values, wanted
    :param limit: how many at most
    :param marker: id of the snapshot after which the page starts
    :raises SnapshotNotFound: there is no snapshot of the marker's id
    """
    return query.page(
        session, models.Snapshot, context, all_projects=all_projects,
        filters=filters or {}, limit=limit,
        marker=get(session, context, marker) if marker else None)


def create(session: orm.Session,
           owner: request_context.RequestContext | models.Volume,
           volume: models.Volume, *, name: str | None,
           description: str | None, metadata: Mapping[str, str] | None,
           reference: Mapping[str, str] | str | None = None,
           aside: bool = False,
           snapshot_id: str | None = None) -> models.Snapshot:
    """Insert a snapshot that is being made.

    :param owner: whose user's and project's it is
    :param volume: its parent, whose size it has until it is known better
    :param reference: from which it is to be adopted
    :param aside: a worker of Cinder's own may be to do that
    :param snapshot_id: its id; None: a new one
    """
    snapshot = models.Snapshot(
        id=snapshot_id or models.new_id(), volume_id=volume.id,
        user_id=owner.user_id, project_id=owner.project_id, status=CREATING,
        progress=_SET_ASIDE if aside else _WAITING,
        volume_size=volume.size, display_name=name,
        display_description=description,
        volume_type_id=volume.volume_type_id,
        encryption_key_id=volume.encryption_key_id,
        **({} if reference is None or aside else _columns(reference)))
    session.add(snapshot)
    session.flush()
    if aside:
        _set_aside(session, snapshot.id, reference)
    query.add_metadata(session, models.SnapshotMetadata, metadata,
                       snapshot_id=snapshot.id)
    return snapshot


def metadata(session: orm.Session, snapshot_id: str) -> dict[str, str]:
    """A snapshot's metadata."""
    return metadata_of(session, [snapshot_id]).get(snapshot_id, {})


def metadata_of(session: orm.Session,
                ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """The metadata of several snapshots, by id; those without are left out."""
    return query.metadata_of(session, models.SnapshotMetadata, 'snapshot_id',
                             ids)


def record_reference(session: orm.Session, snapshot_id: str,
                     reference: Mapping[str, str] | str) -> bool:
    """Note with a row that is ``creating`` what it is adopted from.

    :returns: whether there is such a row
    """
    return _leave_creating(session, snapshot_id, CREATING,
                           **_columns(reference))


def fetch_reference(session: orm.Session, snapshot_id: str) -> bool:
    """Record a reference that was set aside.

    A worker of Cinder's may have adopted the snapshot without noting that, so
    the row counts as claimed.

    :returns: whether there is such a row
    """
    text = ''.join(session.scalars(
        sa.select(models.SnapshotMetadata.value).where(
            models.SnapshotMetadata.snapshot_id == snapshot_id,
            models.SnapshotMetadata.deleted,
            models.SnapshotMetadata.key.startswith(
                _ASIDE_KEY, autoescape=True))
        .order_by(models.SnapshotMetadata.key)))
    try:
        columns = _columns(json.loads(text))
    except (ValueError, RecursionError):
        # Nothing, as it was too long, or a user has deleted metadata of
        # such a key.
        columns = {'provider_id': _TOO_LONG}
    return _leave_creating(session, snapshot_id, CREATING, *_IS_ASIDE,
                           progress=_CLAIMED, **columns)


def is_aside(snapshot: models.Snapshot) -> bool:
    """Return whether the reference of a ``creating`` row was set aside."""
    return (snapshot.status == CREATING and snapshot.provider_id is None
            and snapshot.progress == _SET_ASIDE)


def has_reference(snapshot: Any) -> bool:
    """Whether a row is one that is being adopted."""
    return (snapshot.status == CREATING
            and (snapshot.provider_id or '').startswith(_PREFIX))


def recorded_reference(snapshot: Any) -> dict[str, str] | str | None:
    """What :func:`record_reference` or :func:`create` noted.

    :returns: None where nothing was noted, or where it was too long
    """
    if not has_reference(snapshot):
        return None
    text = ''.join(getattr(snapshot, column) or ''
                   for column in _REFERENCE_COLUMNS)
    try:
        return json.loads(text.removeprefix(_PREFIX))
    except ValueError:
        # Too long, or some other program has written to the columns.
        return None


def adopting(session: orm.Session, volume_id: str
             ) -> list[tuple[Any, dict[str, str] | str | None]]:
    """Return what is being adopted of a volume, oldest first.

    :returns: for each snapshot its ``id`` and ``project_id``, and
        its :func:`recorded_reference`
    """
    columns = (getattr(models.Snapshot, name) for name in (
        'id', 'project_id', 'status', *_REFERENCE_COLUMNS))
    rows = session.execute(
        sa.select(*columns).where(
            models.Snapshot.volume_id == volume_id,
            models.Snapshot.status == CREATING, query.live(models.Snapshot))
        .order_by(models.Snapshot.created_at, models.Snapshot.id))
    return [(row, recorded_reference(row)) for row in rows
            if has_reference(row)]


def managed_ids(session: orm.Session, ids: Iterable[str],
                queue: str) -> dict[str, str]:
    """Which snapshots have a live row on a backend, and of which volumes.

    :param ids: ids of snapshots, as the backend's names have them
    :param queue: ``host@backend`` or ``cluster@backend``
    :returns: by the snapshot's id, the id that its volume's name on the
        backend has
    """
    managed: dict[str, str] = {}
    for chunk in query.chunks(ids):
        rows = session.execute(
            sa.select(models.Snapshot.id, models.Snapshot.volume_id,
                      models.Volume._name_id, models.Volume.host,
                      models.Volume.cluster_name)
            .join(models.Volume,
                  models.Volume.id == models.Snapshot.volume_id)
            .where(models.Snapshot.id.in_(chunk),
                   query.live(models.Snapshot)))
        managed.update((row.id, row._name_id or row.volume_id)
                       for row in rows if volumes.is_on(row, queue))
    return managed


def creating_on(session: orm.Session, queue: str, *,
                older_than: float = 0) -> list[models.Snapshot]:
    """Return the rows of a backend that are being adopted, oldest first.

    They include the rows whose reference was set aside: see
    :func:`is_aside`.

    Nothing in Cinder's tables has an index of what is ``creating``. So this
    starts from the backend's volumes, which have one, as
    ``snapshots.volume_id`` does. The cost depends on the rows of the
    backend, not on the rows of the table.

    :param queue: ``host@backend`` or ``cluster@backend``
    :param older_than: minimum age of a row, in seconds
    """
    made_before = timeutils.utcnow() - datetime.timedelta(seconds=older_than)
    statement = _creating().where(
        _IS_ADOPTING, models.Snapshot.created_at <= made_before)
    found = [row for chunk in query.chunks(volumes.ids_on(session, queue))
             for row in session.scalars(
                 statement.where(models.Snapshot.volume_id.in_(chunk)))]
    return sorted(found, key=lambda row: (row.created_at, row.id))


def unfinished(session: orm.Session) -> tuple[int, datetime.datetime | None]:
    """How many rows are being adopted, and when the oldest was made."""
    row = session.execute(sa.select(
        sa.func.count(), sa.func.min(models.Snapshot.created_at)).where(
            models.Snapshot.status == CREATING,
            _IS_ADOPTING, query.live(models.Snapshot))).one()
    return row[0], row[1]


def claim(session: orm.Session, snapshot_id: str) -> bool:
    """Note that a worker is about to adopt a row that is ``creating``.

    From now on nobody withdraws it.

    :returns: False if it is not ``creating`` any more or was deleted
    """
    return _leave_creating(session, snapshot_id, CREATING,
                           progress=_CLAIMED)


def put_off(session: orm.Session, snapshot_id: str) -> bool:
    """Note that nothing has been done for a claimed row on the backend.

    The worker that knows holds the locks of the adoption.

    :returns: False if it is not ``creating`` any more or was deleted
    """
    return _leave_creating(session, snapshot_id, CREATING,
                           progress=_PUT_OFF)


def is_claimed(snapshot: models.Snapshot) -> bool:
    """Whether a worker has been about to adopt a row."""
    return has_reference(snapshot) and snapshot.progress == _CLAIMED


def update(session: orm.Session, snapshot_id: str, **values: Any) -> bool:
    """Change a snapshot's columns.

    :returns: whether there is such a snapshot
    """
    return bool(query.update(session, models.Snapshot,
                             models.Snapshot.id == snapshot_id, **values))


def make_available(session: orm.Session, snapshot_id: str, *,
                   display_name: str | None = None,
                   metadata: Mapping[str, Any] | None = None,
                   **columns: Any) -> bool:
    """Turn a row that is ``creating`` to ``available``.

    :param display_name: for one that its user gave none
    :param metadata: to add to the user's; a key without a value is left out
    :param columns: what else to change: ``provider_id`` and the like of the
        driver, or ``volume_size``
    :returns: False if it is not ``creating`` any more or was deleted
    """
    if not _leave_creating(
            session, snapshot_id, AVAILABLE,
            **{**_NO_REFERENCE, 'progress': '100%', **columns}):
        return False
    if display_name:
        query.update(session, models.Snapshot,
                     models.Snapshot.id == snapshot_id,
                     sa.or_(models.Snapshot.display_name.is_(None),
                            models.Snapshot.display_name == ''),
                     display_name=_fitting(display_name))
    for key, value in (metadata or {}).items():
        if value is not None:
            _set_metadata(session, snapshot_id, _fitting(key),
                          _fitting(str(value)))
    return True


def make_error(session: orm.Session, snapshot_id: str, reason: str,
               *conditions: Any) -> bool:
    """Turn a row that is ``creating`` to ``error``, and let it say why.

    :param reason: a sentence, which ends up in the snapshot's metadata
    :param conditions: what must be true of the row besides
    :returns: False if it is not ``creating`` any more or was deleted
    """
    if not _leave_creating(session, snapshot_id, ERROR, *conditions,
                           **_NO_REFERENCE):
        return False
    _set_metadata(session, snapshot_id, ERROR_KEY, _fitting(reason))
    return True


def give_up(session: orm.Session, snapshot_id: str, reason: str) -> bool:
    """As :func:`make_error`, unless a worker is about to adopt the row.

    :returns: False where one is, or may have been when it died, too
    """
    return make_error(session, snapshot_id, reason,
                      models.Snapshot.progress.in_(_UNCLAIMED))


def begin(session: orm.Session, snapshot_id: str, *statuses: str,
          again: bool = False) -> bool:
    """Note that a worker begins to take, delete or unmanage a snapshot.

    From then on the API does not undo the request.

    :param statuses: of which the snapshot must have one
    :param again: a worker may have begun before
    :returns: False: the status is another one, or a worker has begun
    """
    return bool(query.update(
        session, models.Snapshot, models.Snapshot.id == snapshot_id,
        models.Snapshot.status.in_(statuses),
        *(() if again else (_HAS_NOT_BEGUN,)), progress=_CLAIMED))


def start_deletion(session: orm.Session, snapshot: models.Snapshot,
                   status: str) -> bool:
    """Turn a snapshot to ``deleting`` or ``unmanaging``.

    :param snapshot: the row as it was read
    :returns: False: its status has changed since
    """
    return bool(query.update(
        session, models.Snapshot, models.Snapshot.id == snapshot.id,
        models.Snapshot.status == snapshot.status, status=status,
        progress=_WAITING))


def stop_deletion(session: orm.Session, snapshot: models.Snapshot) -> bool:
    """Undo :func:`start_deletion`.

    :param snapshot: the row as it was before
    :returns: False: a worker has begun to delete the snapshot, or is done
    """
    query.lock(session, models.Snapshot, models.Snapshot.id == snapshot.id)
    return bool(query.update(
        session, models.Snapshot, models.Snapshot.id == snapshot.id,
        models.Snapshot.status.in_(('deleting', 'unmanaging')),
        _HAS_NOT_BEGUN, status=snapshot.status, progress=snapshot.progress))


def withdraw(session: orm.Session, context: request_context.RequestContext,
             snapshot_id: str) -> bool:
    """Undo a row whose message never reached a worker.

    :returns: False where some worker heard of it: it has claimed the row, or
        is done with it
    :raises SnapshotNotFound: the project has no such snapshot
    """
    get(session, context, snapshot_id)
    return _delete(session, snapshot_id, models.Snapshot.status == CREATING,
                   models.Snapshot.progress.in_((_WAITING, _SET_ASIDE)))


def delete(session: orm.Session, snapshot_id: str) -> bool:
    """Mark a snapshot and its metadata as deleted.

    :returns: whether there was such a snapshot
    """
    return _delete(session, snapshot_id)


def _creating() -> sa.sql.Select:
    return sa.select(models.Snapshot).where(
        models.Snapshot.status == CREATING,
        query.live(models.Snapshot)).order_by(
            models.Snapshot.created_at, models.Snapshot.id)


def _leave_creating(session: orm.Session, snapshot_id: str, status: str,
                    *conditions: Any, **columns: Any) -> bool:
    return bool(query.update(
        session, models.Snapshot, models.Snapshot.id == snapshot_id,
        models.Snapshot.status == CREATING, *conditions, status=status,
        **columns))


def _delete(session: orm.Session, snapshot_id: str,
            *conditions: Any) -> bool:
    if not query.delete(session, models.Snapshot,
                        models.Snapshot.id == snapshot_id, *conditions,
                        status=DELETED):
        return False
    query.delete(session, models.SnapshotMetadata,
                 models.SnapshotMetadata.snapshot_id == snapshot_id)
    return True


def _set_metadata(session: orm.Session, snapshot_id: str, key: str,
                  value: str) -> None:
    if not query.update(session, models.SnapshotMetadata,
                        models.SnapshotMetadata.snapshot_id == snapshot_id,
                        models.SnapshotMetadata.key == key,
                        value=value):
        session.add(models.SnapshotMetadata(
            snapshot_id=snapshot_id, key=key, value=value))
        session.flush()


def _fitting(text: str) -> str:
    """As much of a text as a column takes."""
    text = _NOT_IN_UTF8MB3.sub('\ufffd', text.replace('\0', ''))
    return (text if len(text) <= _COLUMN_LENGTH
            else text[:_COLUMN_LENGTH - 3] + '...')


def _set_aside(session: orm.Session, snapshot_id: str,
               reference: Mapping[str, str] | str | None) -> None:
    text = json.dumps(reference)
    if len(text) > _ASIDE_LENGTH:
        return
    now = timeutils.utcnow()
    session.add_all(
        models.SnapshotMetadata(
            snapshot_id=snapshot_id, key=f'{_ASIDE_KEY}{start:05}',
            value=text[start:start + _COLUMN_LENGTH], deleted=True,
            deleted_at=now)
        for start in range(0, len(text), _COLUMN_LENGTH))
    session.flush()


def _columns(reference: Mapping[str, str] | str) -> dict[str, str | None]:
    """The columns that hold a reference."""
    text = _PREFIX + _NOT_IN_UTF8MB3.sub(
        lambda match: json.dumps(match.group())[1:-1],
        json.dumps(reference, ensure_ascii=False))
    if len(text) > len(_REFERENCE_COLUMNS) * _COLUMN_LENGTH:
        text = _TOO_LONG
    return {column: text[number * _COLUMN_LENGTH:
                         (number + 1) * _COLUMN_LENGTH] or None
            for number, column in enumerate(_REFERENCE_COLUMNS)}
