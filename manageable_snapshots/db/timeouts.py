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

"""How long a database driver waits for a server that does not answer."""

import selectors
from typing import Any

import sqlalchemy as sa


def limit(engine: sa.engine.Engine, seconds: int) -> None:
    """Bound each wait of an engine's connections.

    A wait is for a connection, for a statement, or for a lock. What the
    connection's URL says takes precedence.

    :param engine: not connected yet
    :param seconds: at least 1
    """
    apply = {'sqlite': _limit_sqlite, 'mysql': _limit_mysql,
             'postgresql': _limit_postgresql}.get(engine.dialect.name)
    if apply:
        apply(engine, seconds)


def _limit_sqlite(engine: sa.engine.Engine, seconds: int) -> None:
    _set_default(engine, timeout=seconds)


def _limit_mysql(engine: sa.engine.Engine, seconds: int) -> None:
    _set_default(engine, connect_timeout=seconds, read_timeout=seconds,
                 write_timeout=seconds)
    # The server gives up before we do, so that the connection stays usable.
    lock_wait = max(1, seconds - 1)

    @sa.event.listens_for(engine, 'connect')
    def connect(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f'SET SESSION innodb_lock_wait_timeout = {lock_wait}')


def _limit_postgresql(engine: sa.engine.Engine, seconds: int) -> None:
    _set_default(engine, connect_timeout=seconds)
    if engine.dialect.driver == 'psycopg2':
        _limit_psycopg2(engine, seconds)


def _limit_psycopg2(engine: sa.engine.Engine, seconds: int) -> None:
    # libpq has no timeout for an answer, and TCP's does not end a wait for a
    # server that is merely stopped. psycopg2 lets one wait in its place, by a
    # function that is the process's: one that is there already stays.
    import psycopg2
    from psycopg2 import extensions

    class Connection(extensions.connection):
        wait_at_most: int | None = seconds

    _set_default(engine, connection_factory=Connection)

    def wait(connection: Any) -> None:
        with selectors.DefaultSelector() as selector:
            while True:
                state = connection.poll()
                if state == extensions.POLL_OK:
                    return
                selector.register(
                    connection,
                    selectors.EVENT_READ if state == extensions.POLL_READ
                    else selectors.EVENT_WRITE)
                if not selector.select(
                        getattr(connection, 'wait_at_most', None)):
                    raise psycopg2.OperationalError(
                        f'no answer within {seconds} seconds')
                selector.unregister(connection)

    if extensions.get_wait_callback() is None:
        extensions.set_wait_callback(wait)


def _set_default(engine: sa.engine.Engine, **arguments: Any) -> None:
    """Arguments of the driver's connect, where the URL has none."""
    @sa.event.listens_for(engine, 'do_connect')
    def connect(_dialect: Any, _record: Any, _args: Any,
                keywords: dict[str, Any]) -> None:
        for name, value in arguments.items():
            keywords.setdefault(name, value)
