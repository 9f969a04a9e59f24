# SPDX-License-Identifier: Apache-2.0

"""What Cinder checks before an adoption, and what ours checks: the same.

The same requests go to a stock Cinder and to one with the filter and the
manager loaded. Neither answer is written down here.
"""

import os
import uuid

from keystoneauth1.identity import v3
from keystoneauth1 import session as keystone_session
import yaml

from manageable_snapshots.tests.integration import cinder

LIST = 'snapshot_extension:list_manageable'
MANAGE = 'snapshot_extension:snapshot_manage'
CREATE = 'volume:create_snapshot'

#: an operator's rules
POLICIES = (
    {},
    {LIST: '!'},
    {LIST: '@'},
    {LIST: 'rule:system_or_domain_or_project_admin'},
    {LIST: 'rule:volume:get_volume_metadata'},
    {LIST: 'rule:volume_extension:capabilities'},
    {LIST: 'rule:admin_or_owner'},
    {LIST: 'system_scope:all'},
    {LIST: 'is_admin_project:True'},
    {LIST: 'is_admin:True'},
    {LIST: 'role:member and project_id:%(project_id)s'},
    {LIST: 'rule:ours', 'ours': 'role:member'},
    {'context_is_admin': 'role:cloud_admin'},
    {'context_is_admin': 'role:member', 'admin_api': 'is_admin:True'},
    {CREATE: '!'},
    {CREATE: 'rule:volume:get_volume_metadata'},
    {CREATE: "'in-use':%(status)s"},
    {CREATE: "'1':%(size)s"},
    {CREATE: "'devhost@ceph#ceph':%(host)s"},
    {CREATE: 'project_id:%(project_id)s', MANAGE: '@'},
    {MANAGE: 'project_id:%(project_id)s'},
    {MANAGE: 'system_scope:all'},
    {MANAGE: "'a name':%(display_name)s"},
    {'volume:get': '!'},
    {'volume:get': 'rule:volume_extension:capabilities'},
)

#: columns of a volume
STATES = tuple(
    {'migration_status': status} for status in (
        None, 'success', 'error', 'deleting', 'none', '', 'starting',
        'migrating', 'completing',
        'target:11111111-1111-1111-1111-111111111111')
) + tuple(
    {'status': status} for status in (
        'available', 'in-use', 'creating', 'deleting', 'error',
        'error_deleting', 'maintenance', 'retyping', 'replica_x',
        'backing-up', 'extending', 'managing')
) + (
    {'host': None},
    {'replication_status': 'failed-over'},
    {'replication_status': 'enabled'},
    {'encryption_key_id': '11111111-1111-1111-1111-111111111111'},
    {'group_id': '11111111-1111-1111-1111-111111111111'},
    {'consistencygroup_id': '11111111-1111-1111-1111-111111111111'},
    {'attach_status': 'attached', 'status': 'in-use'},
    {'status': 'maintenance', 'migration_status': 'migrating'},
)

#: the caller's own headers, and those that every answer has
VERSIONS = ('3.8', '3.7', '3.999', '9.9', '2.0', '11.0', '2.1', '1.0', 'x')
HEADERS = ('OpenStack-API-Version', 'Vary', 'Content-Type')


