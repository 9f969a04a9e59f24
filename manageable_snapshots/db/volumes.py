# SPDX-License-Identifier: Apache-2.0

"""Volumes."""

import collections
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from oslo_utils import timeutils
import sqlalchemy as sa
from sqlalchemy import orm

from manageable_snapshots import context as request_context
from manageable_snapshots.db import models
from manageable_snapshots.db import query
from manageable_snapshots.db import volume_types
from manageable_snapshots import exception
from manageable_snapshots import hosts
from manageable_snapshots.i18n import _

#: ``migration_status`` of a volume that no migration is at work on
_NOT_MIGRATING = (None, 'deleting', 'error', 'success')

_HAS_NOT_BEGUN = sa.or_(
    models.Volume.previous_status.is_(None),
    models.Volume.previous_status != models.Volume.status)


def get(session: orm.Session, context: request_context.RequestContext,
        volume_id: str, *, for_update: bool = False) -> models.Volume:
    """A volume of the project that asks; of any, for an administrator.

    :param for_update: nobody else changes it before the transaction ends
    :raises VolumeNotFound: the project has no such volume
    """
    volume = query.get(session, models.Volume, context, volume_id,
                       for_update=for_update)
    if volume is None:
        raise exception.VolumeNotFound(volume_id=volume_id)
    return volume


def why_not_snapshottable(
        volume: models.Volume) -> exception.InvalidVolume | None:
    """Return why a volume can have no new snapshot; None: it can.

    The same rules, in the same order and words, as in Cinder's
    ``API._create_snapshot_in_db_validate`` (release 29). Whether the volume
    is busy with something else is not among them.
    """
    status = volume.status or ''
    if not volume.host:
        reason = _('The snapshot cannot be created because volume has not '
                   'been scheduled to any host.')
    elif status == 'maintenance':
        reason = _('The snapshot cannot be created when the volume is in '
                   'maintenance mode.')
    elif volume.migration_status not in _NOT_MIGRATING:
        reason = _('Snapshot cannot be created while volume is migrating.')
    elif status == 'error':
        reason = _('The snapshot cannot be created when the volume is in '
                   'error status.')
    elif status.startswith('replica_'):
        reason = _('Snapshot of secondary replica is not allowed.')
    else:
        return None
    return exception.InvalidVolume(reason=reason)


def parent(session: orm.Session, snapshot: models.Snapshot) -> models.Volume:
    """Return the volume of a snapshot, also when the volume is deleted.

    :raises VolumeNotFound: there is no such row
    """
    volume = session.get(models.Volume, snapshot.volume_id)
    if volume is None:
        raise exception.VolumeNotFound(volume_id=snapshot.volume_id)
    return volume


def list_volumes(session: orm.Session,
                 context: request_context.RequestContext, *,
                 all_projects: bool = False,
                 filters: Mapping[str, Any] | None = None,
                 limit: int | None = None,
                 marker: str | None = None) -> list[models.Volume]:
    """Volumes, newest first.

    :param all_projects: an administrator asks for those of all projects
    :param filters: column names with the value, or list of values, wanted
    :param limit: how many at most
    :param marker: id of the volume after which the page starts
    :raises VolumeNotFound: there is no volume of the marker's id
    """
    return query.page(
        session, models.Volume, context, all_projects=all_projects,
        filters=filters or {}, limit=limit,
        marker=get(session, context, marker) if marker else None)


def create(session: orm.Session, values: Mapping[str, Any]) -> models.Volume:
    """Insert a volume.

    :param values: its columns, and ``metadata``, a dict; where there is no
        ``volume_type_id``, it is the default type's
    """
    columns = dict(values)
    metadata = columns.pop('metadata', None)
    if columns.get('volume_type_id') is None:
        columns['volume_type_id'] = volume_types.default(session).id
    volume = models.Volume(**columns)
    session.add(volume)
    session.flush()
    query.add_metadata(session, models.VolumeMetadata, metadata,
                       volume_id=volume.id)
    return volume


def update(session: orm.Session, volume_id: str, **values: Any) -> bool:
    """Change a volume's columns.

    :returns: whether there is such a volume
    """
    return bool(query.update(session, models.Volume,
                             models.Volume.id == volume_id, **values))


