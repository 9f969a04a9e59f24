# SPDX-License-Identifier: Apache-2.0

"""A deployment on its own: API processes and workers, over real servers."""

import collections
from concurrent import futures
import itertools
import json
import os
import signal
import subprocess
import sysconfig
import time
from typing import Any
import urllib.error
import urllib.request
import uuid

import fixtures
from oslo_utils import units
from oslotest import base
import sqlalchemy as sa

from manageable_snapshots.tests.integration import servers

APIS = 2
WORKERS = 3
VOLUMES = 4
SNAPSHOTS = 200
#: of them, these are asked for twice, at the same time
CONTESTED = 40

#: seconds for any one thing to happen
PATIENCE = 120

PROJECT = 'c0ffee'


def ask(url: str, body: Any = None, method: str | None = None,
        timeout: float = PATIENCE) -> tuple[int, Any]:
    """The status of an answer, and its body.

    :param method: None: POST with a body, GET without one
    """
    request = urllib.request.Request(
        url, method=method, data=body and json.dumps(body).encode(), headers={
            'X-Auth-Token': f'tester:{PROJECT}',
            'Content-Type': 'application/json',
            'OpenStack-API-Version': 'volume 3.8'})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class Process(fixtures.Fixture):
    """One of the project's commands, with its log in a file.

    :param arguments: the command, and what follows it
    """

    def __init__(self, folder: str, *arguments: str) -> None:
        super().__init__()
        self._arguments = [
            os.path.join(sysconfig.get_path('scripts'), arguments[0]),
            *arguments[1:]]
        self._log = os.path.join(folder, f'{uuid.uuid4().hex}.log')

    def _setUp(self) -> None:
        with open(self._log, 'w') as log:
            self._process = subprocess.Popen(
                self._arguments, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)
        self.addCleanup(self.kill)

    def freeze(self) -> None:
        """Let it hang, with its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)

    @property
    def log(self) -> str:
        with open(self._log) as log:
            return log.read()

    def stop(self) -> int:
        """End it as an operator would; its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE)

    def logged(self, start: str) -> str:
        """What follows the text in the log, once it is there."""
        end = time.monotonic() + PATIENCE
        while start not in self.log:
            if self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f'{self._arguments}: {self.log}')
            time.sleep(0.1)
        return self.log.partition(start)[2].split()[0]


class Deployment(fixtures.Fixture):
    """The processes, and how to ask them.

    The workers share one backend, so that each adoption could be done by any
    of them.

    :cvar BACKENDS: the backend of each worker
    :cvar APIS: how many API processes there are
    :cvar OPTIONS: lines of the configuration, after those of [DEFAULT]
    """

    BACKENDS: tuple[str, ...] = ('directory',) * WORKERS
    APIS = APIS
    OPTIONS = """
[manageable_snapshots]
# What a worker that stops has not begun, another one takes up at its next
# look, some seconds after it was accepted.
recovery_interval = 2
rpc_timeout = 5
"""

    def __init__(self, database_url: str, transport_url: str) -> None:
        super().__init__()
        self._database_url = database_url
        self._transport_url = transport_url
        # The queues stay on the broker, so no two tests may share a name.
        self.host = f'node-{uuid.uuid4().hex[:8]}'

    def _setUp(self) -> None:
        self._folder = self.useFixture(fixtures.TempDir()).path
        self.directory = os.path.join(self._folder, 'images')
        self._file = os.path.join(self._folder, 'project.conf')
        with open(self._file, 'w') as file:
            file.write(f"""
[DEFAULT]
host = {self.host}
state_path = {self._folder}
transport_url = {self._transport_url}
auth_strategy = noauth
enabled_backends = directory
osapi_volume_listen = 127.0.0.1
osapi_volume_listen_port = 0
quota_snapshots = -1
quota_gigabytes = -1
{self.OPTIONS}
[database]
connection = {self._database_url}
[directory]
directory_path = {self.directory}
[other]
directory_path = {self._folder}/other
""")
        sync = self._run('manageable-snapshots-manage', 'db', 'sync')
        if sync._process.wait(PATIENCE):
            raise AssertionError(sync.log)
        self.workers = [
            self._run('manageable-snapshots-volume', '--config-file',
                      self._backend(name)) for name in self.BACKENDS]
        self.apis = [self._run('manageable-snapshots-api')
                     for _api in range(self.APIS)]
        self._urls = [api.logged('Listening on ') for api in self.apis]
        for worker in self.workers:
            worker.logged('is ready')

    def _backend(self, name: str) -> str:
        """A further file, for a worker of one backend."""
        path = os.path.join(self._folder, f'{name}.conf')
        with open(path, 'w') as file:
            file.write(f'[DEFAULT]\nenabled_backends = {name}\n')
        return path

    def is_healthy(self) -> bool:
        """Whether the first API says that it is."""
        with urllib.request.urlopen(
                f'{self._urls[0]}/healthcheck', timeout=PATIENCE) as answer:
            return answer.status == 200

    def _run(self, command: str, *arguments: str) -> Process:
        return self.useFixture(Process(
            self._folder, command, '--config-file', self._file, *arguments))

    def ask(self, path: str, body: Any = None,
            api: int = 0) -> tuple[int, Any]:
        """The status of an answer, and its body.

        :param path: what follows the project in the URL
        :param api: which process is asked
        """
        return ask(f'{self._urls[api]}/v3/{PROJECT}/{path}', body)

    def settle(self, what: str) -> list[dict[str, Any]]:
        """All volumes or snapshots, once none is being made."""
        end = time.monotonic() + PATIENCE
        while True:
            _status, answer = self.ask(f'{what}/detail')
            if not any(item['status'] == 'creating'
                       for item in answer[what]):
                return answer[what]
            if time.monotonic() > end:
                raise AssertionError(
                    f'{answer}: {[each.log for each in self.workers]}')
            time.sleep(0.5)


