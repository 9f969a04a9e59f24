# SPDX-License-Identifier: Apache-2.0

"""The project in a Cinder: its API's filter, and its volume manager.

Of a process that dies another one takes the place at once, which the process
that started it sees to.
"""

import contextlib
import logging
import os
import shutil
import signal
from typing import Any

import fixtures
from keystoneauth1 import exceptions

from manageable_snapshots.tests.drivers import ceph
from manageable_snapshots.tests.integration import cinder
from manageable_snapshots.tests.integration.faults import deployment
from manageable_snapshots.tests.integration.faults import points
from manageable_snapshots.tests.integration.faults import rig


class Service:
    """One of Cinder's, whose work processes of its own do.

    :param stack: the Cinder
    :param name: ``api`` or ``volume``
    :ivar pids: the ids of those processes
    """

    def __init__(self, stack: cinder.Stack, name: str) -> None:
        self._stack = stack
        self._name = name
        with open(os.path.join(stack.folder, name, 'pid')) as file:
            self._pid = int(file.read())
        self.pids = rig.children(self._pid)
        self._number = len(self.pids)

    @property
    def log(self) -> str:
        return self._stack.log(self._name)

    def runs(self) -> bool:
        """Whether its processes are those that it began with."""
        return rig.children(self._pid) == self.pids

    def kill(self) -> None:
        """Kill one of them."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(min(self.pids), signal.SIGKILL)
        self.wait()

    def wait(self) -> None:
        """Until one of them has ended."""
        deployment.wait_for(
            lambda: self.pids - rig.children(self._pid))

    def replace(self) -> None:
        """Wait until there are as many as there were."""
        def are_there() -> bool:
            self.pids = rig.children(self._pid)
            return len(self.pids) == self._number

        deployment.wait_for(are_there)


class Deployment(deployment.Deployment):
    """The backend of the Cinder that there is, emptied.

    :param transport_url: the broker's for its services, if another one
    :param connection: the database's likewise
    """

    def __init__(self, transport_url: str | None = None,
                 connection: str | None = None) -> None:
        super().__init__()
        self._stack = cinder.stack()
        self.database_url = self._stack.database_url
        self._transport_url = transport_url or self._stack.transport_url
        self._connection = connection or self.database_url
        self.host = cinder.HOST
        self._file = self._stack.configuration

    def _setUp(self) -> None:
        # Clients tell each request in detail: more than results can have
        # attached, after some minutes.
        self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.armed = os.path.join(self._stack.folder, 'armed')
        shutil.rmtree(self.armed, ignore_errors=True)
        os.mkdir(self.armed)
        self.useFixture(fixtures.EnvironmentVariable(
            points.FOLDER, self.armed))
        self._stack.load(
            'filter', 'manager',
            CINDER_FILTER=f'{__package__}.api_in_cinder:filter_factory',
            CINDER_MANAGER=f'{__package__}.volume_in_cinder.VolumeManager',
            conf=f"""
[DEFAULT]
transport_url = {self._transport_url}
{deployment.OPTIONS}
[database]
connection = {self._connection}
[ceph]
rbd_op_timeout = {deployment.OP_TIMEOUT}
""")
        self._stack.clear()
        self.pool = self.useFixture(ceph.ExistingPool(
            cinder.POOL, self._stack.ceph))
        self.api = Service(self._stack, 'api')
        self.workers = [Service(self._stack, 'volume')]

    def restart(self, process: Service) -> None:
        process.replace()

    def begin(self, process: Service) -> Service:
        return process

    def ask(self, method: str, path: str,
            body: Any = None) -> tuple[int | None, Any]:
        try:
            return self._stack.ask(method, path, body)
        except (exceptions.ClientException, ValueError):
            return None, None


class TestCase(deployment.TestCase):

    def deploy(self) -> Deployment:
        return Deployment()
