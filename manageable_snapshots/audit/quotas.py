# SPDX-License-Identifier: Apache-2.0

"""Whether quota is what rows and reservations say."""

from collections.abc import Callable
from collections.abc import Iterator
import functools

from oslo_config import cfg

from manageable_snapshots.audit import findings
from manageable_snapshots.audit import repair
from manageable_snapshots import context
from manageable_snapshots.db import audit as db_audit
from manageable_snapshots.db import engine
from manageable_snapshots.db import models


def check(conf: cfg.ConfigOpts, database: engine.Database,
          repair_command: str,
          progress: Callable[[str], None]) -> Iterator[findings.Finding]:
    """All projects' usages and reservations.

    The projects of 500 usages are counted in five statements. A usage that
    seems wrong is then locked and counted again, one at a time.

    :param repair_command: what mends all that is safe to mend
    :param progress: is told what goes on
    :raises ServiceUnavailable: the database does not answer
    """
    yield from _reservations(database, repair_command)
    number = 0
    after: tuple[str, int] | None = ('', 0)
    while after is not None:
        with database.reader(context.get_admin_context()) as session:
            usages, after = db_audit.usages(session, after)
            doubtful = [usage.id for usage in db_audit.doubtful(
                session, conf, usages)]
        number += len(usages)
        progress(f'quota: {number} usages')
        for usage_id in doubtful:
            yield from _usage(conf, database, usage_id, repair_command)


def _reservations(database: engine.Database,
                  repair_command: str) -> Iterator[findings.Finding]:
    with database.reader(context.get_admin_context()) as session:
        expired = db_audit.expired(session)
    for found in expired:
        yield findings.Breach(
            'reservation',
            f'Reservations of project {found.project_id} that are past '
            f'their expiry: {found.number}, the oldest since {found.oldest} '
            'UTC.',
            repair_command, project_id=found.project_id,
            mend=functools.partial(repair.expire, database))


def _usage(conf: cfg.ConfigOpts, database: engine.Database, usage_id: int,
           repair_command: str) -> Iterator[findings.Finding]:
    found = _confirmed(conf, database, usage_id)
    if found is None:
        return
    usage, drift = found
    yield findings.Breach(
        'usage',
        f'{usage.resource} of project {usage.project_id}: {usage.in_use} in '
        f'use and {usage.reserved} reserved, but the rows have '
        f'{drift.in_use} and the reservations {drift.reserved}.' + (
            f' Reservations under way: {drift.under_way}. It can be mended '
            'when they have ended.' if drift.under_way else ''),
        repair_command, project_id=usage.project_id,
        mend=None if drift.under_way else functools.partial(
            repair.recount, conf, database, usage_id))


@engine.retry
def _confirmed(conf: cfg.ConfigOpts, database: engine.Database,
               usage_id: int
               ) -> tuple[models.QuotaUsage, db_audit.Drift] | None:
    """A usage and its drift, as nobody changes them at the moment."""
    # It writes nothing; only a writer's locks hold.
    with database.writer(context.get_admin_context()) as session:
        return db_audit.locked_drift(session, conf, usage_id)
