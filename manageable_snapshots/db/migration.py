# SPDX-License-Identifier: Apache-2.0

"""The schema's versions, for a database of our own (Alembic).

A database that Cinder made is Cinder's to migrate and is left alone.
"""

import os

from alembic import command
from alembic import config as alembic_config
from alembic import migration as alembic_migration
from alembic import script
import alembic.util
from oslo_config import cfg
import sqlalchemy as sa

from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots import exception
from manageable_snapshots.i18n import _

#: where the version is; Cinder's is elsewhere, so the two are told apart
VERSION_TABLE = 'manageable_snapshots_alembic_version'
CINDERS_VERSION_TABLE = 'alembic_version'

# Seconds that a statement may take: changing a big table needs longer than a
# request would wait.
_TIMEOUT = 3600


def sync(conf: cfg.ConfigOpts) -> None:
    """Bring the database to the newest version; create missing tables.

    :raises ConfigurationError: the database is Cinder's, or somebody else's,
        or a later release's
    :raises ServiceUnavailable: the database does not answer
    """
    # Waits for a database that is away are long below.
    if version(conf) == head():
        return
    database = engine.Database(conf, timeout=_TIMEOUT)
    try:
        with database.writer(context.get_admin_context()) as session:
            connection = session.connection()
            _check_is_ours(connection)
            config = _config()
            config.attributes['connection'] = connection
            command.upgrade(config, 'head')
    except alembic.util.CommandError as error:
        raise _refusal(str(error)) from error
    finally:
        database.dispose()


def version(conf: cfg.ConfigOpts,
            table: str = VERSION_TABLE) -> str | None:
    """The version that the database has; None: none of ours.

    :param table: Cinder's, for the version that Cinder has brought it to
    :raises ServiceUnavailable: the database does not answer
    """
    database = engine.Database(conf)
    try:
        with database.reader(context.get_admin_context()) as session:
            return alembic_migration.MigrationContext.configure(
                session.connection(),
                opts={'version_table': table}).get_current_revision()
    finally:
        database.dispose()


def head() -> str | None:
    """The newest version."""
    return script.ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> alembic_config.Config:
    config = alembic_config.Config()
    path = os.path.join(os.path.dirname(__file__), 'migrations')
    config.set_main_option('script_location', path.replace('%', '%%'))
    return config


def _check_is_ours(connection: sa.engine.Connection) -> None:
    tables = set(sa.inspect(connection).get_table_names())
    foreign = tables - set(models.Base.metadata.tables) - {VERSION_TABLE}
    if foreign:
        raise _refusal(
            _('The database has tables that are not ours (%s): if it is '
              'Cinder\'s, cinder-manage db sync looks after it.')
            % ', '.join(sorted(foreign)[:5]))


def _refusal(reason: str) -> exception.ConfigurationError:
    return exception.ConfigurationError(
        option='connection', group='database', reason=reason)
