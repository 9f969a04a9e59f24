# SPDX-License-Identifier: Apache-2.0

"""What an audit asks of the tables: many rows, so many at a time."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
from typing import Any

from oslo_config import cfg
from oslo_utils import timeutils
import sqlalchemy as sa
from sqlalchemy import orm

from manageable_snapshots.db import models
from manageable_snapshots.db import query
from manageable_snapshots.db import quota
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes

_PAGE = 500

#: volumes whose snapshots one page may have; each page reads them all
_VOLUMES = 50

#: what makes a row another one than it was
_STATE = ('status', 'progress', 'volume_id', 'volume_size', 'provider_id')

Pair = tuple[models.Snapshot, models.Volume]


@dataclasses.dataclass(frozen=True)
class Drift:
    """What a usage should be, and is not.

    :ivar in_use: as the rows have it
    :ivar reserved: as the reservations have it
    :ivar under_way: reservations that have not expired: what the rows say
        may be about to change
    """

    in_use: int
    reserved: int
    under_way: int


@dataclasses.dataclass(frozen=True)
class Reserved:
    """The live reservations of a usage, added up.

    :ivar total: of those that add something, expired or not
    :ivar more: what those that have not expired may add
    :ivar less: what those that have not expired may take away, negative
    :ivar under_way: the number of those that have not expired
    """

    total: int = 0
    more: int = 0
    less: int = 0
    under_way: int = 0


@dataclasses.dataclass(frozen=True)
class Expired:
    """Reservations of a project that nobody has committed.

    :ivar oldest: when the first one expired, naive UTC
    """

    project_id: str
    number: int
    oldest: datetime.datetime


def volume_ids(session: orm.Session, queue: str) -> Iterator[list[str]]:
    """Return a backend's volumes, deleted or not, as :func:`page` takes them.

    :param queue: ``host@backend`` or ``cluster@backend``
    """
    ids = volumes.ids_on(session, queue, deleted=True)
    return (ids[start:start + _VOLUMES]
            for start in range(0, len(ids), _VOLUMES))


def page(session: orm.Session, volume_ids: Sequence[str], *, status: str,
         after: str = '', older_than: float = 0,
         failed: bool = False) -> tuple[list[Pair], str | None]:
    """Return live snapshots of some volumes, each with its volume.

    :param volume_ids: of :func:`volume_ids`
    :param after: id after which the page starts
    :param older_than: minimum age, in seconds
    :param failed: only snapshots that say why their adoption failed
    :returns: the page, and where the next one starts; None: it is the last
    """
    statement = (
        sa.select(models.Snapshot, models.Volume)
        .join(models.Volume, models.Volume.id == models.Snapshot.volume_id)
        .where(models.Snapshot.volume_id.in_(volume_ids),
               models.Snapshot.status == status, models.Snapshot.id > after,
               query.live(models.Snapshot))
        .order_by(models.Snapshot.id).limit(_PAGE))
    if older_than:
        statement = statement.where(
            models.Snapshot.created_at
            <= timeutils.utcnow() - datetime.timedelta(seconds=older_than))
    if failed:
        statement = statement.where(
            sa.select(models.SnapshotMetadata.id).where(
                models.SnapshotMetadata.snapshot_id == models.Snapshot.id,
                models.SnapshotMetadata.key == snapshots.ERROR_KEY,
                query.live(models.SnapshotMetadata)).exists())
    found = [(row.Snapshot, row.Volume) for row in session.execute(statement)]
    return found, found[-1][0].id if len(found) == _PAGE else None


def unchanged(session: orm.Session,
              rows: Iterable[models.Snapshot]) -> set[str]:
    """Return the ids of the rows that are live, and as they were read."""
    before = {row.id: row for row in rows}
    return {
        now.id for chunk in query.chunks(before)
        for now in session.scalars(
            sa.select(models.Snapshot).where(
                models.Snapshot.id.in_(chunk), query.live(models.Snapshot)))
        if _is_same(now, before[now.id])}


def locked(session: orm.Session,
           snapshot: models.Snapshot) -> models.Snapshot | None:
    """A row, if it is as it was; nobody changes it before the end."""
    now = session.scalars(
        sa.select(models.Snapshot).where(
            models.Snapshot.id == snapshot.id, query.live(models.Snapshot))
        .with_for_update().execution_options(populate_existing=True)).first()
    return now if now is not None and _is_same(now, snapshot) else None


def known(session: orm.Session, ids: Iterable[str]) -> dict[str, bool]:
    """Which ids rows have, and whether the rows are live."""
    return {row.id: not row.deleted for chunk in query.chunks(ids)
            for row in session.execute(
                sa.select(models.Snapshot.id, models.Snapshot.deleted)
                .where(models.Snapshot.id.in_(chunk)))}


def live_volumes(session: orm.Session, ids: Iterable[str]) -> set[str]:
    """Return those of the ids that are ids of live volumes."""
    return {volume_id for chunk in query.chunks(ids)
            for volume_id in session.scalars(
                sa.select(models.Volume.id).where(
                    models.Volume.id.in_(chunk), query.live(models.Volume)))}


def migrated(session: orm.Session) -> dict[str, str]:
    """Return the live volumes whose names on the backend have another id.

    It reads all volumes: no index has these ids.

    :returns: the volumes' own ids, by the ids in their names
    """
    return {row._name_id: row.id for row in session.execute(
        sa.select(models.Volume._name_id, models.Volume.id).where(
            models.Volume._name_id.is_not(None), query.live(models.Volume)))}


def shared(session: orm.Session,
           queue: str) -> list[tuple[str, list[str]]]:
    """What more than one available row of a backend has as provider_id.

    :param queue: ``host@backend`` or ``cluster@backend``
    :returns: it, and the ids of the rows, oldest first
    """
    here = orm.join(models.Snapshot, models.Volume,
                    models.Volume.id == models.Snapshot.volume_id)
    conditions = (models.Snapshot.status == snapshots.AVAILABLE,
                  models.Snapshot.provider_id.is_not(None),
                  query.live(models.Snapshot), volumes.on_backend(queue))
    repeated = session.scalars(
        sa.select(models.Snapshot.provider_id).select_from(here)
        .where(*conditions).group_by(models.Snapshot.provider_id)
        .having(sa.func.count() > 1)).all()
    # The comparisons take no notice of case, except on PostgreSQL.
    found: dict[str, list[str]] = {}
    for chunk in query.chunks(repeated):
        for row in session.execute(
                sa.select(models.Snapshot.id, models.Snapshot.provider_id,
                          models.Volume.host, models.Volume.cluster_name)
                .select_from(here)
                .where(models.Snapshot.provider_id.in_(chunk), *conditions)
                .order_by(models.Snapshot.created_at, models.Snapshot.id)):
            if volumes.is_on(row, queue):
                found.setdefault(row.provider_id, []).append(row.id)
    return [(provider_id, ids) for provider_id, ids in sorted(found.items())
            if len(ids) > 1]


def types(session: orm.Session) -> dict[str, models.VolumeType]:
    """The live volume types, by name."""
    return {row.name: row for row in session.scalars(
        sa.select(models.VolumeType).where(query.live(models.VolumeType)))}


def usages(session: orm.Session, after: tuple[str, int],
           ) -> tuple[list[models.QuotaUsage], tuple[str, int] | None]:
    """Return the usages of what this service counts, by project.

    :param after: project and id after which the page starts
    :returns: the page, and where the next one starts; None: it is the last
    """
    project_id, usage_id = after
    found = session.scalars(
        sa.select(models.QuotaUsage).where(
            models.QuotaUsage.project_id >= project_id,
            sa.or_(models.QuotaUsage.project_id > project_id,
                   models.QuotaUsage.id > usage_id),
            query.live(models.QuotaUsage))
        .order_by(models.QuotaUsage.project_id, models.QuotaUsage.id)
        .limit(_PAGE)).all()
    return ([usage for usage in found if _kind(usage) in quota.KINDS],
            (found[-1].project_id, found[-1].id) if len(found) == _PAGE
            else None)


def doubtful(session: orm.Session, conf: cfg.ConfigOpts,
             found: Sequence[models.QuotaUsage]) -> list[models.QuotaUsage]:
    """Return those of a page of usages that seem wrong.

    The number of statements does not depend on the page. The rows may change
    meanwhile: :func:`locked_drift` is exact.

    :param found: of :func:`usages`
    """
    known_types = types(session)
    reserved = _reserved(session, [usage.id for usage in found])
    held = quota.held_by_project(
        session, conf, {usage.project_id for usage in found})
    return [usage for usage in found if _drift(
        usage, held.get(usage.project_id, {}), reserved.get(usage.id),
        known_types)]


def locked_usage(session: orm.Session,
                 usage_id: int) -> models.QuotaUsage | None:
    """A live usage; nobody changes it before the transaction ends."""
    return session.scalars(
        sa.select(models.QuotaUsage).where(
            models.QuotaUsage.id == usage_id, query.live(models.QuotaUsage))
        .with_for_update().execution_options(populate_existing=True)).first()


def locked_drift(session: orm.Session, conf: cfg.ConfigOpts, usage_id: int,
                 ) -> tuple[models.QuotaUsage, Drift] | None:
    """Lock a usage and return it with its drift, which is exact.

    :returns: None: it is right, or it does not exist
    """
    usage = locked_usage(session, usage_id)
    if usage is None:
        return None
    drift = _drift(usage, quota.held(session, conf, usage.project_id),
                   _reserved(session, [usage.id]).get(usage.id),
                   types(session))
    return (usage, drift) if drift else None


def expired(session: orm.Session) -> list[Expired]:
    """The projects that have reservations past their expiry."""
    return [
        Expired(row[0], row[1], row[2]) for row in session.execute(
            sa.select(models.Reservation.project_id, sa.func.count(),
                      sa.func.min(models.Reservation.expire))
            .where(models.Reservation.expire < timeutils.utcnow(),
                   query.live(models.Reservation))
            .group_by(models.Reservation.project_id)
            .order_by(models.Reservation.project_id))]


def _drift(usage: models.QuotaUsage, held: Mapping[quota.Key, int],
           reserved: Reserved | None,
           known_types: Mapping[str, models.VolumeType]) -> Drift | None:
    """Return how a usage differs from the rows and the reservations.

    Cinder changes rows between a reservation and its commit. As long as one
    is under way, a usage that it would explain is right.

    :param held: what the project has, of :func:`quota.held`
    :param known_types: of :func:`types`
    """
    kind, _, type_name = (usage.resource or '').partition('_')
    volume_type = known_types.get(type_name)
    in_use = (0 if type_name and volume_type is None else held.get(
        (kind, volume_type.id if volume_type and type_name else None), 0))
    reserved = reserved or Reserved()
    if (in_use - reserved.more <= usage.in_use <= in_use - reserved.less
            and usage.reserved == reserved.total):
        return None
    return Drift(in_use=in_use, reserved=reserved.total,
                 under_way=reserved.under_way)


def _reserved(session: orm.Session,
              usage_ids: Sequence[int]) -> dict[int, Reserved]:
    """Return what is reserved of usages, by id; at most as many as a page."""
    delta = models.Reservation.delta
    waits = sa.or_(models.Reservation.expire.is_(None),
                   models.Reservation.expire >= timeutils.utcnow())

    def total(condition: Any) -> Any:
        return sa.func.sum(sa.case((condition, delta), else_=0))

    return {
        row[0]: Reserved(*map(int, row[1:])) for row in session.execute(
            sa.select(models.Reservation.usage_id, total(delta > 0),
                      total(sa.and_(waits, delta > 0)),
                      total(sa.and_(waits, delta < 0)),
                      sa.func.sum(sa.case((waits, 1), else_=0)))
            .where(models.Reservation.usage_id.in_(usage_ids),
                   query.live(models.Reservation))
            .group_by(models.Reservation.usage_id))}


def _is_same(now: models.Snapshot, before: models.Snapshot) -> bool:
    return all(getattr(now, column) == getattr(before, column)
               for column in _STATE)


def _kind(usage: models.QuotaUsage) -> str:
    return (usage.resource or '').partition('_')[0]
