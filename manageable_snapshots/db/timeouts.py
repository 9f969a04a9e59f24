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
    # libpq has no timeout for an answer, and TCP's do not end a wait for a
    # server that is merely stopped. But psycopg2 lets somebody else wait in
    # its place. That function is the process's, so one that is there already
    # stays, and connections that are not ours wait as long as ever.
    psycopg2: Any = engine.dialect.dbapi

    class Connection(psycopg2.extensions.connection):
        longest_wait = seconds

    _set_defaults(engine, connection_factory=Connection)
    if psycopg2.extensions.get_wait_callback() is None:
        psycopg2.extensions.set_wait_callback(_waiter(psycopg2))


def _waiter(psycopg2: Any) -> Callable[[Any], None]:
    """What waits for a connection of psycopg2's until that is ready."""
    def wait(connection: Any) -> None:
        longest = getattr(connection, 'longest_wait', None)
        with selectors.DefaultSelector() as selector:
            while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
                key = selector.register(
                    connection.fileno(),
                    selectors.EVENT_READ
                    if state == psycopg2.extensions.POLL_READ
                    else selectors.EVENT_WRITE)
                if not selector.select(longest):
                    raise psycopg2.OperationalError(
                        f'the server did not answer within {longest} seconds')
                selector.unregister(key.fileobj)
    return wait
