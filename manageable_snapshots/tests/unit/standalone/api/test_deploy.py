# SPDX-License-Identifier: Apache-2.0

"""What api-paste.ini makes of the parts."""

import os
import sysconfig
from unittest import mock

import fixtures
import webob

from manageable_snapshots.api import faults
from manageable_snapshots.db import models
from manageable_snapshots import exception
from manageable_snapshots.standalone.api import deploy
from manageable_snapshots.standalone import in_process
from manageable_snapshots.tests.unit.api import base

SOURCE = os.path.join(
    os.path.dirname(deploy.__file__), '../../../etc/manageable_snapshots')


class DeployTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.conf.set_override('state_path', self.folder)
        self.conf.set_override('auth_strategy', 'noauth')

    def load(self):
        return deploy.load_app(self.conf, self.database,
                               in_process.get_transport(self.conf))

    def get(self, path, application=None, **options):
        return webob.Request.blank(path, **options).get_response(
            application or self.load())

    def paste_file(self, text):
        path = os.path.join(self.folder, 'api-paste.ini')
        with open(path, 'w') as file:
            file.write(text)
        return path

    def test_the_source_tree_has_a_file(self):
        self.assertEqual(300, self.get('/').status_int)

    def test_the_file_that_pip_installed(self):
        prefix = os.path.join(self.folder, 'etc')
        os.mkdir(prefix)
        os.symlink(SOURCE, os.path.join(prefix, 'manageable_snapshots'))
        with mock.patch.object(sysconfig, 'get_path',
                               return_value=self.folder), \
                mock.patch.object(deploy, '__file__', '/nowhere/a/b/c.py'):
            self.assertEqual(300, self.get('/').status_int)

    def test_a_file_beside_the_configuration(self):
        self.paste_file('[app:osapi_volume]\npaste.app_factory = '
                        'manageable_snapshots.api.deploy:app_factory\n')
        config = os.path.join(self.folder, 'manageable_snapshots.conf')
        with open(config, 'w'):
            pass
        self.conf(['--config-file', config])
        self.assertEqual(200, self.get('/').status_int)

    def test_a_file_that_is_not_there(self):
        self.conf.set_override('api_paste_config', 'nothing.ini')
        error = self.assertRaises(exception.ConfigurationError, self.load)
        self.assertEqual(
            'Option api_paste_config in section [DEFAULT]: there is no file '
            'nothing.ini', error.msg)

    def test_a_file_without_the_service(self):
        path = self.paste_file('[app:other]\n')
        self.conf.set_override('api_paste_config', path)
        error = self.assertRaises(exception.ConfigurationError, self.load)
        self.assertIn(f'Option api_paste_config in section [DEFAULT]: {path}',
                      error.msg)

    def test_a_database_that_will_not_do(self):
        models.Reservation.__table__.drop(self.database.engine)
        error = self.assertRaises(exception.ConfigurationError, self.load)
        self.assertIn('lacks reservations', error.msg)

    def test_the_parts_are_made_as_configured(self):
        with mock.patch('manageable_snapshots.db.engine.Database',
                        return_value=self.database) as made, \
                mock.patch('manageable_snapshots.rpc.transport.get_transport',
                           return_value=in_process.get_transport(self.conf)):
            deploy.load_app(self.conf)
        made.assert_called_once_with(self.conf)

    def test_the_service_can_call_itself_ill(self):
        application = self.load()
        self.assertEqual(200, self.get('/healthcheck', application).status_int)
        with open(os.path.join(self.folder, 'healthcheck_disable'), 'w'):
            pass
        self.assertEqual(503, self.get('/healthcheck', application).status_int)

    def test_nothing_is_passed_on_behind_the_health_check(self):
        with mock.patch('webob.client.SendRequest.__call__') as send:
            self.get('/healthcheck/x')
        send.assert_not_called()

    def test_a_body_without_a_length_is_limited(self):
        response = self.get(
            '/v3/manageable_snapshots', method='POST',
            content_type='application/json', environ={
                'wsgi.input': webob.Request.blank(
                    '/', method='POST', body=b' ' * 200000).body_file,
                'wsgi.input_terminated': True})
        self.assertEqual(413, response.status_int)
        self.assertIn('x-openstack-request-id', response.headers)

    def test_every_answer_has_an_id(self):
        application = self.load()
        seen = {self.get(path, application).headers['x-openstack-request-id']
                for path in ('/', '/v3', '/v3/', '/healthcheck', '/nothing',
                             '/v3/nothing', '/v3/manageable_snapshots')}
        self.assertEqual(7, len(seen))

    def test_the_prefix_is_a_whole_segment(self):
        application = self.load()
        for path in '/v3x', '/v3x/manageable_snapshots', '/healthcheckx':
            self.assertEqual(404, self.get(path, application).status_int)

    def test_a_prefix_that_nobody_has(self):
        path = self.paste_file(
            '[composite:osapi_volume]\n'
            'use = call:manageable_snapshots.api.deploy:prefix_factory\n'
            '/v3 = v3\n[app:v3]\n'
            'paste.app_factory = '
            'manageable_snapshots.api.deploy:app_factory\n')
        self.conf.set_override('api_paste_config', path)
        self.assertEqual(404, self.get('/').status_int)

    def test_a_proxy_is_believed_where_the_operator_says_so(self):
        headers = {'X-Forwarded-Proto': 'https',
                   'X-Forwarded-Host': 'cloud.example'}

        def href():
            answer = self.get('/', headers=headers).json
            return answer['versions'][0]['links'][1]['href']

        self.assertEqual('http://localhost/v3/', href())
        self.conf.set_override('enable_proxy_headers_parsing', True,
                               group='oslo_middleware')
        self.assertEqual('https://cloud.example/v3/', href())

    def test_a_middleware_that_would_do_nothing_is_left_out(self):
        for name in 'cors.CORS', 'http_proxy_to_wsgi.HTTPProxyToWSGI':
            self.useFixture(
                fixtures.MockPatch(f'oslo_middleware.{name}', None))
        self.assertEqual(300, self.get('/').status_int)

    def _keystone(self, options):
        config = os.path.join(self.folder, 'manageable_snapshots.conf')
        with open(config, 'w') as file:
            file.write('[keystone_authtoken]\n' + options)
        self.conf(['--config-file', config])
        self.conf.clear_override('auth_strategy')

    def test_keystone_is_asked_by_default(self):
        self._keystone('auth_type = none\n'
                       'www_authenticate_uri = https://keystone.example\n')
        response = self.get('/v3/manageable_snapshots')
        self.assertEqual(401, response.status_int)
        self.assertEqual('Keystone uri="https://keystone.example"',
                         response.headers['WWW-Authenticate'])

    def test_how_keystone_is_asked_must_be_said(self):
        self._keystone('')
        error = self.assertRaises(exception.ConfigurationError, self.load)
        self.assertEqual(
            'Option auth_type in section [keystone_authtoken]: it is not '
            'set, but auth_strategy says that Keystone is to be asked',
            error.msg)

    def test_what_keystone_is_asked_with_must_be_said(self):
        self._keystone('auth_type = password\n')
        error = self.assertRaises(exception.ConfigurationError, self.load)
        self.assertRegex(
            error.msg, r'^Option auth_type in section '
                       r'\[keystone_authtoken\]: .*auth_url')


class FaultWrapperTest(base.ApiTestCase):

    def test_a_middleware_that_fails(self):
        def broken(environ, start_response):
            raise ZeroDivisionError('the secret')

        response = webob.Request.blank('/').get_response(
            faults.FaultWrapper(broken))
        self.assertEqual(500, response.status_int)
        self.assertNotIn(b'secret', response.body)
        self.assertIn('ZeroDivisionError: the secret', self.log.output)
