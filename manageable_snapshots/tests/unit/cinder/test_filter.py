# SPDX-License-Identifier: Apache-2.0

"""The filter in front of a Cinder that a few lines stand for."""

import json
import os
import threading
import time
import types

import fixtures
from oslo_config import cfg
import webob

from manageable_snapshots.api import request
from manageable_snapshots.cinder import filter
from manageable_snapshots.cinder import lazy
from manageable_snapshots.db import engine
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.api import base

ENTRY = {'reference': {'source-name': 'a'},
         'source_reference': {'source-name': 'b'}, 'size': 1,
         'safe_to_manage': True, 'reason_not_safe': None, 'cinder_id': None,
         'extra_info': None}


class CinderContext:
    """Cinder's context: it knows the caller, and Cinder's rules.

    :ivar refused: the rules that refuse the caller
    :ivar asked: the rules that were asked, and their targets
    """

    def __init__(self, requester):
        self.to_dict = requester.to_dict
        self.is_admin = requester.is_admin
        self.refused = ()
        self.asked = []

    def authorize(self, action, target=None, target_obj=None, fatal=True):
        assert not fatal
        self.asked.append((action, target))
        return action not in self.refused


class Unread:
    """A body that only the application behind the filter may read."""

    def __init__(self, body):
        self.body = body
        self.may_be_read = False

    def read(self, size=-1):
        if not self.may_be_read:
            raise AssertionError('The filter has read the body.')
        body, self.body = self.body, b''
        return body


class Cinder:
    """What is behind the filter: notes its requests, and has versions.

    :ivar came: the environment of each request
    :ivar newest: its newest microversion
    """

    def __init__(self):
        self.came = []
        self.newest = '3.70'
        self.answer = [b'of ', b'Cinder']

    def __call__(self, environ, start_response):
        if environ['PATH_INFO'] == '/' and environ['SCRIPT_NAME'] == '/v3':
            self.came.append('versions')
            return webob.Response(json={'versions': [
                {'id': 'v2.0', 'version': '9.9'},
                {'id': 'v3.0', 'version': self.newest}]})(
                    environ, start_response)
        self.came.append(environ)
        body = environ['wsgi.input']
        body.may_be_read = True
        self.body = body.read()
        start_response('299 Cinder', [('X-Of', 'Cinder')])
        return self.answer


class FilterTestCase(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MockPatchObject(
            filter.client, 'VolumeClient',
            lambda conf, transport: self.client))
        self.connection = self.conf.database.connection
        self.cinder = Cinder()
        self.read()
        self.filter = filter.Filter(self.cinder)
        self.cinder_context = CinderContext(self.admin)

    def read(self, connection=None, **options):
        """Let Cinder have another configuration."""
        lines = ['[DEFAULT]', 'transport_url = fake://',
                 *(f'{name} = {value}' for name, value in options.items()),
                 '[database]', f'connection = {connection or self.connection}']
        path = os.path.join(self.folder, 'cinder.conf')
        with open(path, 'w') as file:
            file.write('\n'.join(lines))
        conf = cfg.ConfigOpts()
        conf.register_opt(
            cfg.StrOpt('project_id_regex', default=r'[0-9a-f\-]+'))
        conf(['--config-file', path], project='cinder')
        self.useFixture(fixtures.MockPatchObject(cfg, 'CONF', conf))

    def environ(self, path, method='GET', body=b'', version='3.8', **more):
        """A request that has come through Cinder's filters."""
        return request.Request.blank(
            path, base_url='http://api.example/v3', method=method,
            headers={'OpenStack-API-Version': f'volume {version}'},
            environ={'wsgi.input': Unread(body),
                     'cinder.context': self.cinder_context, **more}).environ

    def send(self, path, **options):
        return webob.Request(self.environ(path, **options)).send(self.filter)


class HandOnTest(FilterTestCase):
    """What is not the extension's."""

    PATHS = ('/', f'/{base.PROJECT}/volumes', f'/{base.PROJECT}/snapshots/x',
             '/os-snapshot-manager', f'/{base.PROJECT}/os-snapshot-manager',
             '/types/manageable_snapshots/extra',
             '/snapshots/manageable_snapshots')

    def test_it_goes_on_as_it_came(self):
        for path in self.PATHS:
            for method in ('GET', 'PUT', 'POST', 'DELETE'):
                with self.subTest(path=path, method=method):
                    environ = self.environ(f'{path}?a=%00', method,
                                           b'{"raw": \xff}', SCRIPT_NAME='')
                    before = dict(environ)
                    start = object()
                    self.assertPassedOn(environ, start)
                    self.assertEqual(before, environ)

    def assertPassedOn(self, environ, start):
        def behind(*arguments):
            self.came = arguments
            return self.cinder.answer

        self.assertIs(self.cinder.answer,
                      filter.Filter(behind)(environ, start))
        self.assertIs(environ, self.came[0])
        self.assertIs(start, self.came[1])

    def test_the_body_is_cinders_to_read(self):
        response = self.send('/volumes', method='POST',
                             body=b'{"raw": \xff\x00}')
        self.assertEqual(b'{"raw": \xff\x00}', self.cinder.body)
        self.assertEqual((299, b'of Cinder', 'Cinder'), (
            response.status_int, response.body, response.headers['X-Of']))

    def test_nothing_is_done_for_it(self):
        self.useFixture(fixtures.MockPatchObject(
            filter, 'request', None))
        self.filter._start = self.filter._lock = self.filter._router = None
        for path in self.PATHS[1:3]:
            self.assertEqual(299, self.send(path).status_int)

    def test_an_error_of_cinders_is_cinders(self):
        def fail(environ, start_response):
            raise ZeroDivisionError()

        self.filter = filter.Filter(fail)
        self.assertRaises(ZeroDivisionError, self.send, '/volumes')


