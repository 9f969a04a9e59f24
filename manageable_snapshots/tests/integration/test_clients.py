# SPDX-License-Identifier: Apache-2.0

"""OpenStack's own clients, unchanged, against ``manageable-snapshots serve``.

Each test is a command as a user types it, or a call of openstacksdk. tempest
brings its own tests of managing snapshots.
"""

import json
import os
import re
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
import uuid

import fixtures
from oslo_utils import units
from oslotest import base

from manageable_snapshots.tests.integration import servers

HOST = 'localhost@directory'

#: any that can be in a path
PROJECT = 'c0ffee'

#: seconds that a command, or what it has started, may take
TIMEOUT = 120

# Short pages, and lists that show what was put into the folder just now.
NOAUTH = """
[DEFAULT]
osapi_max_limit = 7
quota_volumes = -1
quota_snapshots = -1
[manageable_snapshots]
inventory_max_age = 0
"""

WITH_KEYSTONE = """
[DEFAULT]
auth_strategy = keystone
[keystone_authtoken]
www_authenticate_uri = {url}
auth_url = {url}
auth_type = password
username = admin
password = admin
project_name = admin
user_domain_id = default
project_domain_id = default
"""

SDK = """
import json
import sys

import openstack

url, names, statements = sys.argv[1:]
connection = openstack.connect(
    load_yaml_config=False, load_envvars=False, auth_type='none',
    auth={'endpoint': url}, block_storage_default_microversion='3.71')
names = {**json.loads(names), 'storage': connection.block_storage}
exec(statements, names)
print(json.dumps(names['result']))
"""

REGISTER = """
import sys

import openstack

keystone, url, accounts = sys.argv[1:]
identity = openstack.connect(
    load_yaml_config=False, load_envvars=False, auth_type='password',
    auth={'auth_url': keystone, 'username': 'admin', 'password': 'admin',
          'project_name': 'admin', 'user_domain_id': 'default',
          'project_domain_id': 'default'}).identity
for service in identity.services(type='block-storage'):
    identity.delete_service(service)
service = identity.create_service(type='block-storage', name='cinder')
identity.create_endpoint(
    service_id=service.id, interface='public', region_id='RegionOne',
    url=url + '/%(project_id)s')
with open(accounts, 'w') as file:
    for role, name in (('member', 'users'), ('reader', 'users'),
                       ('admin', 'operators')):
        project = identity.find_project(name) or identity.create_project(
            name=name, domain_id='default')
        user = (identity.find_user('tempest-' + role)
                or identity.create_user(
                    name='tempest-' + role, domain_id='default',
                    password='tempest'))
        identity.assign_project_role_to_user(
            project, user, identity.find_role(role))
        file.write(f'- username: {user.name}\\n'
                   '  password: tempest\\n'
                   f'  project_name: {project.name}\\n'
                   '  domain_name: Default\\n'
                   f'  roles: [{role}]\\n')
"""

TEMPEST = """
[auth]
use_dynamic_credentials = false
test_accounts_file = {accounts}
[identity]
auth_version = v3
uri_v3 = {keystone}
region = RegionOne
[oslo_concurrency]
lock_path = {folder}
[service_available]
cinder = true
glance = false
# The test would be left out without it, but asks nothing of it.
neutron = true
nova = false
swift = false
[volume]
build_interval = 1
build_timeout = {timeout}
catalog_type = block-storage
manage_snapshot_ref = source-name,snapshot-%s
storage_protocol = {protocol}
[volume-feature-enabled]
backup = false
manage_snapshot = true
"""


