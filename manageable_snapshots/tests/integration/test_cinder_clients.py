# SPDX-License-Identifier: Apache-2.0

"""OpenStack's own clients, unchanged, against Cinder with the project."""

import os
import uuid

import fixtures

from manageable_snapshots.tests.integration import cinder
from manageable_snapshots.tests.integration import test_clients

SDK = """
import json
import sys

import openstack

_url, names, statements = sys.argv[1:]
connection = openstack.connect(
    load_yaml_config=False, block_storage_default_microversion='3.59')
names = {**json.loads(names), 'storage': connection.block_storage}
exec(statements, names)
print(json.dumps(names['result']))
"""

#: patterns of tempest's tests that pass on this stack without us
TEMPEST = os.path.join(os.path.dirname(__file__), 'tempest.txt')

#: the users of cinder-tempest-plugin share a project, and it makes them
RBAC = """
[auth]
use_dynamic_credentials = true
create_isolated_networks = false
admin_username = admin
admin_password = admin
admin_project_name = admin
admin_domain_name = Default
[service_available]
neutron = false
[enforce_scope]
cinder = true
"""

PAGES = """
[DEFAULT]
osapi_max_limit = 7
[manageable_snapshots]
inventory_max_age = 0
"""


class Server:
    """What ``test_clients.Server`` is to the tests, of a stack."""

    def __init__(self, stack: cinder.Stack) -> None:
        self.url = f'{stack.url}/v3'
        self._stack = stack

    def log(self) -> str:
        return self._stack.log('api')[-5000:] + self._stack.log(
            'volume')[-5000:]


class ClientTestCase(test_clients.ClientTestCase):

    SDK = SDK

    @classmethod
    def start(cls):
        cls.stack = cinder.stack()
        cls.stack.load('filter', 'manager', conf=PAGES)
        cls.stack.clear()
        cls.ENVIRON = {name: value for name, value in os.environ.items()
                       if name.startswith('OS_')
                       and name != 'OS_VOLUME_API_VERSION'}
        return Server(cls.stack)

    def access(self, auth_type):
        # As an operator has it: all of it is in the environment.
        return []

    def setUp(self):
        super().setUp()
        self.name = uuid.uuid4().hex


class ListTest(ClientTestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for volume_id in (cls.stack.volume('one'), cls.stack.volume('two')):
            cls.stack.put(volume_id, *(f'old-{n}' for n in range(10)))

    def openstack_list(self, *arguments):
        rows = self.openstack(
            'block', 'storage', 'snapshot', 'manageable', 'list',
            cinder.HOST, *arguments, version='3.8')
        return {str(row['reference']) for row in rows}, len(rows)

    def test_openstack_shows_the_same_whatever_the_limit(self):
        for arguments in ((), ('--limit', '3'), ('--limit', '5000')):
            references, number = self.openstack_list(*arguments)
            self.assertEqual((20, 20), (len(references), number), arguments)

    def test_cinder(self):
        rows = self.cinder('snapshot-manageable-list', cinder.HOST,
                           '--limit', '3', version='3.8')
        self.assertEqual(20, len({row['reference'] for row in rows}))

    def test_sdk(self):
        found = self.sdk("""
            result = [str(found.reference) for found in
                      storage.manageable_snapshots(host=host, limit=3)]
        """, host=cinder.HOST)
        self.assertEqual((20, 20), (len(found), len(set(found))))


class AdoptTest(ClientTestCase):

    def setUp(self):
        super().setUp()
        self.volume_id = self.stack.volume(self.name)
        self.stack.put(self.volume_id, 'old')

    def assertAdopted(self, snapshot_id):
        self.stack.wait('snapshot', snapshot_id, 'available')
        self.assertEqual({f'snapshot-{snapshot_id}'},
                         self.stack.held(self.volume_id))

    def assertLetGo(self, snapshot_id):
        self.stack.wait('snapshot', snapshot_id, None)
        self.assertEqual({f'snapshot-{snapshot_id}'},
                         self.stack.held(self.volume_id))

    def test_openstack(self):
        made = self.openstack(
            'volume', 'snapshot', 'create', '--volume', self.volume_id,
            '--remote-source', 'source-name=old', self.name, version='3.59')
        self.assertAdopted(made['id'])
        self.openstack('volume', 'snapshot', 'delete', '--remote',
                       made['id'], version='3.59')
        self.assertLetGo(made['id'])

    def test_openstack_shows_why_it_failed(self):
        made = self.openstack(
            'volume', 'snapshot', 'create', '--volume', self.volume_id,
            '--remote-source', 'source-name=gone', self.name, version='3.59')
        self.stack.wait('snapshot', made['id'], 'error')
        shown = self.openstack('volume', 'snapshot', 'show', made['id'],
                               version='3.59')
        self.assertTrue(shown['properties']['manage_error'])

    def test_cinder(self):
        made = self.cinder('snapshot-manage', self.name, 'old', '--name',
                           self.name, version='3.59')
        self.assertAdopted(made['id'])
        self.cinder('snapshot-unmanage', self.name, version='3.59')
        self.assertLetGo(made['id'])

    def test_sdk(self):
        snapshot_id = self.sdk("""
            managed = storage.wait_for_status(storage.manage_snapshot(
                volume_id=volume_id, ref={'source-name': 'old'}, name=name))
            result = managed.id
        """, name=self.name, volume_id=self.volume_id)
        self.assertAdopted(snapshot_id)
        self.sdk("""
            snapshot = storage.get_snapshot(snapshot_id)
            storage.unmanage_snapshot(snapshot)
            result = storage.wait_for_delete(snapshot).id
        """, snapshot_id=snapshot_id)
        self.assertLetGo(snapshot_id)


class TempestTest(ClientTestCase):

    def tempest(self, *arguments, conf=''):
        """Run tempest.

        :param conf: lines of tempest.conf that override others
        :returns: what it printed
        """
        folder = self.useFixture(fixtures.TempDir()).path
        accounts = os.path.join(folder, 'accounts.yaml')
        workspace = os.path.join(folder, 'workspace')
        self.run_client('python', '-c', test_clients.REGISTER,
                        self.stack.keystone, self.server.url, accounts)
        self.run_client('tempest', 'init', workspace)
        with open(os.path.join(workspace, 'etc', 'tempest.conf'),
                  'w') as file:
            file.write(test_clients.TEMPEST.format(
                accounts=accounts, folder=folder, timeout=cinder.PATIENCE,
                keystone=self.stack.keystone, protocol='ceph') + conf)
        return self.run_client('tempest', 'run', '--serial', *arguments,
                               cwd=workspace, timeout=1200)

    def test_what_passes_without_us(self):
        """What passes on this stack without the project, passes with it."""
        with open(TEMPEST) as file:
            expected = len(file.read().split())
        said = self.tempest('--include-list', TEMPEST)
        self.assertIn(f' - Passed: {expected}\n', said)
        self.assertIn(' - Failed: 0\n', said)

    def test_who_may_do_what(self):
        """cinder-tempest-plugin's tests of Cinder's default policies.

        It skips four of the twenty itself, for a bug of Cinder's.
        """
        said = self.tempest(
            '--regex', r'^cinder_tempest_plugin\.rbac\.v3\.test_snapshots\.',
            conf=RBAC)
        for count in (' - Passed: 16\n', ' - Skipped: 4\n',
                      ' - Failed: 0\n'):
            self.assertIn(count, said)