class AnswerTest(FilterTestCase):
    """What is the extension's."""

    def setUp(self):
        super().setUp()
        self.service()
        self.client.entries = [ENTRY]

    def list(self, path='/manageable_snapshots', **options):
        return self.send(f'{path}?host={base.HOST}', **options)

    def adopt(self, volume_id):
        req = webob.Request(self.environ(
            f'/{base.PROJECT}/manageable_snapshots', 'POST'))
        req.body = json.dumps({'snapshot': {
            'volume_id': volume_id, 'ref': {'source-name': 'a'}}}).encode()
        req.content_type = 'application/json'
        return req.send(self.filter)

    def test_by_both_names_with_and_without_a_project(self):
        for path in ('/manageable_snapshots', '/os-snapshot-manage'):
            for path in path, f'/{base.PROJECT}{path}', f'{path}/detail':
                with self.subTest(path=path):
                    response = self.list(path)
                    self.assertEqual(200, response.status_int, response.text)
                    entry, = response.json['manageable-snapshots']
                    self.assertEqual({'source-name': 'a'}, entry['reference'])
        self.assertEqual(['versions'], self.cinder.came)

    def test_a_method_that_there_is_not(self):
        response = self.list(method='PUT')
        self.assertEqual((405, 'GET, POST'), (
            response.status_int, response.headers['Allow']))

    def test_who_asks_is_whom_cinder_has_found(self):
        response = self.adopt(self.volume())
        self.assertEqual(202, response.status_int, response.text)
        row = self.snapshot_row(response.json['snapshot']['id'])
        self.assertEqual((base.PROJECT, self.admin.user_id),
                         (row.project_id, row.user_id))

    def test_a_caller_whom_cinder_refuses(self):
        response = self.list(**{'cinder.context': CinderContext(self.member)})
        self.assertEqual(403, response.status_int)

    def test_an_administrator_whom_cinders_policy_refuses(self):
        self.cinder_context.refused = ('snapshot_extension:list_manageable',)
        self.assertEqual(403, self.list().status_int)

    def test_cinder_decides_whatever_the_policy_file_says(self):
        with open(os.path.join(self.folder, 'policy.yaml'), 'w') as file:
            file.write('snapshot_extension:list_manageable: "!"\n'
                       'context_is_admin: "role:nobody"')
        self.assertEqual(200, self.list().status_int)
        self.cinder_context.refused = ('snapshot_extension:list_manageable',)
        self.assertEqual(403, self.list().status_int)

    def test_cinder_is_asked_about_the_whole_volume(self):
        volume_id = self.volume(
            display_name='n', availability_zone='z', size=7,
            metadata={'k': 'v'}, project_id=base.OTHER_PROJECT)
        self.adopt(volume_id)
        self.assertEqual(
            ['volume:get', 'snapshot_extension:snapshot_manage',
             'volume:create_snapshot'],
            [rule for rule, _target in self.cinder_context.asked])
        for _rule, target in self.cinder_context.asked:
            self.assertEqual(
                (volume_id, 'n', 'z', 7, {'k': 'v'}, base.OTHER_PROJECT,
                 'u', base.HOST, 'available'),
                tuple(target[name] for name in (
                    'id', 'display_name', 'availability_zone', 'size',
                    'metadata', 'project_id', 'user_id', 'host', 'status')))
        self.list()
        self.assertEqual(('snapshot_extension:list_manageable', None),
                         self.cinder_context.asked[-1])

    def test_each_rule_of_an_adoption_can_refuse_it(self):
        volume_id = self.volume()
        for rule, status in (('volume:get', 404),
                             ('snapshot_extension:snapshot_manage', 403),
                             ('volume:create_snapshot', 403)):
            with self.subTest(rule=rule):
                self.cinder_context.refused = (rule,)
                self.assertEqual(status, self.adopt(volume_id).status_int)
        self.assertEqual(0, self.usage('snapshots'))

    def test_the_newest_microversion_is_the_hosts(self):
        for version, status in (('3.70', 200), ('3.71', 406)):
            with self.subTest(version=version):
                response = self.list(version=version)
                self.assertEqual(status, response.status_int, response.text)
        self.assertIn('maximum is 3.70', response.text)

    def test_microversions_are_numbers(self):
        self.cinder.newest = '3.100'
        self.assertEqual(200, self.list(version='3.99').status_int)

    def test_the_host_is_asked_once(self):
        for _count in range(3):
            self.list()
        self.assertEqual(['versions'], self.cinder.came)

    def test_requests_that_are_first_together_start_it_once(self):
        started = []
        start = self.filter._start
        meet = threading.Barrier(4)

        def slow(environ):
            started.append(environ)
            return start(environ)

        def ask():
            meet.wait(10)
            statuses.append(self.list().status_int)

        self.filter._ours = lazy.Lazy(slow)
        statuses = []
        threads = [threading.Thread(target=ask) for _count in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual([200] * 4, statuses)
        self.assertEqual(1, len(started))


class CannotStartTest(FilterTestCase):
    """What is wrong with us is no trouble of Cinder's."""

    def setUp(self):
        super().setUp()
        self.service()
        self.passed = 0
        self.useFixture(fixtures.MockPatchObject(
            lazy, 'time', types.SimpleNamespace(
                monotonic=lambda: time.monotonic() + self.passed)))

    def status(self, path='/manageable_snapshots'):
        return self.send(f'{path}?host={base.HOST}').status_int

    def complaints(self):
        return [line for line in self.log.output.splitlines()
                if 'Cannot start the manageable_snapshots filter' in line]

    def assertSaysOnce(self, *words):
        for _count in range(3):
            self.assertEqual(503, self.status())
        complaint, = self.complaints()
        for word in words:
            self.assertIn(word, complaint)
        self.assertNotIn('Traceback', self.log.output)

    def test_no_database(self):
        self.read('sqlite:////nowhere/at/all')
        self.assertSaysOnce('database is unavailable')

    def test_a_database_that_lacks_something(self):
        with engine.Database(self.conf).engine.begin() as connection:
            connection.exec_driver_sql('DROP TABLE reservations')
        self.assertSaysOnce('reservations', 'cinder-manage db sync')

    def test_a_wrong_option(self):
        self.read(osapi_max_limit='many')
        self.assertSaysOnce('Option osapi_max_limit in section [DEFAULT]')

    def test_a_wrong_transport(self):
        self.read(transport_url='carrier://u:s3cret@pigeon')
        self.assertSaysOnce('transport_url')
        self.assertNotIn('s3cret', self.log.output)

    def test_an_error_of_many_lines(self):
        def fail(environ):
            raise exception.ServiceUnavailable('one\n  two')

        self.filter._ours = lazy.Lazy(fail)
        self.assertSaysOnce('one two')

    def test_a_bug_leaves_its_traceback(self):
        def fail(environ):
            raise AttributeError('no such attribute')

        self.filter._ours = lazy.Lazy(fail)
        self.assertEqual(503, self.status())
        self.assertIn('Cannot start the manageable_snapshots filter: no such '
                      'attribute\nTraceback', self.log.output)

    def test_an_unknown_option_is_named_once(self):
        self.read('sqlite:////nowhere/at/all', list_timeout=3)
        for _count in range(2):
            self.assertEqual(503, self.status())
            self.passed += lazy.PAUSE + 1
        self.assertEqual(1, self.log.output.count(
            'Unknown option list_timeout in section [DEFAULT]'))

    def test_a_misspelt_rule_is_named(self):
        with open(os.path.join(self.folder, 'policy.yaml'), 'w') as file:
            file.write('"snapshot_extension:manage": "@"\n')
        self.assertEqual(200, self.status())
        self.assertIn('Policy rule snapshot_extension:manage in '
                      f'{file.name} is unknown', self.log.output)

    def test_a_policy_file_that_cannot_be_used_is_named(self):
        with open(os.path.join(self.folder, 'policy.yaml'), 'w') as file:
            file.write('- a\n')
        self.assertEqual(200, self.status())
        self.assertIn(f'{file.name}: it does not consist of', self.log.output)

    def test_the_answer_is_a_fault(self):
        self.read('sqlite:////nowhere/at/all')
        response = self.send('/manageable_snapshots')
        self.assertEqual({'serviceUnavailable': {
            'code': 503,
            'message': 'Service is unavailable at this time.'}},
            response.json)

    def test_cinder_goes_on(self):
        self.read('sqlite:////nowhere/at/all')
        self.assertEqual(503, self.status())
        for path in HandOnTest.PATHS[1:]:
            with self.subTest(path=path):
                self.assertEqual(299, self.send(path).status_int)

    def test_it_tries_again_after_a_while(self):
        self.read('sqlite:////nowhere/at/all')
        self.assertEqual(503, self.status())
        self.read()
        self.passed += 9
        self.assertEqual(503, self.status())
        self.passed += 1
        self.assertEqual(200, self.status())
        self.assertEqual(1, len(self.complaints()))

    def test_each_attempt_is_in_the_log(self):
        self.read('sqlite:////nowhere/at/all')
        for _count in range(3):
            self.status()
            self.passed += 10
        self.assertEqual(3, len(self.complaints()))

    def test_its_start_is_in_the_log(self):
        self.assertEqual(200, self.status())
        self.assertIn('Started the manageable_snapshots filter.',
                      self.log.output)
