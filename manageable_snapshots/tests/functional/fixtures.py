# SPDX-License-Identifier: Apache-2.0

"""The service as a whole, in this process, over a temporary folder.

What ``manageable-snapshots serve`` is made of: the API's pipeline, a worker,
SQLite, messages that stay in the process, and the directory driver.
"""

from collections.abc import Callable
from collections.abc import Iterable
import datetime
import os
import time
from typing import Any

import fixtures
from gabbi import fixture as gabbi_fixture
from keystonemiddleware import fixture as auth_fixture
from oslo_utils import units
import yaml

from manageable_snapshots import conf as configuration
from manageable_snapshots.conf import backend
from manageable_snapshots import context as request_context
from manageable_snapshots.db import engine
from manageable_snapshots.db import migration
from manageable_snapshots.db import models
from manageable_snapshots.db import volumes
from manageable_snapshots.standalone.api import deploy
from manageable_snapshots.standalone import in_process
from manageable_snapshots.standalone import worker

HOST = 'devhost'
BACKEND = 'directory'

#: the project that most tests act in, and another one
PROJECT = 'c0ffee'
OTHER_PROJECT = 'decade'

#: of the project
VOLUME = '11111111-1111-1111-1111-111111111111'
SECOND_VOLUME = '22222222-2222-2222-2222-222222222222'
#: of the other project
OTHERS_VOLUME = '33333333-3333-3333-3333-333333333333'
#: on a node that there is no service of
LOST_VOLUME = '44444444-4444-4444-4444-444444444444'
#: being deleted
DYING_VOLUME = '55555555-5555-5555-5555-555555555555'
#: a snapshot of the first volume
SNAPSHOT = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa'


