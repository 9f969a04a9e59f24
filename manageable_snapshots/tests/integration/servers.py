# SPDX-License-Identifier: Apache-2.0

"""Real servers, which somebody else has started (``tools/test`` does).

Where one is, an environment variable says:
``MANAGEABLE_SNAPSHOTS_TEST_MARIADB_URL`` and ``..._POSTGRESQL_URL`` are
SQLAlchemy URLs whose user may create databases, ``..._RABBITMQ_URL`` is one of
oslo.messaging, ``..._ETCD_URL`` one of tooz. A test whose server has none is
skipped; with ``MANAGEABLE_SNAPSHOTS_TEST_STRICT`` set it fails.
"""

import contextlib
import os
import selectors
import socket
import threading
import unittest
import uuid

import fixtures
import sqlalchemy as sa

_PREFIX = 'MANAGEABLE_SNAPSHOTS_TEST_'


def url(server: str) -> str:
    """The URL of a server, by its name in lower case.

    :raises unittest.SkipTest: there is none
    """
    return setting(f'{server.upper()}_URL')


def setting(name: str) -> str:
    """What the environment says about a server, or about clients.

    :param name: of the variable, without what all of them begin with
    :raises unittest.SkipTest: it says nothing
    """
    variable = _PREFIX + name
    if variable in os.environ:
        return os.environ[variable]
    message = f'{variable} is not set; tools/test integration sets it.'
    if os.environ.get(f'{_PREFIX}STRICT'):
        raise AssertionError(message)
    raise unittest.SkipTest(message)


class NewDatabase(fixtures.Fixture):
    """A database without tables, on a server.

    :param server: ``mariadb`` or ``postgresql``
    :raises unittest.SkipTest: there is none
    :ivar url: its SQLAlchemy URL
    """

    _OPTIONS = {'mariadb': ('CHARACTER SET utf8mb3', ''),
                'postgresql': ("ENCODING 'UTF8' TEMPLATE template0",
                               'WITH (FORCE)')}

    def __init__(self, server: str) -> None:
        super().__init__()
        # Here, since a fixture that skips in its setUp fails.
        self._server = sa.engine.make_url(url(server))
        self._options = self._OPTIONS[server]

    def _setUp(self) -> None:
        create, drop = self._options
        name = f'test_{uuid.uuid4().hex}'
        # The server may have been restarted in between.
        engine = sa.create_engine(self._server, pool_pre_ping=True,
                                  isolation_level='AUTOCOMMIT')
        self.addCleanup(engine.dispose)

        def execute(statement: str) -> None:
            with engine.connect() as connection:
                connection.execute(sa.text(statement))

        execute(f'CREATE DATABASE {name} {create}')
        self.addCleanup(execute, f'DROP DATABASE {name} {drop}')
        self.url = self._server.set(database=name).render_as_string(
            hide_password=False)


class Proxy(fixtures.Fixture):
    """A way to a server that can be blocked.

    :param target: the server's URL
    :ivar url: the URL of the same through the proxy
    """

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = sa.engine.make_url(target)

    def _setUp(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self._losing = threading.Event()
        self._sockets: list[socket.socket] = []
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(self.cut)
        self.addCleanup(listener.close)
        # A close alone leaves a thread in accept().
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)
        self.addCleanup(self.thaw)
        self.url = self._target.set(
            host='127.0.0.1', port=listener.getsockname()[1],
        ).render_as_string(hide_password=False)
        threading.Thread(target=self._accept, args=(listener,),
                         daemon=True).start()

    def freeze(self) -> None:
        """Let nothing through, as if the server had been stopped."""
        self._open.clear()

    def thaw(self) -> None:
        self._open.set()

    def lose_answer(self) -> None:
        """End a connection instead of passing on the server's next answer.

        What was asked for has been done then.
        """
        self._losing.set()

    def cut(self) -> None:
        """End the connections that there are."""
        while self._sockets:
            with contextlib.suppress(OSError), self._sockets.pop() as end:
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = listener.accept()
                try:
                    server = socket.create_connection(
                        (self._target.host, self._target.port), timeout=10)
                except OSError:
                    # It is away, and may be back for the next one.
                    client.close()
                    continue
                self._sockets += [client, server]
                threading.Thread(target=self._carry, args=(client, server),
                                 daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), client, server, \
                selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _events in selector.select():
                    self._open.wait()
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    if key.fileobj is server and self._losing.is_set():
                        self._losing.clear()
                        return
                    key.data.sendall(data)
