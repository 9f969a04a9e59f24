# SPDX-License-Identifier: Apache-2.0

"""Quota, counted as Cinder counts it.

Cinder first reserves (a row in ``reservations``, and ``reserved`` of the
usage), then does the work, and commits or rolls back in a third transaction;
a process that dies in between leaves a reservation that expires after a day.
Here the count and the row that it counts are written in one transaction, so
there is nothing to reserve. What others have reserved counts against the
limits as it does in Cinder.
"""

import collections
from collections.abc import Collection
from collections.abc import Mapping
import datetime
from typing import Any

from oslo_config import cfg
from oslo_log import log
import sqlalchemy as sa
from sqlalchemy import orm

from manageable_snapshots import context as request_context
from manageable_snapshots.db import models
from manageable_snapshots.db import query
from manageable_snapshots import exception

LOG = log.getLogger(__name__)

_DEFAULT_CLASS = 'default'
#: what is counted: for a project, and by type, as KIND_TYPE
KINDS = ('gigabytes', 'snapshots', 'volumes')
_NO_LIMIT = -1

#: one of :data:`KINDS`, and the id of a volume type; None: of all types
Key = tuple[str, str | None]


def snapshot_gigabytes(conf: cfg.ConfigOpts, size: int) -> int:
    """GiB that a snapshot counts for.

    :param size: the snapshot's, in GiB
    """
    return 0 if conf.no_snapshot_gb_quota else size


def charge(session: orm.Session, conf: cfg.ConfigOpts,
           context: request_context.RequestContext, *, project_id: str,
           volume_type: models.VolumeType | None, snapshots: int = 0,
           volumes: int = 0, gigabytes: int = 0,
           size: int | None = None) -> None:
    """Add to what a project has, or take away from it.

    To be called before the rows that it counts are inserted or deleted, in
    the same transaction, and in a function that :func:`engine.retry` wraps.
    It holds the project's usages until that transaction ends.

    :param project_id: whose quota
    :param volume_type: counted separately as well, if any
    :param snapshots: how many more; fewer, where negative
    :param volumes: likewise
    :param gigabytes: likewise, in GiB
    :param size: GiB that the error says were requested; None: ``gigabytes``
    :raises VolumeSizeExceedsAvailableQuota: too many gigabytes
    :raises SnapshotLimitExceeded: too many snapshots
    :raises VolumeLimitExceeded: too many volumes
    """
    deltas = {}
    for name, delta in (('gigabytes', gigabytes), ('snapshots', snapshots),
                        ('volumes', volumes)):
        if delta:
            deltas[name] = delta
            if volume_type is not None:
                deltas[f'{name}_{volume_type.name}'] = delta
    if not deltas:
        return
    more = sorted(name for name, delta in deltas.items() if delta > 0)
    # Before the project is locked, for which others wait.
    limits = _limits(session, conf, context, project_id, more)
    usages = _usages(session, conf, project_id, volume_type, deltas)
    for name in more:
        used = usages[name].in_use + usages[name].reserved
        if 0 <= limits[name] < used + deltas[name]:
            _refuse(project_id, name, limits[name], used,
                    gigabytes if size is None else size)
    for name, delta in deltas.items():
        usages[name].in_use = max(0, usages[name].in_use + delta)
    session.flush()


def expire_reservations(session: orm.Session,
                        now: datetime.datetime) -> int:
    """Give back what others reserved and never committed.

    :param now: naive UTC
    :returns: how many reservations there were
    """
    expired = sa.select(models.Reservation).where(
        models.Reservation.expire < now, query.live(models.Reservation))
    usage_ids = {row.usage_id for row in session.scalars(expired)
                 if row.usage_id is not None}
    # Cinder locks usages first, then reservations. The reverse order would
    # cause deadlocks.
    usages = {usage.id: usage for chunk in query.chunks(sorted(usage_ids))
              for usage in session.scalars(
                  sa.select(models.QuotaUsage).where(
                      models.QuotaUsage.id.in_(chunk),
                      query.live(models.QuotaUsage))
                  .order_by(models.QuotaUsage.id).with_for_update())}
    reservations = session.scalars(
        expired.order_by(models.Reservation.id).with_for_update()
        .execution_options(populate_existing=True)).all()
    for reservation in reservations:
        usage = usages.get(reservation.usage_id)
        if usage is not None and reservation.delta > 0:
            usage.reserved = max(0, usage.reserved - reservation.delta)
    for chunk in query.chunks(row.id for row in reservations):
        query.delete(session, models.Reservation,
                     models.Reservation.id.in_(chunk))
    session.flush()
    return len(reservations)


