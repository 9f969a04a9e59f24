# SPDX-License-Identifier: Apache-2.0

"""How long a database driver waits for a server that does not answer."""

from collections.abc import Callable
import selectors
from typing import Any

import sqlalchemy as sa


def limit(engine: sa.engine.Engine, seconds: int) -> None:
    """Bound each wait of an engine's connections.

    A wait is one for a connection, for an answer, or for a lock. What the
    engine's URL says takes precedence.

    :param engine: not connected yet
    :param seconds: at least 1
    """
    if engine.dialect.name == 'sqlite':
        _set_defaults(engine, timeout=seconds)
    elif engine.dialect.name == 'mysql':
        _set_defaults(engine, connect_timeout=seconds, read_timeout=seconds,
                      write_timeout=seconds)
        _limit_mysql_locks(engine, seconds)
    elif engine.dialect.driver == 'psycopg2':
        _set_defaults(engine, connect_timeout=seconds)
        _limit_psycopg2(engine, seconds)


def _set_defaults(engine: sa.engine.Engine, **defaults: Any) -> None:
    """Let the driver's connect have arguments that the URL does not have."""
    @sa.event.listens_for(engine, 'do_connect')
    def connect(_dialect: Any, _record: Any, _args: Any,
                arguments: dict[str, Any]) -> None:
        for name, value in defaults.items():
            arguments.setdefault(name, value)


def _limit_mysql_locks(engine: sa.engine.Engine, seconds: int) -> None:
    # The server gives up before we do, so that the connection stays usable.
    seconds = max(1, seconds - 1)

    @sa.event.listens_for(engine, 'connect')
    def connect(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f'SET SESSION innodb_lock_wait_timeout = {seconds}')


def _limit_psycopg2(engine: sa.engine.Engine, seconds: int) -> None:
    psycopg2: Any = engine.dialect.dbapi

    class Connection(psycopg2.extensions.connection):
        longest_wait = seconds

    _set_defaults(engine, connection_factory=Connection)
    waits = psycopg2.extensions.get_wait_callback()
    if not isinstance(waits, _Waiter):
        psycopg2.extensions.set_wait_callback(_Waiter(psycopg2, waits))


class _Waiter:
    """What waits for a connection of psycopg2's until that is ready.

    libpq has no timeout for an answer, and TCP's do not end a wait for a
    server that is merely stopped. But psycopg2 lets somebody else wait in
    its place, one for the whole process. So connections that are not ours
    wait as they did.

    :param others: what has waited up to now, eventlet's say
    """

    def __init__(self, psycopg2: Any,
                 others: Callable[[Any], None] | None = None) -> None:
        self._psycopg2 = psycopg2
        self._others = others

    def __call__(self, connection: Any) -> None:
        longest = getattr(connection, 'longest_wait', None)
        if longest is None and self._others is not None:
            self._others(connection)
            return
        extensions = self._psycopg2.extensions
        # Where eventlet patches, this is one that lets others work meanwhile.
        with selectors.DefaultSelector() as selector:
            while (state := connection.poll()) != extensions.POLL_OK:
                key = selector.register(
                    connection.fileno(),
                    selectors.EVENT_READ if state == extensions.POLL_READ
                    else selectors.EVENT_WRITE)
                if not selector.select(longest):
                    raise self._psycopg2.OperationalError(
                        f'the server did not answer within {longest} seconds')
                selector.unregister(key.fileobj)
