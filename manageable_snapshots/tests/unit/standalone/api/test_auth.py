# SPDX-License-Identifier: Apache-2.0

"""Whom the applications behind are told that they deal with."""

import json

import fixtures
from oslotest import base
import webob

from manageable_snapshots.api import request
from manageable_snapshots import conf as configuration
from manageable_snapshots import policies
from manageable_snapshots.standalone.api import auth


def behind(environ, start_response):
    """Show the context."""
    context = environ[request.ENV_CONTEXT]
    return webob.Response(json={
        'user': context.user_id, 'project': context.project_id,
        'roles': context.roles, 'is_admin': context.is_admin,
        'project_name': context.project_name,
        'address': context.remote_address,
        'catalog': context.service_catalog,
        'request': context.request_id})(environ, start_response)


class NoAuthTest(base.BaseTestCase):

    def _ask(self, **headers):
        return webob.Request.blank('/', headers=headers).get_response(
            auth.NoAuth(behind, None)).json

    def _who(self, token):
        seen = self._ask(**{'X-Auth-Token': token})
        self.assertTrue(seen['is_admin'])
        self.assertIn('admin', seen['roles'])
        return seen['user'], seen['project']

    def test_the_token_says_who(self):
        self.assertEqual(('ada', 'c0ffee'), self._who('ada:c0ffee'))
        self.assertEqual(('ada', 'a:b'), self._who('ada:a:b'))
        self.assertEqual(('ada', 'ada'), self._who('ada'))

    def test_without_a_token(self):
        seen = self._ask()
        self.assertEqual(('admin', 'admin', True), (
            seen['user'], seen['project'], seen['is_admin']))


class KeystoneContextTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.FakeLogger())
        self.conf = configuration.new()
        self.conf([], default_config_files=[])
        self.enforcer = policies.new_enforcer(self.conf)

    def _ask(self, roles='member', **environ):
        return webob.Request.blank('/', environ={
            'HTTP_X_USER_ID': 'u', 'HTTP_X_PROJECT_ID': 'p',
            'HTTP_X_PROJECT_NAME': 'project', 'HTTP_X_ROLES': roles,
            'REMOTE_ADDR': '192.0.2.1',
            'openstack.request_id': 'req-1', **environ}).get_response(
                auth.KeystoneContext(behind, self.enforcer))

    def test_what_keystone_says(self):
        self.assertEqual(
            {'user': 'u', 'project': 'p', 'roles': ['member', 'reader'],
             'is_admin': False, 'project_name': 'project',
             'address': '192.0.2.1', 'catalog': [], 'request': 'req-1'},
            self._ask('member,reader').json)

    def test_an_administrator_has_a_role(self):
        self.assertTrue(self._ask('admin,member').json['is_admin'])

    def test_the_operator_says_which(self):
        self.enforcer.set_rules(policies.policy.Rules.from_dict(
            {**{name: str(rule) for name, rule in
                self.enforcer.rules.items()},
             'context_is_admin': 'role:storage'}))
        self.assertTrue(self._ask('storage').json['is_admin'])
        self.assertFalse(self._ask('admin').json['is_admin'])

    def test_rules_may_look_at_all_that_keystone_says(self):
        for rule, environ in (
                ('system_scope:all', {'HTTP_OPENSTACK_SYSTEM_SCOPE': 'all'}),
                ('is_admin_project:False',
                 {'HTTP_X_IS_ADMIN_PROJECT': 'False'}),
                ('domain_id:d', {'HTTP_X_DOMAIN_ID': 'd'}),
                ('project_domain_id:d', {'HTTP_X_PROJECT_DOMAIN_ID': 'd'}),
                ('user_domain_id:d', {'HTTP_X_USER_DOMAIN_ID': 'd'}),
                ('service_user_id:s', {'HTTP_X_SERVICE_USER_ID': 's'}),
                ("'s':%(service_roles)s or service_roles:s",
                 {'HTTP_X_SERVICE_ROLES': 's'}),
                ('is_admin:True', {'HTTP_X_ROLES': 'admin'})):
            with self.subTest(rule=rule):
                self.enforcer.set_rules(policies.policy.Rules.from_dict({
                    'context_is_admin': 'role:admin',
                    'snapshot_extension:list_manageable': rule}))
                self.assertTrue(self._may(**environ))
                self.assertFalse(self._may())

    def _may(self, **environ):
        def ask(environ, start_response):
            answers.append(environ[request.ENV_CONTEXT].may(
                'snapshot_extension:list_manageable', None))
            return behind(environ, start_response)

        answers = []
        webob.Request.blank('/', environ={
            'HTTP_X_USER_ID': 'u', 'HTTP_X_PROJECT_ID': 'p', **environ,
        }).get_response(auth.KeystoneContext(ask, self.enforcer))
        return answers[0]

    def test_nobody(self):
        response = webob.Request.blank('/').get_response(
            auth.KeystoneContext(behind, self.enforcer))
        self.assertEqual(401, response.status_int)

    def test_the_services_that_drivers_ask(self):
        identity = {'type': 'identity', 'endpoints': []}
        self.assertEqual([identity], self._ask(
            HTTP_X_SERVICE_CATALOG=json.dumps(
                [identity, {'type': 'dns'}, {}])).json['catalog'])

    def test_a_catalog_that_is_none(self):
        self.assertEqual([], self._ask(
            HTTP_X_SERVICE_CATALOG='[').json['catalog'])
