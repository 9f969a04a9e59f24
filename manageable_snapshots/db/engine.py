# SPDX-License-Identifier: Apache-2.0

"""Transactions: one :class:`Database` a process, readers and writers of it.

Every error of a database is turned into one of ours here, and only here.
"""

from collections.abc import Iterator
import contextlib
from typing import Any

from oslo_config import cfg
from oslo_db import api as db_api
from oslo_db import exception as db_exc
from oslo_db import options
from oslo_db.sqlalchemy import enginefacade
from oslo_log import log
import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy import orm

from manageable_snapshots.conf import database as database_conf
from manageable_snapshots import context as request_context
from manageable_snapshots.db import timeouts
from manageable_snapshots import exception
from manageable_snapshots.i18n import _

LOG = log.getLogger(__name__)

# Options of [database] that an engine is made from. They are handed over one
# by one since oslo.db would read them from the global cfg.CONF, which inside
# Cinder is Cinder's.
_ENGINE_OPTIONS = (
    'connection', 'connection_debug', 'connection_parameters',
    'connection_recycle_time', 'connection_trace', 'max_overflow',
    'max_pool_size', 'mysql_sql_mode', 'mysql_wsrep_sync_wait',
    'sqlite_synchronous')

# MariaDB: "Lock wait timeout exceeded", which oslo.db calls a deadlock.
_LOCK_WAIT_TIMEOUT = 1205


class Conflict(exception.ServiceUnavailable):
    """Another transaction was first; the same one again can succeed."""


class CommitLost(exception.ServiceUnavailable):
    """The connection broke at the commit; the rows may be there or not."""


class Database:
    """A database, as ``[database]`` of a configuration names it.

    Nothing is connected to before the first transaction.

    :param conf: the configuration; the options are registered on it if need
        be
    :param timeout: seconds in which a transaction must have got on; None:
        ``[manageable_snapshots] db_timeout``
    :raises ConfigurationError: ``[database] connection`` cannot be used
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 timeout: int | None = None) -> None:
        conf.register_opts(options.database_opts, group='database')
        conf.register_opts(database_conf.OWN_OPTIONS,
                           group='manageable_snapshots')
        timeout = timeout or conf.manageable_snapshots.db_timeout
        # A connection from the pool that is found dead is replaced once, so
        # there are two waits at most: the ping of the old one, and the new.
        wait = max(1, timeout // 2)
        self._facade = enginefacade.transaction_context()
        self._facade.configure(
            slave_connection=None, sqlite_fk=True, max_retries=0,
            # SQLite has no pool to wait for.
            pool_timeout=(None if conf.database.connection
                          and conf.database.connection.startswith('sqlite')
                          else wait),
            **{name: conf.database[name] for name in _ENGINE_OPTIONS})
        self._facade.append_on_engine_create(
            lambda engine: timeouts.limit(engine, wait))
        self._facade.append_on_engine_create(_set_up)
        try:
            self._engine = self._facade.writer.get_engine()
        except (sa_exc.NoSuchModuleError, ImportError) as error:
            raise _misconfigured(
                _('there is no driver: %s') % error) from error
        except (sa_exc.ArgumentError, db_exc.CantStartEngineError,
                ValueError):
            # The error would tell the URL, which may have a password.
            raise _misconfigured(
                _('it is not the URL of a database.')) from None

    @property
    def engine(self) -> sa.engine.Engine:
        """SQLAlchemy's engine, whose errors are not turned into ours."""
        return self._engine

    @contextlib.contextmanager
    def reader(self, context: request_context.RequestContext,
               ) -> Iterator[orm.Session]:
        """A transaction that changes nothing.

        Rows stay readable after it. Inside another transaction of the same
        context and thread it is a part of that one.

        :raises ServiceUnavailable: the database does not answer in time
        """
        with _errors(), self._facade.reader.using(context) as session:
            yield session

    @contextlib.contextmanager
    def writer(self, context: request_context.RequestContext,
               ) -> Iterator[orm.Session]:
        """A transaction, committed at the end of the block.

        What it reads ``for update`` nobody else changes before it ends; on
        SQLite that is everything. An error in the block undoes all.

        :raises CommitLost: the database did not answer the commit
        :raises ServiceUnavailable: the database does not answer in time, or
            another transaction was first (see :func:`retry`)
        :raises InvalidInput: the database cannot hold a value
        """
        is_done = False
        try:
            with _errors(), self._facade.writer.using(context) as session:
                if not session.info.get('write'):
                    session.info['write'] = True
                    session.connection(execution_options={'write': True})
                yield session
                is_done = True
        except Conflict:
            raise
        except exception.ServiceUnavailable as error:
            if is_done:
                raise CommitLost(error.msg) from error
            raise

    def dispose(self) -> None:
        """Close the connections that are not in use."""
        self._engine.dispose()


