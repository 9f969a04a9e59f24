# SPDX-License-Identifier: Apache-2.0

"""Which rows manage what a backend holds, by its names there."""

from collections.abc import Sequence

from oslo_config import cfg
from sqlalchemy import orm

from manageable_snapshots import context as request_context
from manageable_snapshots.db import engine
from manageable_snapshots.db import snapshots
from manageable_snapshots.drivers import base
from manageable_snapshots import names


def find(conf: cfg.ConfigOpts, database: engine.Database,
         context: request_context.RequestContext,
         driver: base.SnapshotDriver, queue: str,
         entries: Sequence[base.BackendSnapshot]) -> list[str | None]:
    """The id of the live row that manages each entry, None where none does.

    It takes one look at the database, whatever the number of entries.

    :param queue: the backend's name, ``host@backend``, or its cluster's
    :raises ServiceUnavailable: the database does not answer in time
    """
    candidates = [entry.cinder_id or candidate(conf, driver, entry.reference)
                  for entry in entries]
    with database.reader(context) as session:
        return confirm(session, conf, driver, queue, entries, candidates)


def candidate(conf: cfg.ConfigOpts, driver: base.SnapshotDriver,
              ref: base.Reference) -> str | None:
    """The id of the row that a reference belongs to, if there is such a row.

    It takes no look at the database, but the driver may take one at the
    backend.
    """
    name = driver.managed_name(ref)
    return name and names.snapshot_id(conf, name)


def confirm(session: orm.Session, conf: cfg.ConfigOpts,
            driver: base.SnapshotDriver, queue: str,
            entries: Sequence[base.BackendSnapshot],
            candidates: Sequence[str | None]) -> list[str | None]:
    """Return the existing candidates, each for its entry."""
    managed = snapshots.managed_ids(
        session, [owner for owner in candidates if owner], queue)
    return [
        owner if owner in managed and (
            # What the driver itself says counts.
            entry.cinder_id
            or _may_be_of(conf, driver, entry, managed[owner])) else None
        for entry, owner in zip(entries, candidates)]


def _may_be_of(conf: cfg.ConfigOpts, driver: base.SnapshotDriver,
               entry: base.BackendSnapshot, name_id: str) -> bool:
    """Whether an entry may be a snapshot of a row's volume.

    Another volume can have one of the same name: a copy of an image, say,
    comes with copies of its snapshots.
    """
    volume = entry.source_reference.get('source-name')
    return (not driver.knows_volumes or volume is None
            or volume == names.volume_name(conf, name_id))