def _usages(session: orm.Session, conf: cfg.ConfigOpts, project_id: str,
            volume_type: models.VolumeType | None,
            names: Any) -> dict[str, models.QuotaUsage]:
    """Return the project's usages, locked. Create missing ones."""
    statement = sa.select(models.QuotaUsage).where(
        models.QuotaUsage.project_id == project_id,
        models.QuotaUsage.resource.in_(list(names)),
        query.live(models.QuotaUsage)).order_by(
            models.QuotaUsage.id).with_for_update().execution_options(
                populate_existing=True)
    usages = {usage.resource: usage for usage in session.scalars(statement)}
    # Negative is Cinder's sign that the count is wrong.
    wrong = [name for name in sorted(names)
             if name not in usages or usages[name].in_use < 0]
    counted = held(session, conf, project_id) if wrong else {}
    for name in wrong:
        if name not in usages:
            usages[name] = models.QuotaUsage(
                project_id=project_id, resource=name, reserved=0)
            session.add(usages[name])
        kind, _, type_name = name.partition('_')
        type_id = volume_type.id if volume_type and type_name else None
        usages[name].in_use = counted.get((kind, type_id), 0)
    session.flush()
    return usages


def held(session: orm.Session, conf: cfg.ConfigOpts,
         project_id: str) -> Mapping[Key, int]:
    """Return what a project really has, by its rows."""
    # MariaDB ignores case, so there may be several spellings of the project.
    return sum(held_by_project(session, conf, [project_id]).values(),
               collections.Counter())


def held_by_project(session: orm.Session, conf: cfg.ConfigOpts,
                    project_ids: Collection[str],
                    ) -> dict[str, collections.Counter[Key]]:
    """Return what several projects really have, in two statements.

    :param project_ids: at most as many as a statement takes
    """
    found: dict[str, collections.Counter[Key]] = {}
    for kind, size, source in (
            ('volumes', models.Volume.size, models.Volume),
            ('snapshots', models.Snapshot.volume_size,
             # A volume may have been given another type since.
             orm.join(models.Snapshot, models.Volume,
                      models.Volume.id == models.Snapshot.volume_id))):
        model = size.class_
        columns = model.project_id, models.Volume.volume_type_id
        rows = session.execute(
            sa.select(*columns, sa.func.count().label('number'),
                      sa.func.sum(size).label('gigabytes'))
            .select_from(source)
            .where(model.project_id.in_(project_ids),
                   model.use_quota.is_not(sa.false()), query.live(model))
            .group_by(*columns))
        for row in rows:
            counter = found.setdefault(row.project_id,
                                       collections.Counter())
            for type_id in {None, row.volume_type_id}:
                counter[kind, type_id] += row.number
                if kind == 'volumes' or not conf.no_snapshot_gb_quota:
                    counter['gigabytes', type_id] += int(row.gigabytes or 0)
    return found


def _limits(session: orm.Session, conf: cfg.ConfigOpts,
            context: request_context.RequestContext, project_id: str,
            names: Any) -> dict[str, int]:
    """A project's limits; -1: none."""
    if not names:
        return {}
    own = {row.resource: row.hard_limit for row in session.execute(
        sa.select(models.Quota.resource, models.Quota.hard_limit).where(
            models.Quota.project_id == project_id,
            models.Quota.resource.in_(list(names)),
            query.live(models.Quota)))}
    classes = session.execute(
        sa.select(models.QuotaClass.class_name, models.QuotaClass.resource,
                  models.QuotaClass.hard_limit).where(
            models.QuotaClass.class_name.in_(
                {_DEFAULT_CLASS, context.quota_class} - {None}),
            models.QuotaClass.resource.in_(list(names)),
            query.live(models.QuotaClass))).all()
    of_class = {(row.class_name, row.resource): row.hard_limit
                for row in classes}
    limits = {}
    for name in names:
        candidates = [own.get(name)]
        if context.quota_class and project_id == context.project_id:
            candidates.append(of_class.get((context.quota_class, name)))
        if conf.use_default_quota_class:
            candidates.append(of_class.get((_DEFAULT_CLASS, name)))
        candidates.append(conf[f'quota_{name}'] if name in KINDS
                          else _NO_LIMIT)
        limits[name] = next(limit for limit in candidates
                            if limit is not None)
    return limits


def _refuse(project_id: str, name: str, limit: int, used: int,
            size: int) -> None:
    LOG.warning('Project %(project)s is over its quota of %(name)s: '
                '%(used)s of %(limit)s are in use.',
                {'project': project_id, 'name': name, 'used': used,
                 'limit': limit})
    if name.startswith('gigabytes'):
        raise exception.VolumeSizeExceedsAvailableQuota(
            name=name, requested=size, quota=limit, consumed=used)
    error = (exception.SnapshotLimitExceeded if name.startswith('snapshots')
             else exception.VolumeLimitExceeded)
    raise error(allowed=limit, name=name)