class Server(fixtures.Fixture):
    """``manageable-snapshots serve``, a process of its own.

    :param config: what its configuration file says
    :ivar url: where it is, with the version
    :ivar directory: the folder that is its backend
    """

    def __init__(self, config: str) -> None:
        super().__init__()
        self._config = config

    def _setUp(self) -> None:
        folder = self.useFixture(fixtures.TempDir()).path
        self.directory = os.path.join(folder, 'directory')
        self._log = os.path.join(folder, 'log')
        config = os.path.join(folder, 'serve.conf')
        with open(config, 'w') as file:
            file.write(self._config)
        with open(self._log, 'w') as log:
            self._process = subprocess.Popen(
                [os.path.join(os.path.dirname(sys.executable),
                              'manageable-snapshots'), 'serve',
                 '--state-path', folder, '--directory', self.directory,
                 '--port', '0', '--config-file', config],
                stdout=log, stderr=subprocess.STDOUT)
        self.addCleanup(self._stop)
        self.url = self._wait()

    def log(self) -> str:
        """What it has printed and logged so far."""
        with open(self._log) as log:
            return log.read()

    def _wait(self) -> str:
        deadline = time.monotonic() + TIMEOUT
        while (time.monotonic() < deadline
               and self._process.poll() is None):
            ready = re.search(r'^Serving on (\S+)$', self.log(),
                              re.MULTILINE)
            if ready:
                return ready[1]
            time.sleep(0.1)
        raise AssertionError(f'serve did not start: {self.log()}')

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


