# SPDX-License-Identifier: Apache-2.0

"""Mend what is safe to mend.

Each holds what it changes, and has looked once more whether it is still as it
was. None deletes anything, or changes a byte of a snapshot. Each says what it
did; nothing, where somebody else was first.
"""

from typing import Any

from oslo_config import cfg
from oslo_utils import timeutils

from manageable_snapshots.audit import backends
from manageable_snapshots import context as request_context
from manageable_snapshots.db import audit as db_audit
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import quota
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volume_types
from manageable_snapshots.volume import rows
from manageable_snapshots.volume import updates as updates_of_driver


class _Changed(Exception):
    """A row is not as it was."""


def finish(conf: cfg.ConfigOpts, database: engine.Database,
           backend: backends.Backend, row: models.Snapshot, view: rows.Row,
           size: int) -> str | None:
    """Let a row say that its adoption is done.

    :param view: the row for the driver
    :param size: the snapshot's own, in GiB
    :raises Away: the backend does not answer
    :raises QuotaError: the snapshot is larger than the project has room for
    :raises ServiceUnavailable: the database does not answer
    """
    if backend.driver is None or not backend.ask(
            backend.driver.is_adopted, view):
        return None
    updates = updates_of_driver.usable(
        backend.driver.NAME, row.id,
        backend.ask(backend.driver.lost_updates, view))
    try:
        _finish(conf, database, row, size, updates)
    except _Changed:
        return None
    return f'Snapshot {row.id} is available, with {size} GiB.'


@engine.retry
def _finish(conf: cfg.ConfigOpts, database: engine.Database,
            row: models.Snapshot, size: int,
            columns: dict[str, Any]) -> None:
    context = request_context.get_admin_context()
    with database.writer(context) as session:
        # Before the row, in the order of an adoption: no deadlock.
        quota.charge(
            session, conf, context, project_id=row.project_id,
            volume_type=volume_types.get(session, row.volume_type_id),
            gigabytes=(quota.snapshot_gigabytes(conf, size)
                       - quota.snapshot_gigabytes(conf, row.volume_size)),
            size=size)
        if db_audit.locked(session, row) is None:
            raise _Changed()
        snapshots.make_available(session, row.id, volume_size=size,
                                 **columns)


@engine.retry
def fail(database: engine.Database, row: models.Snapshot,
         reason: str) -> str | None:
    """Let a row say that nobody will adopt anything for it.

    :param reason: a sentence, for the snapshot's owner
    :raises ServiceUnavailable: the database does not answer
    """
    with database.writer(request_context.get_admin_context()) as session:
        if db_audit.locked(session, row) is None:
            return None
        snapshots.make_error(session, row.id, reason)
    return f'Snapshot {row.id} is in error, and says why.'


@engine.retry
def recount(conf: cfg.ConfigOpts, database: engine.Database,
            usage_id: int) -> str | None:
    """Make a usage what the rows and the reservations say.

    :raises ServiceUnavailable: the database does not answer
    """
    with database.writer(request_context.get_admin_context()) as session:
        found = db_audit.locked_drift(session, conf, usage_id)
        if found is None:
            return None
        usage, drift = found
        if drift.under_way:
            return None
        usage.in_use, usage.reserved = drift.in_use, drift.reserved
        return (f'{usage.resource} of project {usage.project_id}: '
                f'{drift.in_use} in use, {drift.reserved} reserved.')


@engine.retry
def expire(database: engine.Database) -> str | None:
    """Give back what was reserved and not committed in time.

    :raises ServiceUnavailable: the database does not answer
    """
    with database.writer(request_context.get_admin_context()) as session:
        number = quota.expire_reservations(session, timeutils.utcnow())
    return f'Reservations given back: {number}.' if number else None