class ChecksTest(cinder.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.policy = os.path.join(cls.stack.folder, 'policy.yaml')
        cls.addClassCleanup(cls.write_policy, {})
        cls.callers = {
            'admin': cls.stack.session('admin'),
            'member': cls.stack.session('demo'),
            'system': keystone_session.Session(v3.Password(
                auth_url=cls.stack.keystone, username='admin',
                password='admin', user_domain_id='default',
                system_scope='all')),
        }
        cls.volumes = {
            'admin': cls.stack.volume('a name'),
            'member': cls.make_members_volume(),
        }
        cls.ours = cls.ask_all()
        cls.stack.load(conf=cls.CONF)
        cls.stock = cls.ask_all()

    @classmethod
    def make_members_volume(cls):
        status, body = cls.stack.ask(
            'POST', 'volumes', {'volume': {'size': 1}}, user='demo')
        if status != 202:
            raise AssertionError(body)
        return cls.stack.wait('volume', body['volume']['id'], 'available',
                              user='demo')['id']

    @classmethod
    def write_policy(cls, rules):
        # Another file for each, as their times may be the same.
        with open(f'{cls.policy}.new', 'w') as file:
            yaml.safe_dump(rules, file)
        os.replace(f'{cls.policy}.new', cls.policy)

    @classmethod
    def ask_all(cls):
        """Every answer, by what was asked."""
        answers = {}
        for rules in POLICIES:
            cls.write_policy(rules)
            for caller in cls.callers:
                answers[f'{rules}: {caller} lists'] = cls.list(caller)
                for owner, volume_id in cls.volumes.items():
                    answers[f'{rules}: {caller} adopts for {owner}'] = (
                        cls.adopt(caller, volume_id))
        cls.write_policy({})
        for state in STATES:
            cls.change_volume(state)
            answers[f'{state}'] = cls.adopt('admin', cls.volumes['admin'])
            answers[f'{state}, by a member'] = cls.adopt(
                'member', cls.volumes['admin'])
        cls.change_volume({})
        for version in VERSIONS:
            answers[f'version {version}'] = cls.list('admin', version, HEADERS)
            answers[f'version {version}, by a member'] = cls.list(
                'member', version, HEADERS)
        return answers

    @classmethod
    def list(cls, caller, version='3.8', headers=()):
        return cls.answer(caller, 'GET', f'?host={cinder.HOST}', version,
                          headers)

    @classmethod
    def adopt(cls, caller, volume_id):
        # A name of its own: ours refuses what is being adopted already.
        return cls.answer(caller, 'POST', '', json={'snapshot': {
            'volume_id': volume_id,
            'ref': {'source-name': str(uuid.uuid4())}}})

    @classmethod
    def answer(cls, caller, method, path, version='3.8', headers=(),
               **options):
        answer = cls.callers[caller].request(
            f'{cls.stack.url}/v3/manageable_snapshots{path}', method,
            headers={'OpenStack-API-Version': f'volume {version}'},
            raise_exc=False, timeout=cinder.PATIENCE, **options)
        return (answer.status_code,
                answer.json() if answer.status_code >= 300 else None,
                {name: answer.headers.get(name) for name in headers})

    @classmethod
    def change_volume(cls, columns):
        usual = {
            'status': 'available', 'migration_status': None,
            'host': 'devhost@ceph#ceph', 'replication_status': None,
            'encryption_key_id': None, 'group_id': None,
            'consistencygroup_id': None, 'attach_status': 'detached'}
        assignments = ', '.join(
            f'{name} = NULL' if value is None else f"{name} = '{value}'"
            for name, value in {**usual, **columns}.items())
        cls.stack.execute(
            'SET foreign_key_checks = 0',
            f'UPDATE volumes SET {assignments} '
            f"WHERE id = '{cls.volumes['admin']}'")

    def test_the_answers_are_cinders(self):
        different = {asked: (answer, self.ours[asked])
                     for asked, answer in self.stock.items()
                     if not self.is_as_good(asked, answer, self.ours[asked])}
        self.assertEqual({}, different)

    def is_as_good(self, asked, stock, ours):
        if 'system adopts' in asked and stock[0] == 202:
            # Its snapshot is no project's, and nobody sees it.
            return ours[0] == 400 and 'scoped to a project' in str(ours[1])
        if 'Traceback' in str(stock[1]):
            return stock[0] == ours[0] and 'Traceback' not in str(ours[1])
        return stock == ours

    def test_both_allow_and_refuse(self):
        statuses = {answer[0] for answer in self.stock.values()}
        self.assertLessEqual({200, 202, 400, 403, 404, 406}, statuses)