class Standalone:
    """The tests, for each database."""

    SERVER = ''

    def setUp(self):
        super().setUp()
        self.database_url = self.useFixture(
            servers.NewDatabase(self.SERVER)).url
        self.deployment = self.useFixture(
            Deployment(self.database_url, servers.url('rabbitmq')))

    def make_volumes(self):
        for number in range(VOLUMES):
            status, _answer = self.deployment.ask(
                'volumes', {'volume': {'size': 1, 'name': f'v{number}'}})
            self.assertEqual(202, status)
        volumes = self.deployment.settle('volumes')
        self.assertEqual({'available'}, {each['status'] for each in volumes})
        return [each['id'] for each in volumes]

    def make_snapshots(self, volumes):
        """Foreign ones; their volumes and names."""
        made = [(volumes[number % VOLUMES], f'foreign-{number // VOLUMES}')
                for number in range(SNAPSHOTS)]
        for volume, name in made:
            draft = os.path.join(self.deployment.directory, 'draft')
            with open(draft, 'w') as file:
                file.truncate(units.Gi)
                # Tells it from the others whatever it is called later.
                file.write(f'{volume}/{name}')
            os.rename(draft, os.path.join(
                self.deployment.directory, 'snapshots', f'volume-{volume}',
                name))
        return made

    def held(self):
        """On the backend: (volume, current name) → what is in it."""
        top = os.path.join(self.deployment.directory, 'snapshots')
        found = {}
        for folder in os.listdir(top):
            for name in os.listdir(os.path.join(top, folder)):
                with open(os.path.join(top, folder, name)) as file:
                    found[folder, name] = file.read(200).rstrip('\0')
        return found

    def adopt(self, request):
        """:param request: (volume, name) of a snapshot, and which API"""
        (volume, name), api = request
        end = time.monotonic() + PATIENCE
        while True:
            status, _answer = self.deployment.ask(
                'manageable_snapshots', {'snapshot': {
                    'volume_id': volume, 'ref': {'source-name': name},
                    'name': f'{volume}/{name}'}}, api=api)
            # On a busy machine one may be too late; nothing is left of it.
            if status != 503 or time.monotonic() > end:
                return status

    def usages(self):
        engine = sa.create_engine(self.database_url)
        with engine.connect() as connection:
            rows = connection.exec_driver_sql(
                'SELECT resource, in_use FROM quota_usages WHERE project_id ='
                f" '{PROJECT}' AND resource IN ('snapshots', 'gigabytes')")
            usages = dict(rows.all())
        engine.dispose()
        return usages

    def test_no_adoption_is_lost_or_done_twice(self):
        volumes = self.make_volumes()
        foreign = self.make_snapshots(volumes)
        requests = []
        for number, snapshot in enumerate(foreign):
            requests.append((snapshot, number % APIS))
            if number < CONTESTED:
                requests.append((snapshot, (number + 1) % APIS))
        with futures.ThreadPoolExecutor(16) as executor:
            statuses = collections.Counter(
                executor.map(self.adopt, requests))
        self.assertLessEqual(set(statuses), {202, 400}, statuses)
        self.assertGreaterEqual(statuses[202], SNAPSHOTS)
        snapshots = self.deployment.settle('snapshots')
        self.assertEqual(statuses[202], len(snapshots))

        available = [each for each in snapshots
                     if each['status'] == 'available']
        self.assertEqual(
            sorted(f'{volume}/{name}' for volume, name in foreign),
            sorted(each['name'] for each in available))
        held = self.held()
        self.assertEqual(SNAPSHOTS, len(held))
        for each in available:
            self.assertEqual(
                each['name'],
                held[f'volume-{each["volume_id"]}', f'snapshot-{each["id"]}'])
        for each in snapshots:
            if each['status'] != 'available':
                self.assertEqual('error', each['status'])
                self.assertIn('manage_error', each['metadata'])
        self.assertEqual(
            {'snapshots': len(snapshots),
             'gigabytes': len(snapshots) + VOLUMES}, self.usages())

    def test_a_worker_that_stops_leaves_nothing_undone(self):
        requests = [(snapshot, number % APIS) for number, snapshot
                    in enumerate(self.make_snapshots(self.make_volumes()))]
        with futures.ThreadPoolExecutor(16) as executor:
            statuses = executor.map(self.adopt, requests)
            self.assertEqual(202, next(statuses))
            worker = self.deployment.workers[0]
            self.assertEqual(0, worker.stop(), worker.log)
            self.assertEqual({202}, set(statuses))
        self.assertEqual(
            {'available': SNAPSHOTS}, collections.Counter(
                each['status'] for each
                in self.deployment.settle('snapshots')))

    def test_a_list_holds_what_is_managed_and_what_is_not(self):
        volumes = self.make_volumes()
        foreign = self.make_snapshots(volumes)
        self.assertEqual(202, self.adopt((foreign[0], 0)))
        self.deployment.settle('snapshots')
        status, answer = self.deployment.ask(
            f'manageable_snapshots?host={self.deployment.host}@directory',
            api=1)
        self.assertEqual(200, status)
        listed = answer['manageable-snapshots']
        self.assertEqual(SNAPSHOTS, len(listed))
        self.assertEqual(1, len([each for each in listed
                                 if not each['safe_to_manage']]))

    def test_every_process_stops_when_it_is_told(self):
        for process in (*self.deployment.apis, *self.deployment.workers):
            self.assertEqual(0, process.stop(), process.log)
            self.assertNotIn('Traceback', process.log)


