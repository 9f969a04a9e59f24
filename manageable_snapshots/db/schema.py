# SPDX-License-Identifier: Apache-2.0

"""Whether a database has what the models name.

In Cinder the tables are Cinder's, and may be those of a release that nobody
has tried this with. A column that the models do not name is left alone, as
long as a row can be inserted without it.
"""

from collections.abc import Iterable
from typing import Any

from oslo_log import log
import sqlalchemy as sa

from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import migration
from manageable_snapshots.db import models
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import releases

LOG = log.getLogger(__name__)

#: tables into which an adoption inserts
ADOPTING = ('snapshots', 'snapshot_metadata', 'quota_usages')

#: tables into which a worker of our own inserts
WORKING = (*ADOPTING, 'services')

_SHOWN = 5


def check(database: engine.Database, *, inserts: Iterable[str] = ADOPTING,
          in_cinder: bool = False) -> None:
    """See whether this version of the package can work with a database.

    :param inserts: names of the tables into which it inserts
    :param in_cinder: the database is Cinder's, whatever is in it
    :raises ConfigurationError: it cannot; names a table or column
    :raises ServiceUnavailable: the database does not answer
    """
    with database.reader(context.get_admin_context()) as session:
        inspector = sa.inspect(session.connection())
        tables = set(inspector.get_table_names())
        columns = {name: {column['name']: column
                          for column in inspector.get_columns(name)}
                   for name in models.Base.metadata.tables if name in tables}
    lacking = _lacking(columns)
    if lacking and (
            in_cinder or migration.CINDERS_VERSION_TABLE in tables):
        raise _refusal(_('the database lacks %(what)s, which Cinder\'s have '
                         'in releases %(first)d to %(last)d after '
                         '"cinder-manage db sync".') % {
                             'what': _some(lacking),
                             'first': releases.KNOWN[0].number,
                             'last': releases.KNOWN[-1].number})
    if lacking:
        raise _refusal(_('the database lacks %s: run '
                         '"manageable-snapshots-manage db sync".')
                       % _some(lacking))
    needed = _needed(columns, inserts)
    if needed:
        raise _refusal(_('the database has %s, which every new row must '
                         'have a value for, and this version of the package '
                         'knows none.') % _some(needed))


def check_if_there(database: engine.Database, *,
                   inserts: Iterable[str] = ADOPTING) -> None:
    """As :func:`check`, for a process that can start before its database.

    :raises ConfigurationError: the database is reachable but unusable
    """
    try:
        check(database, inserts=inserts)
    except exception.ServiceUnavailable as error:
        LOG.warning(
            'Database unreachable; skipping the schema check: %s', error)


def _lacking(columns: dict[str, dict[str, Any]]) -> list[str]:
    lacking = []
    for name, table in models.Base.metadata.tables.items():
        if name not in columns:
            lacking.append(name)
            continue
        lacking += [f'{name}.{column.name}' for column in table.columns
                    if column.name not in columns[name]]
    return lacking


def _needed(columns: dict[str, dict[str, Any]],
            inserts: Iterable[str]) -> list[str]:
    return [
        f'{name}.{column}' for name in inserts
        for column, details in columns[name].items()
        if column not in models.Base.metadata.tables[name].columns
        and not details['nullable'] and details.get('default') is None
        # Without a setting, SQLAlchemy 1.4 gives 'auto'.
        and details.get('autoincrement') is not True
        and not details.get('computed') and not details.get('identity')]


def _some(names: list[str]) -> str:
    return ', '.join(names[:_SHOWN]) + (
        ', ...' if len(names) > _SHOWN else '')


def _refusal(reason: str) -> exception.ConfigurationError:
    return exception.ConfigurationError(
        option='connection', group='database', reason=reason)