retry = db_api.wrap_db_retry(
    retry_interval=0.02, max_retries=8, max_retry_interval=1, jitter=True,
    exception_checker=lambda error: isinstance(error, Conflict))
"""Decorator: call the function again when its transaction met a conflict.

The function must hold the whole transaction, the ``with`` included.
"""


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Turn what a database raises in the block into errors of ours."""
    try:
        yield
    except (db_exc.DBDeadlock, db_exc.DBDuplicateEntry) as error:
        if _code(error) == _LOCK_WAIT_TIMEOUT:
            raise _unavailable(error) from error
        raise Conflict(_('Conflict with a concurrent request; '
                         'retry.')) from error
    except (db_exc.DBConnectionError, db_exc.DBNonExistentDatabase,
            sa_exc.OperationalError, sa_exc.TimeoutError) as error:
        raise _unavailable(error) from error
    except (db_exc.DBDataError, db_exc.DBInvalidUnicodeParameter) as error:
        raise _unfit() from error
    except db_exc.DBError as error:
        # oslo.db has no name for PostgreSQL's data errors, nor for what a
        # driver refuses to send: a NUL, or a number of too many bits.
        if isinstance(error.inner_exception,
                      (sa_exc.DataError, ValueError, OverflowError)):
            raise _unfit() from error
        raise


def _misconfigured(reason: str) -> exception.ConfigurationError:
    return exception.ConfigurationError(
        option='connection', group='database', reason=reason)


def _unavailable(error: Exception) -> exception.ServiceUnavailable:
    # The driver's own words: SQLAlchemy adds the statement and its values.
    inner = getattr(error, 'inner_exception', error)
    LOG.error('The database is unavailable: %s',
              getattr(inner, 'orig', None) or inner)
    return exception.ServiceUnavailable(
        _('The database is unavailable at this time.'))


def _unfit() -> exception.InvalidInput:
    return exception.InvalidInput(reason=_(
        'a value is too long or too big, or has a character that the '
        'database cannot hold.'))


def _code(error: db_exc.DBError) -> Any:
    """The number that MariaDB gives to an error."""
    original = getattr(error.inner_exception, 'orig', None)
    return original.args[0] if original and original.args else None


def _set_up(engine: sa.engine.Engine) -> None:
    """Make transactions of all databases alike: they see what is committed."""
    if engine.dialect.name == 'sqlite':
        sa.event.listen(engine, 'connect', _set_up_sqlite)
        sa.event.listen(engine, 'begin', _begin_sqlite)
    elif engine.dialect.name == 'mysql':
        sa.event.listen(engine, 'connect', _set_up_mysql)


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.execute('PRAGMA journal_mode = WAL')


def _begin_sqlite(connection: sa.engine.Connection) -> None:
    # A transaction that began by reading cannot write once another has
    # written meanwhile; one that is going to write takes the lock at once.
    # oslo.db has begun already, by a plain BEGIN.
    if connection.get_execution_options().get('write'):
        connection.exec_driver_sql('ROLLBACK')
        connection.exec_driver_sql('BEGIN IMMEDIATE')


def _set_up_mysql(connection: Any, _record: Any) -> None:
    # As PostgreSQL by default: a count after a lock must see what was
    # committed before the lock was given, and inserts do not lock gaps.
    with connection.cursor() as cursor:
        cursor.execute(
            'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')
        # oslo.db has 'utf8', in which no character of four bytes is sent.
        cursor.execute('SET NAMES utf8mb4')
