# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What an audit asks of the tables: many rows, so many at a time."""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime

from oslo_config import cfg
from oslo_utils import timeutils
import sqlalchemy as sa
from sqlalchemy import orm

from manageable_snapshots.db import models
from manageable_snapshots.db import query
from manageable_snapshots.db import quota
from manageable_snapshots.db import snapshots

_PAGE = 500

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
class Expired:
    """Reservations of a project that nobody has committed.

    :ivar oldest: when the first one expired, naive UTC
    """

    project_id: str
    number: int
    oldest: datetime.datetime


def page(session: orm.Session, queue: str, *, status: str, after: str,
         older_than: float = 0,
         failed: bool = False) -> tuple[list[Pair], str | None]:
    """Live snapshots of a backend, with their volumes, deleted or not.

    :param queue: ``host@backend`` or ``cluster@backend``
    :param after: the id after which the page starts
    :param older_than: only those that were made so many seconds ago or more
    :param failed: only those that tell why they could not be adopted
    :returns: they, and where the next page starts; None: there is no more
    """
    statement = (
        _pairs().where(
            models.Snapshot.status == status, models.Snapshot.id > after,
            snapshots.on_backend(queue))
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
    found = session.execute(statement).all()
    return (
        [(row.Snapshot, row.Volume) for row in found
         if snapshots.is_on(row.Volume, queue)],
        found[-1].Snapshot.id if len(found) == _PAGE else None)


def is_still(session: orm.Session, snapshot: models.Snapshot) -> bool:
    """Whether a row is live, and as it was when it was read."""
    return _as_it_was(session, snapshot, for_update=False) is not None


def locked(session: orm.Session,
           snapshot: models.Snapshot) -> models.Snapshot | None:
    """A row, if it is as it was; nobody changes it before the end."""
    return _as_it_was(session, snapshot, for_update=True)


def known(session: orm.Session, ids: Iterable[str]) -> dict[str, bool]:
    """Which ids rows have, and whether the rows are live."""
    return {row.id: not row.deleted for chunk in query.chunks(ids)
            for row in session.execute(
                sa.select(models.Snapshot.id, models.Snapshot.deleted)
                .where(models.Snapshot.id.in_(chunk)))}


def volume_of(session: orm.Session, name_id: str) -> str | None:
    """The live volume that has an id in its name on the backend."""
    found = session.scalars(sa.select(models.Volume.id).where(
        sa.func.coalesce(models.Volume._name_id, models.Volume.id) == name_id,
        query.live(models.Volume))).first()
    return found


def shared(session: orm.Session,
           queue: str) -> list[tuple[str, list[str]]]:
    """What more than one available row of a backend has as provider_id.

    :param queue: ``host@backend`` or ``cluster@backend``
    :returns: it, and the ids of the rows, oldest first
    """
    conditions = (
        models.Snapshot.status == snapshots.AVAILABLE,
        query.live(models.Snapshot), snapshots.on_backend(queue))
    joined = models.Volume.id == models.Snapshot.volume_id
    repeated = session.scalars(
        sa.select(models.Snapshot.provider_id).join(models.Volume, joined)
        .where(models.Snapshot.provider_id.is_not(None), *conditions)
        .group_by(models.Snapshot.provider_id)
        .having(sa.func.count() > 1)).all()
    found = []
    for provider_id in sorted(repeated):
        rows = session.execute(
            _pairs().where(models.Snapshot.provider_id == provider_id,
                           *conditions)
            .order_by(models.Snapshot.created_at, models.Snapshot.id))
        # The comparisons above take no notice of case, except on PostgreSQL.
        same: dict[str, list[str]] = {}
        for row in rows:
            if snapshots.is_on(row.Volume, queue):
                same.setdefault(row.Snapshot.provider_id, []).append(
                    row.Snapshot.id)
        found += [(exact, ids) for exact, ids in same.items()
                  if len(ids) > 1]
    return found


def types(session: orm.Session) -> dict[str, models.VolumeType]:
    """The live volume types, by name."""
    return {row.name: row for row in session.scalars(
        sa.select(models.VolumeType).where(query.live(models.VolumeType)))}


def usages(session: orm.Session,
           after: int) -> tuple[list[models.QuotaUsage], int | None]:
    """The usages of what this service counts.

    :param after: the id after which the page starts
    :returns: they, and where the next page starts; None: there is no more
    """
    found = session.scalars(
        sa.select(models.QuotaUsage).where(
            models.QuotaUsage.id > after, query.live(models.QuotaUsage))
        .order_by(models.QuotaUsage.id).limit(_PAGE)).all()
    return ([usage for usage in found
             if _kind(usage) in quota.KINDS],
            found[-1].id if len(found) == _PAGE else None)


def locked_usage(session: orm.Session,
                 usage_id: int) -> models.QuotaUsage | None:
    """A live usage; nobody changes it before the transaction ends."""
    return session.scalars(
        sa.select(models.QuotaUsage).where(
            models.QuotaUsage.id == usage_id, query.live(models.QuotaUsage))
        .with_for_update().execution_options(populate_existing=True)).first()


def locked_drift(session: orm.Session, conf: cfg.ConfigOpts, usage_id: int,
                 ) -> tuple[models.QuotaUsage, Drift] | None:
    """A usage and its :func:`drift`, which is exact.

    :returns: None: it is right, or is no more
    """
    usage = locked_usage(session, usage_id)
    found = usage and drift(session, conf, usage, types(session))
    return (usage, found) if usage and found else None


def drift(session: orm.Session, conf: cfg.ConfigOpts,
          usage: models.QuotaUsage,
          known_types: Mapping[str, models.VolumeType]) -> Drift | None:
    """In what a usage differs from the rows and the reservations.

    Cinder changes rows between a reservation and its commit. As long as one
    is under way, a usage that it would explain is right.

    It is exact where the usage is locked.

    :param known_types: of :func:`types`
    """
    type_name = (usage.resource or '').partition('_')[2]
    volume_type = known_types.get(type_name)
    in_use = 0 if type_name and volume_type is None else quota.count(
        session, conf, usage.project_id, volume_type, usage.resource)
    now = timeutils.utcnow()
    deltas = session.execute(
        sa.select(models.Reservation.delta, models.Reservation.expire).where(
            models.Reservation.usage_id == usage.id,
            query.live(models.Reservation))).all()
    waiting = [row.delta for row in deltas
               if row.expire is None or row.expire >= now]
    reserved = sum(max(0, row.delta) for row in deltas)
    least = in_use - sum(delta for delta in waiting if delta > 0)
    most = in_use - sum(delta for delta in waiting if delta < 0)
    if least <= usage.in_use <= most and usage.reserved == reserved:
        return None
    return Drift(in_use=in_use, reserved=reserved, under_way=len(waiting))


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


def _pairs() -> sa.sql.Select:
    return sa.select(models.Snapshot, models.Volume).join(
        models.Volume, models.Volume.id == models.Snapshot.volume_id).where(
            query.live(models.Snapshot))


def _as_it_was(session: orm.Session, snapshot: models.Snapshot,
               for_update: bool) -> models.Snapshot | None:
    statement = sa.select(models.Snapshot).where(
        models.Snapshot.id == snapshot.id,
        query.live(models.Snapshot)).execution_options(populate_existing=True)
    if for_update:
        statement = statement.with_for_update()
    now = session.scalars(statement).first()
    if now is None or any(getattr(now, column) != getattr(snapshot, column)
                          for column in _STATE):
        return None
    return now


def _kind(usage: models.QuotaUsage) -> str:
    return (usage.resource or '').partition('_')[0]