class Service(fixtures.Fixture):
    """The service, empty.

    :param policy: the operator's rules
    :param sections: further configuration, by section and option
    """

    def __init__(self, policy: dict[str, str] | None = None,
                 **sections: dict[str, Any]) -> None:
        super().__init__()
        self._policy = policy or {}
        self._sections = sections

    def _setUp(self) -> None:
        self.logger = self.useFixture(fixtures.FakeLogger())
        # Threads of oslo.messaging look so often whether they are to end.
        self.useFixture(fixtures.MonkeyPatch(
            'futurist._thread.ThreadWorker.MAX_IDLE_FOR', 0.02))
        self._folder = self.useFixture(fixtures.TempDir()).path
        self.directory = os.path.join(self._folder, BACKEND)
        self._write('policy.yaml', yaml.safe_dump(self._policy))
        self.conf = configuration.new()
        self.conf.register_opts(
            backend.OPTIONS + backend.DIRECTORY_OPTIONS, group=BACKEND)
        self.conf(['--config-file', self._write(
            'manageable_snapshots.conf', self._configuration())])
        migration.sync(self.conf)
        self.database = engine.Database(self.conf)
        self.addCleanup(self.database.dispose)
        self.transport = in_process.get_transport(self.conf)
        self.app = deploy.load_app(
            self.conf, self.database, self.transport)
        self.worker = worker.Worker(
            self.conf, self.database, self.transport)
        self.worker.start()
        self.addCleanup(self.worker.stop)
        self.context = request_context.RequestContext(
            user_id='tester', project_id=PROJECT, is_admin=True,
            overwrite=False)

    def add_volume(self, volume_id: str, *, on_backend: bool = True,
                   **columns: Any) -> None:
        """A volume, in the database and on the backend.

        :param columns: of its row, where they are not usual
        """
        with self.database.writer(self.context) as session:
            volumes.create(session, {
                'id': volume_id, 'project_id': PROJECT, 'user_id': 'tester',
                'size': 1, 'status': 'available', 'display_name': 'volume',
                'availability_zone': 'nova',
                'host': f'{HOST}@{BACKEND}#{BACKEND}', **columns})
        if on_backend:
            self.put_volume(f'volume-{volume_id}')

    def add_snapshot(self, volume_id: str, snapshot_id: str,
                     **columns: Any) -> None:
        """A managed snapshot, in the database and on the backend."""
        with self.database.writer(self.context) as session:
            volume = volumes.get(session, self.context, volume_id)
            session.add(models.Snapshot(
                id=snapshot_id, volume_id=volume_id,
                volume_type_id=volume.volume_type_id, **{
                    'project_id': PROJECT, 'user_id': 'tester',
                    'volume_size': 1, 'status': 'available',
                    'progress': '100%', **columns}))
        self.put_snapshot(f'volume-{volume_id}', f'snapshot-{snapshot_id}')

    def populate(self) -> None:
        """Add the volumes above, and five snapshots.

        One is managed. Of the others two have the same name.
        """
        self.add_volume(VOLUME)
        self.add_volume(SECOND_VOLUME)
        self.add_volume(OTHERS_VOLUME, project_id=OTHER_PROJECT)
        self.add_volume(LOST_VOLUME, host=f'gone@{BACKEND}#{BACKEND}',
                        on_backend=False)
        self.add_volume(DYING_VOLUME, status='deleting')
        self.add_snapshot(VOLUME, SNAPSHOT, display_name='kept')
        self.put_snapshot(f'volume-{VOLUME}', 'monday')
        self.put_snapshot(f'volume-{VOLUME}', 'tuesday', size=2)
        self.put_snapshot(f'volume-{SECOND_VOLUME}', 'monday')
        self.put_snapshot(f'volume-{OTHERS_VOLUME}', 'friday')

    def put_volume(self, name: str, size: int = 1) -> None:
        """A volume on the backend, without a row.

        :param size: GiB
        """
        self._put(os.path.join('volumes', name), size)
        os.mkdir(os.path.join(self.directory, 'snapshots', name))

    def put_snapshot(self, volume_name: str, name: str,
                     size: int = 1) -> None:
        """A snapshot on the backend that nobody manages.

        :param size: GiB
        """
        self._put(os.path.join('snapshots', volume_name, name), size)

    def held(self, volume_name: str) -> list[str]:
        """What snapshots of a volume the backend has."""
        return sorted(os.listdir(
            os.path.join(self.directory, 'snapshots', volume_name)))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait for what the worker does in the background.

        :raises AssertionError: it does not come true
        """
        deadline = time.monotonic() + 20
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError('it did not happen in time')
            time.sleep(0.01)

    def _configuration(self) -> str:
        sections: dict[str, dict[str, Any]] = {
            'DEFAULT': {
                'auth_strategy': 'noauth',
                'enabled_backends': BACKEND,
                'host': HOST,
                'state_path': self._folder,
            },
            'manageable_snapshots': {
                # Each list sees what a test has put there just now.
                'inventory_max_age': 0,
            },
            BACKEND: {'directory_path': self.directory},
            # Nothing here is to survive a power failure.
            'database': {'sqlite_synchronous': False},
        }
        for name, options in self._sections.items():
            sections.setdefault(name, {}).update(options)
        return '\n'.join(
            line for name, options in sections.items()
            for line in (f'[{name}]', *(f'{option} = {value}'
                                        for option, value in options.items())))

    def _write(self, name: str, text: str) -> str:
        path = os.path.join(self._folder, name)
        with open(path, 'w') as file:
            file.write(text)
        return path

    def _put(self, path: str, size: int) -> None:
        with open(os.path.join(self.directory, path), 'wb') as file:
            file.truncate(size * units.Gi)


class Keystone(fixtures.Fixture):
    """Tokens: ``admin``, ``member`` of the same project, ``outsider``."""

    CONFIGURATION = {
        'DEFAULT': {'auth_strategy': 'keystone'},
        'keystone_authtoken': {
            'auth_type': 'none',
            'www_authenticate_uri': 'http://keystone.example',
        },
    }

    def _setUp(self) -> None:
        self.useFixture(fixtures.FakeLogger())
        tokens = self.useFixture(auth_fixture.AuthTokenFixture())
        for name, project_id, roles in (
                ('admin', PROJECT, ['admin', 'member', 'reader']),
                ('member', PROJECT, ['member', 'reader']),
                ('outsider', OTHER_PROJECT, ['member', 'reader'])):
            tokens.add_token_data(
                token_id=name, user_id=name, user_name=name,
                project_id=project_id, project_name=project_id,
                role_list=roles)


class Embedded(gabbi_fixture.GabbiFixture):
    """For a gabbi file: the service, populated."""

    POLICY: dict[str, str] = {}
    SECTIONS: dict[str, dict[str, Any]] = {}

    running: list[Service] = []

    def start_fixture(self) -> None:
        service = Service(self.POLICY, **self.SECTIONS)
        service.setUp()
        self.running.append(service)
        service.populate()

    def stop_fixture(self) -> None:
        self.running.pop().cleanUp()


class Authenticated(Embedded):
    """The same behind Keystone's middleware."""

    SECTIONS = Keystone.CONFIGURATION

    def start_fixture(self) -> None:
        self._keystone = Keystone()
        self._keystone.setUp()
        super().start_fixture()

    def stop_fixture(self) -> None:
        super().stop_fixture()
        self._keystone.cleanUp()


class Delegating(Authenticated):
    """The same, where members may list, and adopt for their own volumes."""

    POLICY = {
        'snapshot_extension:list_manageable': 'role:member',
        'snapshot_extension:snapshot_manage': 'project_id:%(project_id)s',
    }


class Denying(Authenticated):
    """The same, where nobody creates snapshots of volumes of 1 GiB."""

    POLICY = {'volume:create_snapshot': "not '1':%(size)s"}


class Handing(Embedded):
    """The service where a snapshot is its volume's project's."""

    SECTIONS = {'manageable_snapshots': {'snapshot_owner': 'volume'}}


class Sparing(Embedded):
    """The service with short pages and a small quota, behind a proxy."""

    SECTIONS = {
        'DEFAULT': {
            'osapi_max_limit': 2,
            'public_endpoint': 'https://cloud.example/storage/',
            'quota_snapshots': 2,
        },
        'cors': {'allowed_origin': 'https://dashboard.example'},
        'oslo_middleware': {'enable_proxy_headers_parsing': True},
    }


class Down(Embedded):
    """The service whose worker has not reported for too long."""

    SECTIONS = {'DEFAULT': {'report_interval': 3600}}

    def start_fixture(self) -> None:
        super().start_fixture()
        service = self.running[-1]
        with service.database.writer(service.context) as session:
            session.query(models.Service).update(
                {'updated_at': datetime.datetime(2020, 1, 1)})


def application(environ: dict[str, Any],
                start_response: Any) -> Iterable[bytes]:
    """The service of the gabbi file that is running."""
    return Embedded.running[-1].app(environ, start_response)