def begin(session: orm.Session, volume_id: str, *statuses: str,
          again: bool = False) -> bool:
    """Note that a worker begins to make or delete a volume.

    From then on the API does not undo the request. The note is a
    ``previous_status`` that equals the status. Cinder uses that column
    during backups only.

    :param statuses: of which the volume must have one
    :param again: a worker may have begun before
    :returns: False: the status is another one, or a worker has begun
    """
    return bool(query.update(
        session, models.Volume, models.Volume.id == volume_id,
        models.Volume.status.in_(statuses),
        *(() if again else (_HAS_NOT_BEGUN,)),
        previous_status=models.Volume.status))


def is_waiting(volume: models.Volume) -> bool:
    """Whether a volume waits for a worker that makes it."""
    return (volume.status == 'creating'
            and volume.previous_status != volume.status)


def start_deletion(session: orm.Session, volume: models.Volume) -> bool:
    """Turn a volume to ``deleting``.

    :param volume: the row as it was read
    :returns: False: its status has changed since
    """
    return bool(query.update(
        session, models.Volume, models.Volume.id == volume.id,
        models.Volume.status == volume.status, status='deleting',
        previous_status=None, terminated_at=timeutils.utcnow()))


def stop_deletion(session: orm.Session, volume: models.Volume) -> bool:
    """Undo :func:`start_deletion`.

    :param volume: the row as it was before
    :returns: False: a worker has begun to delete the volume, or is done
    """
    query.lock(session, models.Volume, models.Volume.id == volume.id)
    return bool(query.update(
        session, models.Volume, models.Volume.id == volume.id,
        models.Volume.status == 'deleting', _HAS_NOT_BEGUN,
        status=volume.status, previous_status=volume.previous_status,
        terminated_at=volume.terminated_at))


def delete(session: orm.Session, volume_id: str) -> bool:
    """Mark a volume and its metadata as deleted.

    :returns: whether there was such a volume
    """
    query.delete(session, models.VolumeMetadata,
                 models.VolumeMetadata.volume_id == volume_id)
    return bool(query.delete(session, models.Volume,
                             models.Volume.id == volume_id,
                             status='deleted'))


def metadata(session: orm.Session, volume_id: str) -> dict[str, str]:
    """A volume's metadata."""
    return metadata_of(session, [volume_id]).get(volume_id, {})


def metadata_of(session: orm.Session,
                ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """The metadata of several volumes, by id; those without are left out."""
    return query.metadata_of(session, models.VolumeMetadata, 'volume_id',
                             ids)


def ids_on(session: orm.Session, queue: str, *,
           deleted: bool = False) -> list[str]:
    """Return the ids of the volumes of a backend.

    The statement reads Cinder's index of ``deleted`` and ``host``. Only for
    a cluster does it read all volumes: ``cluster_name`` has no index.

    :param queue: ``host@backend`` or ``cluster@backend``
    :param deleted: include the volumes that are deleted
    """
    columns = [models.Volume.host]
    if session.scalars(sa.select(models.Cluster.id).where(
            models.Cluster.name == queue)).first() is not None:
        columns.append(models.Volume.cluster_name)
    rows = session.execute(
        sa.select(models.Volume.id, models.Volume.host,
                  models.Volume.cluster_name)
        .where(_is_named(queue, columns),
               # Without "deleted" in the condition, the index has no use.
               models.Volume.deleted.in_([False, True]) if deleted
               else query.live(models.Volume)))
    return [row.id for row in rows if is_on(row, queue)]


def on_backend(queue: str) -> Any:
    """Return the condition that a volume is on a backend.

    Databases other than PostgreSQL ignore case: see :func:`is_on`.

    :param queue: ``host@backend`` or ``cluster@backend``
    """
    return _is_named(queue, (models.Volume.host, models.Volume.cluster_name))


def is_on(row: Any, queue: str) -> bool:
    """Return whether a volume is on a backend.

    :param row: has its ``host`` and ``cluster_name``
    :param queue: ``host@backend`` or ``cluster@backend``
    """
    return queue in (hosts.backend(row.host or ''),
                     hosts.backend(row.cluster_name or ''))


def _is_named(queue: str, columns: Iterable[Any]) -> Any:
    return sa.or_(*(
        condition for column in columns
        for condition in (column == queue, column.startswith(
            queue + '#', autoescape=True))))


def count_by_host(session: orm.Session) -> dict[str, int]:
    """How many volumes each ``host@backend`` has."""
    numbers: collections.Counter[str] = collections.Counter()
    for host, number in session.execute(
            sa.select(models.Volume.host, sa.func.count())
            .where(query.live(models.Volume)).group_by(models.Volume.host)):
        numbers[hosts.backend(host or '')] += number
    return dict(numbers)