class ClientTestCase(base.BaseTestCase):
    """A server for the tests of a class, and how to run clients."""

    CONFIG = NOAUTH
    SDK = SDK
    #: what else the clients find in their environment
    ENVIRON: dict[str, str] = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clients = servers.setting('CLIENTS_BIN')
        cls.server = cls.start()

    @classmethod
    def start(cls):
        server = Server(cls.CONFIG)
        server.setUp()
        cls.addClassCleanup(server.cleanUp)
        return server

    def access(self, auth_type):
        """The options that lead a command to the server.

        :param auth_type: what the command calls that there is none
        """
        options = ['--os-auth-type', auth_type,
                   '--os-endpoint', self.server.url]
        if auth_type == 'noauth':
            options += ['--os-project-id', PROJECT, '--os-user-id', 'tester']
        return options

    def run_client(self, program, *arguments, cwd=None, timeout=TIMEOUT):
        """What a command prints.

        :raises AssertionError: it fails
        """
        home = self.useFixture(fixtures.TempDir()).path
        done = subprocess.run(
            [os.path.join(self.clients, program), *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, cwd=cwd or home, env={
                'HOME': home, 'LC_ALL': 'C.UTF-8',
                'PATH': f'{self.clients}:{os.environ["PATH"]}',
                'PYTHONWARNINGS': 'ignore', 'no_proxy': '127.0.0.1',
                **self.ENVIRON})
        self.assertEqual(
            0, done.returncode,
            f'{program} {" ".join(arguments)}\n{done.stdout}{done.stderr}\n'
            f'{self.server.log()}')
        return done.stdout

    def openstack(self, *arguments, version='3.71'):
        """What an ``openstack`` command shows; None: nothing."""
        if 'delete' not in arguments:
            arguments += ('-f', 'json')
        text = self.run_client(
            'openstack', *self.access('none'), '--os-volume-api-version',
            version, *arguments)
        return json.loads(text) if text.strip() else None

    def cinder(self, *arguments, version='3.71'):
        """The lines of the table that a ``cinder`` command shows.

        A table of properties comes back as one dict.
        """
        text = self.run_client(
            'cinder', *self.access('noauth'), '--os-volume-api-version',
            version, *arguments)
        heads, *rows = [
            [cell.strip() for cell in line.split('|')[1:-1]]
            for line in text.splitlines() if line.startswith('|')] or [[]]
        if heads == ['Property', 'Value']:
            return dict(rows)
        return [dict(zip(heads, row)) for row in rows]

    def sdk(self, statements, **names):
        """What Python statements leave in ``result``.

        :param statements: ``storage`` is openstacksdk's proxy in them
        :param names: what else they know
        """
        return json.loads(self.run_client(
            'python', '-c', self.SDK, self.server.url, json.dumps(names),
            textwrap.dedent(statements)))

    @classmethod
    def ask(cls, method, path, body=None):
        """The JSON of an answer; None: it is 404."""
        request = urllib.request.Request(
            cls.server.url + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={'Content-Type': 'application/json',
                     'X-Auth-Token': f'tester:{PROJECT}'})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise

    @classmethod
    def wait(cls, kind, resource_id, status):
        """A volume or snapshot, once it has a status.

        :param kind: ``volume`` or ``snapshot``
        :param status: None: wait until it is gone
        """
        deadline = time.monotonic() + TIMEOUT
        while True:
            answer = cls.ask('GET', f'/{kind}s/{resource_id}')
            resource = answer and answer[kind]
            if (resource and resource['status']) == status:
                return resource
            if time.monotonic() > deadline:
                raise AssertionError(f'{resource} is not {status}')
            time.sleep(0.1)

    @classmethod
    def volume(cls, name):
        """The id of a new volume."""
        made = cls.ask('POST', '/volumes',
                       {'volume': {'size': 1, 'name': name}})['volume']
        return cls.wait('volume', made['id'], 'available')['id']

    @classmethod
    def snapshot(cls, volume_id, name):
        """The id of a new snapshot."""
        made = cls.ask('POST', '/snapshots', {
            'snapshot': {'volume_id': volume_id, 'name': name}})['snapshot']
        return cls.wait('snapshot', made['id'], 'available')['id']

    @classmethod
    def put(cls, volume_id, *names):
        """Snapshots of a volume that nobody manages."""
        for name in names:
            with open(os.path.join(
                    cls.server.directory, 'snapshots', f'volume-{volume_id}',
                    name), 'wb') as file:
                file.truncate(units.Gi)

    @classmethod
    def held(cls, volume_id):
        """The names of a volume's snapshots on the backend."""
        return set(os.listdir(os.path.join(
            cls.server.directory, 'snapshots', f'volume-{volume_id}')))


class ListTest(ClientTestCase):
    """Twenty snapshots in pages of seven: whoever asks sees all of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        names = [f'old-{number}' for number in range(10)]
        volume_ids = [cls.volume('one'), cls.volume('two')]
        for volume_id in volume_ids:
            cls.put(volume_id, *names)
        cls.references = [
            {'source-name': name, 'source-id': f'volume-{volume_id}/{name}'}
            for name in names for volume_id in volume_ids]

    def openstack_list(self, *arguments, version='3.8'):
        return self.openstack(
            'block', 'storage', 'snapshot', 'manageable', 'list', HOST,
            *arguments, version=version)

    def assertShowsAll(self, references):
        self.assertCountEqual(self.references, references)

    def test_openstack(self):
        rows = self.openstack_list()
        self.assertShowsAll([row['reference'] for row in rows])
        self.assertEqual({1}, {row['size'] for row in rows})
        self.assertEqual({True}, {row['safe_to_manage'] for row in rows})

    def test_openstack_limit_of_3(self):
        rows = self.openstack_list('--limit', '3')
        self.assertShowsAll([row['reference'] for row in rows])

    def test_openstack_limit_of_5000(self):
        rows = self.openstack_list('--limit', '5000')
        self.assertShowsAll([row['reference'] for row in rows])

    def test_openstack_details(self):
        rows = self.openstack_list('--long', version='3.71')
        self.assertShowsAll([row['reference'] for row in rows])
        self.assertEqual({(None, None)}, {
            (row['reason_not_safe'], row['cinder_id']) for row in rows})

    def test_openstack_sorted_after_a_marker_and_an_offset(self):
        expected = sorted(self.references, key=lambda reference: (
            reference['source-name'], reference['source-id']))
        rows = self.openstack_list(
            '--sort', 'reference:asc', '--marker', json.dumps(expected[4]),
            '--offset', '1')
        self.assertEqual(expected[6:], [row['reference'] for row in rows])

    def test_cinder(self):
        rows = self.cinder('snapshot-manageable-list', HOST)
        self.assertEqual(20, len(rows))
        self.assertEqual(20, len({row['reference'] for row in rows}))
        self.assertEqual({'-'}, {row['reason_not_safe'] for row in rows})

    def test_cinder_limit_of_3(self):
        rows = self.cinder('snapshot-manageable-list', HOST, '--limit', '3')
        self.assertEqual(20, len(rows))
        self.assertEqual(20, len({row['reference'] for row in rows}))

    def test_sdk(self):
        self.assertShowsAll(self.sdk("""
            result = [found.reference for found in
                      storage.manageable_snapshots(host=host)]
        """, host=HOST))

    def test_sdk_page_by_page(self):
        self.assertShowsAll(self.sdk("""
            result = [found.reference for found in
                      storage.manageable_snapshots(
                          details=True, host=host, limit=3)]
        """, host=HOST))


class LongListTest(ClientTestCase):
    """3,010 snapshots of 300 volumes, in pages of 1,000 and of 100."""

    CONFIG = '[manageable_snapshots]\ninventory_max_age = 0\n'
    IMAGES, EACH, MORE = 300, 10, 10

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.references = []
        for number in range(cls.IMAGES):
            parent = f'image-{number:03}'
            folder = os.path.join(cls.server.directory, 'snapshots', parent)
            os.makedirs(folder)
            for each in range(cls.EACH + (0 if number else cls.MORE)):
                name = f'night-{each:02}'
                with open(os.path.join(folder, name), 'wb') as file:
                    file.truncate(units.Gi)
                cls.references.append(
                    {'source-name': name, 'source-id': f'{parent}/{name}'})

    def assertShowsAll(self, references):
        self.assertEqual(3010, len(references))
        self.assertCountEqual(map(str, self.references),
                              map(str, references))

    def test_openstack(self):
        for limit in (), ('--limit', '100'):
            rows = self.openstack(
                'block', 'storage', 'snapshot', 'manageable', 'list', HOST,
                *limit, version='3.8')
            self.assertShowsAll([row['reference'] for row in rows])

    def test_cinder(self):
        for limit in (), ('--limit', '100'):
            rows = self.cinder('snapshot-manageable-list', HOST, *limit)
            self.assertEqual(3010, len(rows))
            self.assertEqual(3010, len({row['reference'] for row in rows}))

    def test_sdk(self):
        for options in {}, {'limit': 100}:
            self.assertShowsAll(self.sdk("""
                result = [found.reference for found in
                          storage.manageable_snapshots(host=host, **options)]
            """, host=HOST, options=options))


class OpenstackTest(ClientTestCase):
    """The commands of python-openstackclient."""

    def setUp(self):
        super().setUp()
        self.name = uuid.uuid4().hex

    def test_volume_service_list(self):
        service, = self.openstack('volume', 'service', 'list', '--long')
        self.assertEqual(
            ['cinder-volume', HOST, 'enabled', 'up', 'up'],
            [service[column] for column in (
                'Binary', 'Host', 'Status', 'State', 'Backend State')])

    def test_volume_create(self):
        shown = self.openstack('volume', 'create', '--size', '1',
                               '--property', 'kept=yes', self.name)
        self.assertEqual({'kept': 'yes'}, shown['properties'])
        self.wait('volume', shown['id'], 'available')

    def test_volume_list(self):
        volume_ids = {self.volume(self.name) for _number in range(3)}
        rows = self.openstack('volume', 'list', '--all-projects', '--name',
                              self.name, '--limit', '2', '--long')
        self.assertEqual(volume_ids, {row['ID'] for row in rows})

    def test_volume_show_by_name(self):
        made = self.openstack('volume', 'create', '--size', '1', self.name)
        shown = self.openstack('volume', 'show', self.name)
        self.assertEqual((made['id'], HOST),
                         (shown['id'], shown['os-vol-host-attr:host']))

    def test_volume_delete(self):
        volume_id = self.volume(self.name)
        self.openstack('volume', 'delete', volume_id)
        self.wait('volume', volume_id, None)

    def test_volume_snapshot_create(self):
        volume_id = self.volume(self.name)
        shown = self.openstack('volume', 'snapshot', 'create', '--volume',
                               volume_id, '--property', 'kept=yes', self.name)
        self.assertEqual({'kept': 'yes'}, shown['properties'])
        self.wait('snapshot', shown['id'], 'available')
        self.assertEqual({f'snapshot-{shown["id"]}'}, self.held(volume_id))

    def test_volume_snapshot_create_from_a_remote_source(self):
        volume_id = self.volume(self.name)
        self.put(volume_id, 'old')
        shown = self.openstack(
            'volume', 'snapshot', 'create', '--volume', volume_id,
            '--remote-source', 'source-name=old', self.name)
        self.wait('snapshot', shown['id'], 'available')
        self.assertEqual({f'snapshot-{shown["id"]}'}, self.held(volume_id))

    def test_volume_snapshot_show_says_why_an_adoption_failed(self):
        made = self.openstack(
            'volume', 'snapshot', 'create', '--volume',
            self.volume(self.name), '--remote-source', 'source-name=gone',
            self.name)
        self.wait('snapshot', made['id'], 'error')
        shown = self.openstack('volume', 'snapshot', 'show', self.name)
        self.assertEqual('error', shown['status'])
        self.assertIn('has no such snapshot',
                      shown['properties']['manage_error'])

    def test_volume_snapshot_list(self):
        volume_id = self.volume(self.name)
        snapshot_ids = {
            self.snapshot(volume_id, self.name) for _number in range(3)}
        rows = self.openstack(
            'volume', 'snapshot', 'list', '--all-projects', '--volume',
            volume_id, '--limit', '2', '--long')
        self.assertEqual(snapshot_ids, {row['ID'] for row in rows})

    def test_volume_snapshot_delete(self):
        volume_id = self.volume(self.name)
        snapshot_id = self.snapshot(volume_id, self.name)
        self.openstack('volume', 'snapshot', 'delete', snapshot_id)
        self.wait('snapshot', snapshot_id, None)
        self.assertEqual(set(), self.held(volume_id))

    def test_volume_snapshot_delete_remote(self):
        volume_id = self.volume(self.name)
        snapshot_id = self.snapshot(volume_id, self.name)
        self.openstack('volume', 'snapshot', 'delete', '--remote',
                       snapshot_id)
        self.wait('snapshot', snapshot_id, None)
        self.assertEqual({f'snapshot-{snapshot_id}'}, self.held(volume_id))


class CinderTest(ClientTestCase):
    """The commands of python-cinderclient, which find things by name."""

    def setUp(self):
        super().setUp()
        self.name = uuid.uuid4().hex

    def test_service_list(self):
        service, = self.cinder('service-list')
        self.assertEqual((HOST, 'up'), (service['Host'], service['State']))

    def test_create(self):
        shown = self.cinder('create', '1', '--name', self.name)
        self.wait('volume', shown['id'], 'available')

    def test_list(self):
        volume_id = self.volume(self.name)
        row, = self.cinder('list', '--name', self.name)
        self.assertEqual((volume_id, 'available'),
                         (row['ID'], row['Status']))

    def test_show(self):
        volume_id = self.volume(self.name)
        self.assertEqual(volume_id, self.cinder('show', self.name)['id'])

    def test_delete(self):
        volume_id = self.volume(self.name)
        self.cinder('delete', self.name)
        self.wait('volume', volume_id, None)

    def test_snapshot_create(self):
        volume_id = self.volume(self.name)
        shown = self.cinder('snapshot-create', self.name, '--name', self.name)
        self.assertEqual(volume_id, shown['volume_id'])
        self.wait('snapshot', shown['id'], 'available')

    def test_snapshot_list(self):
        volume_id = self.volume(self.name)
        snapshot_id = self.snapshot(volume_id, self.name)
        row, = self.cinder('snapshot-list', '--volume-id', volume_id)
        self.assertEqual((snapshot_id, self.name), (row['ID'], row['Name']))

    def test_snapshot_show(self):
        snapshot_id = self.snapshot(self.volume(self.name), self.name)
        self.assertEqual(
            snapshot_id, self.cinder('snapshot-show', self.name)['id'])

    def test_snapshot_delete(self):
        snapshot_id = self.snapshot(self.volume(self.name), self.name)
        self.cinder('snapshot-delete', self.name)
        self.wait('snapshot', snapshot_id, None)

    def test_snapshot_manage(self):
        volume_id = self.volume(self.name)
        self.put(volume_id, 'old')
        shown = self.cinder(
            'snapshot-manage', self.name, 'old', '--name', self.name,
            '--metadata', 'kept=yes')
        self.assertEqual("{'kept': 'yes'}", shown['metadata'])
        self.wait('snapshot', shown['id'], 'available')
        self.assertEqual({f'snapshot-{shown["id"]}'}, self.held(volume_id))

    def test_snapshot_manage_before_3_8(self):
        volume_id = self.volume(self.name)
        self.put(volume_id, 'old')
        shown = self.cinder(
            'snapshot-manage', self.name, 'old', '--name', self.name,
            version='3.0')
        self.wait('snapshot', shown['id'], 'available')
        self.assertEqual({f'snapshot-{shown["id"]}'}, self.held(volume_id))

    def test_snapshot_unmanage(self):
        volume_id = self.volume(self.name)
        snapshot_id = self.snapshot(volume_id, self.name)
        self.cinder('snapshot-unmanage', self.name)
        self.wait('snapshot', snapshot_id, None)
        self.assertEqual({f'snapshot-{snapshot_id}'}, self.held(volume_id))


class SdkTest(ClientTestCase):
    """Calls of ``openstack.block_storage.v3``."""

    def setUp(self):
        super().setUp()
        self.name = uuid.uuid4().hex

    def test_services(self):
        self.assertEqual([[HOST, 'up']], self.sdk("""
            result = [[service.host, service.state]
                      for service in storage.services()]
        """))

    def test_volume_from_its_creation_to_its_end(self):
        statuses = self.sdk("""
            made = storage.create_volume(name=name, size=1)
            ready = storage.wait_for_status(made)
            found = storage.find_volume(name, ignore_missing=False)
            storage.delete_volume(found)
            storage.wait_for_delete(found)
            result = [ready.status, found.id == made.id,
                      storage.find_volume(name)]
        """, name=self.name)
        self.assertEqual(['available', True, None], statuses)

    def test_snapshot_from_its_creation_to_its_end(self):
        statuses = self.sdk("""
            made = storage.create_snapshot(name=name, volume_id=volume_id)
            ready = storage.wait_for_status(made)
            found = storage.find_snapshot(name, ignore_missing=False)
            storage.delete_snapshot(found)
            storage.wait_for_delete(found)
            result = [ready.status, found.id == made.id,
                      storage.find_snapshot(name)]
        """, name=self.name, volume_id=self.volume(self.name))
        self.assertEqual(['available', True, None], statuses)

    def test_manage_snapshot(self):
        volume_id = self.volume(self.name)
        self.put(volume_id, 'old')
        managed = self.sdk("""
            managed = storage.wait_for_status(storage.manage_snapshot(
                volume_id=volume_id, ref={'source-name': 'old'}, name=name,
                description='from before', metadata={'kept': 'yes'}))
            result = [managed.id, managed.name, managed.description,
                      managed.metadata, managed.size]
        """, name=self.name, volume_id=volume_id)
        self.assertEqual(
            [self.name, 'from before', {'kept': 'yes'}, 1], managed[1:])
        self.assertEqual({f'snapshot-{managed[0]}'}, self.held(volume_id))

    def test_unmanage_snapshot(self):
        volume_id = self.volume(self.name)
        snapshot_id = self.snapshot(volume_id, self.name)
        self.sdk("""
            snapshot = storage.get_snapshot(snapshot_id)
            storage.unmanage_snapshot(snapshot)
            result = storage.wait_for_delete(snapshot).id
        """, snapshot_id=snapshot_id)
        self.assertEqual({f'snapshot-{snapshot_id}'}, self.held(volume_id))

    def test_snapshots_page_by_page(self):
        volume_id = self.volume(self.name)
        snapshot_ids = [
            self.snapshot(volume_id, self.name) for _number in range(4)]
        found = self.sdk("""
            result = [snapshot.id for snapshot in storage.snapshots(
                all_projects=True, volume_id=volume_id, limit=2)]
        """, volume_id=volume_id)
        self.assertCountEqual(snapshot_ids, found)


class TempestTest(ClientTestCase):
    """tempest's own test of managing snapshots, behind a real Keystone."""

    @classmethod
    def setUpClass(cls):
        cls.keystone = servers.url('keystone')
        cls.CONFIG = WITH_KEYSTONE.format(url=cls.keystone)
        super().setUpClass()

    def test_snapshot_manage(self):
        folder = self.useFixture(fixtures.TempDir()).path
        accounts = os.path.join(folder, 'accounts.yaml')
        workspace = os.path.join(folder, 'workspace')
        self.run_client('python', '-c', REGISTER, self.keystone,
                        self.server.url, accounts)
        self.run_client('tempest', 'init', workspace)
        with open(os.path.join(workspace, 'etc', 'tempest.conf'),
                  'w') as file:
            file.write(TEMPEST.format(
                accounts=accounts, folder=folder, keystone=self.keystone,
                protocol='file', timeout=TIMEOUT))
        said = self.run_client(
            'tempest', 'run', '--serial', '--regex',
            r'\.test_snapshot_manage\..*\.test_unmanage_manage_snapshot\b',
            cwd=workspace)
        self.assertIn(' - Passed: 1\n', said)
        self.assertIn(' - Skipped: 0\n', said)
