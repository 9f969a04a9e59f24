# SPDX-License-Identifier: Apache-2.0

"""The project on its own: its commands, as processes of their own."""

import functools
from http import client as http_client
import os
import socket
import sys
from typing import Any
import uuid

import fixtures

from manageable_snapshots.tests.drivers import ceph
from manageable_snapshots.tests.integration.faults import deployment
from manageable_snapshots.tests.integration.faults import points
from manageable_snapshots.tests.integration import servers
from manageable_snapshots.tests.integration import test_standalone


class Process(test_standalone.Process):
    """A command that can be made to die at a point.

    :param points_in: the folder where points are armed
    """

    def __init__(self, folder: str, points_in: str, command: str,
                 *arguments: str) -> None:
        super().__init__(folder, command, *arguments)
        self._arguments = [sys.executable, '-W', 'ignore', '-m',
                           points.__name__, points_in, command, *arguments]

    @property
    def pid(self) -> int:
        return self._process.pid

    def runs(self) -> bool:
        return self._process.poll() is None

    def wait(self, seconds: float = deployment.PATIENCE) -> int:
        """Its exit status, once it has ended.

        :raises subprocess.TimeoutExpired: it has not
        """
        return self._process.wait(seconds)


class Deployment(deployment.Deployment):
    """A backend of its own, in a database of its own.

    :param transport_url: the broker's
    :param workers: how many
    :param backend_url: of the coordination
    :param connection: the database's URL for the processes, if another one
    :param threads: of a worker, for the messages of each of its topics
    """

    def __init__(self, database_url: str, transport_url: str,
                 workers: int = 1, backend_url: str | None = None,
                 connection: str | None = None, threads: int = 64) -> None:
        super().__init__()
        self._threads = threads
        self._connection = connection or database_url
        self.pool = ceph.Pool()
        self.database_url = database_url
        self._transport_url = transport_url
        self._workers = workers
        self._backend_url = backend_url

    def _setUp(self) -> None:
        self.useFixture(self.pool)
        self._folder = self.useFixture(fixtures.TempDir()).path
        self.armed = self.useFixture(fixtures.TempDir()).path
        with socket.create_server(('127.0.0.1', 0)) as listener:
            port = listener.getsockname()[1]
        self.url = f'http://127.0.0.1:{port}/v3/{test_standalone.PROJECT}'
        # The queues stay on the broker, so no two tests may share a name.
        node = f'node-{uuid.uuid4().hex[:8]}'
        self.host = f'{node}@images'
        self._file = os.path.join(self._folder, 'project.conf')
        with open(self._file, 'w') as file:
            file.write(f"""
[DEFAULT]
host = {node}
state_path = {self._folder}
transport_url = {self._transport_url}
auth_strategy = noauth
enabled_backends = images
osapi_volume_listen = 127.0.0.1
osapi_volume_listen_port = {port}
osapi_volume_threads = 32
executor_thread_pool_size = {self._threads}
quota_snapshots = -1
quota_gigabytes = -1
report_interval = 2
{deployment.OPTIONS}
[coordination]
backend_url = {self._backend_url or f'file://{self._folder}'}
[database]
connection = {self._connection}
[images]
volume_driver = rbd
rbd_ceph_conf = {self.pool.conf}
rbd_pool = {self.pool.name}
rbd_op_timeout = {deployment.OP_TIMEOUT}
[oslo_messaging_notifications]
driver = noop
""")
        sync = self.useFixture(test_standalone.Process(
            self._folder, 'manageable-snapshots-manage', '--config-file',
            self._file, 'db', 'sync'))
        if sync._process.wait(deployment.PATIENCE):
            raise AssertionError(sync.log)
        self.workers = [self._run('volume') for _ in range(self._workers)]
        self.api = self._run('api')
        self.api.logged('Listening on ')
        for worker in self.workers:
            worker.logged('is ready')

    def _run(self, kind: str) -> Process:
        return self.useFixture(Process(
            self._folder, self.armed, f'manageable-snapshots-{kind}',
            '--config-file', self._file))

    def restart(self, process: Process) -> None:
        sign = 'Listening on ' if process is self.api else 'is ready'
        self.begin(process).logged(sign)

    def begin(self, process: Process) -> Process:
        if process is self.api:
            self.api = self._run('api')
            return self.api
        number = self.workers.index(process)
        self.workers[number] = self._run('volume')
        return self.workers[number]

    def ask(self, method: str, path: str,
            body: Any = None) -> tuple[int | None, Any]:
        try:
            return test_standalone.ask(f'{self.url}/{path}', body, method)
        except (OSError, ValueError, http_client.HTTPException):
            return None, None


class TestCase(deployment.TestCase):
    """A deployment for each test, in a database of its own.

    :cvar WORKERS: that serve the backend
    """

    WORKERS = 1

    @functools.cached_property
    def database_url(self) -> str:
        return self.useFixture(servers.NewDatabase('mariadb')).url

    def deploy(self) -> Deployment:
        return Deployment(self.database_url, servers.url('rabbitmq'),
                          self.WORKERS)