class Apart(Deployment):
    """A worker for each of two backends, and an API of few threads."""

    BACKENDS = ('directory', 'other')
    APIS = 1
    OPTIONS = """
osapi_volume_threads = 8
[manageable_snapshots]
# A worker that hangs is waited for until the test has seen enough.
rpc_timeout = 60
"""


class TestHangingWorker(base.BaseTestCase):
    """One worker hangs, with the connections to its broker open."""

    LISTS = 12
    #: of these many the API waits, half of its threads
    WAITING = 4

    def setUp(self):
        super().setUp()
        self.deployment = self.useFixture(Apart(
            self.useFixture(servers.NewDatabase('mariadb')).url,
            servers.url('rabbitmq')))

    def list(self, backend='directory'):
        return self.deployment.ask(
            f'manageable_snapshots?host={self.deployment.host}@{backend}')

    def test_other_requests_are_answered(self):
        worker, _other = self.deployment.workers
        worker.freeze()
        self.addCleanup(worker.thaw)
        with futures.ThreadPoolExecutor(self.LISTS) as executor:
            lists = [executor.submit(self.list)
                     for _number in range(self.LISTS)]
            refused = list(itertools.islice(
                futures.as_completed(lists, PATIENCE),
                self.LISTS - self.WAITING))
            for each in refused:
                status, answer = each.result()
                self.assertEqual(503, status)
                self.assertEqual(
                    'Too many requests to the volume service '
                    f'{self.deployment.host}@directory are in progress. Try '
                    'again.', answer['serviceUnavailable']['message'])
            self.assertTrue(self.deployment.is_healthy())
            self.assertEqual(200, self.list('other')[0])
            self.assertEqual(200, self.deployment.ask('volumes')[0])
            waiting = set(lists) - set(refused)
            self.assertFalse(any(each.done() for each in waiting))
            worker.thaw()
            self.assertEqual([200] * self.WAITING,
                             [each.result()[0] for each in waiting])


class TestMariaDB(Standalone, base.BaseTestCase):

    SERVER = 'mariadb'


class TestPostgreSQL(Standalone, base.BaseTestCase):

    SERVER = 'postgresql'
