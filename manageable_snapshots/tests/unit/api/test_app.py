# SPDX-License-Identifier: Apache-2.0

"""The way of a request through the application."""

import json
from unittest import mock

import fixtures
import hypothesis
from hypothesis import strategies
import oslo_i18n
from oslo_policy import policy
import routes
import webob

from manageable_snapshots.api import app
from manageable_snapshots.api import request
from manageable_snapshots.api import responses
from manageable_snapshots.api import urls
from manageable_snapshots.api import validation
from manageable_snapshots.db import engine
from manageable_snapshots.db import services
from manageable_snapshots import exception
from manageable_snapshots import policies
from manageable_snapshots.tests.unit.api import base


class ApplicationTest(base.ApiTestCase):

    def send(self, path, method='GET', headers=None, environ=None, **options):
        req = request.Request.blank(
            '/', method=method, headers={
                'OpenStack-API-Version': 'volume 3.8', **(headers or {})},
            environ={**self.environ(self.admin), **(environ or {})},
            **options)
        req.environ['PATH_INFO'] = path
        return req.get_response(self.app)

    def handle(self, **methods):
        """Have the application answer ``/x`` by other functions."""
        self.app = app.Application(
            self.conf, self.database, self.client,
            [('/x', methods)])

    def test_a_dict_is_an_answer(self):
        self.handle(GET=lambda app, req: {'a': 'é'})
        response = self.send('/x')
        self.assertEqual('application/json', response.headers['Content-Type'])
        self.assertEqual({'a': 'é'}, json.loads(response.body))

    def test_an_answer_is_an_answer(self):
        self.handle(GET=lambda app, req: responses.accepted())
        response = self.send('/x')
        self.assertEqual((202, b''), (response.status_int, response.body))

    def test_an_unexpected_error_says_nothing_and_is_logged(self):
        self.handle(GET=lambda app, req: {}['the secret'])
        response = self.send('/x')
        self.assertEqual(500, response.status_int)
        self.assertEqual('volume 3.8',
                         response.headers['OpenStack-API-Version'])
        self.assertEqual(
            {'computeFault': {
                'code': 500,
                'message': 'The server has either erred or is incapable of '
                           'performing the requested operation.'}},
            response.json)
        self.assertIn("KeyError: 'the secret'", self.log.output)

    def test_a_request_is_one_line_of_the_log(self):
        self.handle(GET=lambda app, req: {})
        self.send('/x', environ={'QUERY_STRING': 'a=\x1b[2J\r\nb\x85\xe9',
                                 'HTTP_HOST': 'evil\x9bhost'})
        self.assertIn('GET http://evil%9Bhost/x?a=%1B[2J%0D%0Ab%85%E9 '
                      'returned with HTTP 200\n', self.log.output)

    def test_an_error_of_ours_that_is_not_meant_for_users(self):
        def handler(app, req):
            raise exception.ConfigurationError(
                option='connection', group='database', reason='the secret')

        self.handle(GET=handler)
        response = self.send('/x')
        self.assertEqual(500, response.status_int)
        self.assertNotIn(b'secret', response.body)

    def test_a_backend_that_is_too_slow(self):
        self.service()
        self.client.failure = exception.BackendTimeout(
            host=base.HOST, seconds=60)
        self.assertEqual(
            'The backend node@dir did not answer within 60 seconds.',
            self.list(f'host={base.HOST}', status=504)[
                'computeFault']['message'])

    def test_a_driver_that_cannot_list(self):
        self.service()
        self.client.failure = exception.DriverCannot(
            driver='tape', what='list snapshots')
        self.assertEqual(
            'The driver tape cannot list snapshots.',
            self.list(f'host={base.HOST}', status=400)[
                'badRequest']['message'])

    def test_a_path_that_is_no_text(self):
        response = self.send('/manageable_snapshots\xff')
        self.assertEqual(400, response.status_int)
        self.assertIn('could not be decoded',
                      response.json['badRequest']['message'])

    def test_a_path_beyond_ascii(self):
        self.app = app.Application(
            self.conf, self.database, self.client,
            [('/x/{name}', {'GET': lambda app, req, name: {'name': name}})])
        response = self.send('/x/' + 'é'.encode().decode('latin-1'))
        self.assertEqual({'name': 'é'}, response.json)

    def test_a_log_line_is_one_line(self):
        self.send('/manageable_snapshots/a\r\nb')
        self.assertIn('/manageable_snapshots/a%0D%0Ab returned with HTTP 404',
                      self.log.output)

    def test_a_request_that_is_refused_costs_neither_database_nor_rpc(self):
        self.app = app.Application(
            self.conf, mock.NonCallableMock(spec=[]),
            mock.NonCallableMock(spec=[]), urls.MANAGEABLE_SNAPSHOTS)
        for status, options in (
                (404, {'path': '/nothing'}),
                (405, {'path': '/manageable_snapshots', 'method': 'PUT'}),
                (406, {'headers': {'OpenStack-API-Version': 'volume 9.9'}}),
                (400, {'headers': {'OpenStack-API-Version': 'x'}}),
                (404, {'headers': {'OpenStack-API-Version': 'volume 3.7'}}),
                (400, {'path': '/abc/manageable_snapshots'}),
                (403, {'environ': self.environ(self.member)}),
                (400, {}),
                *((400, {'environ': {'QUERY_STRING': f'host=a@b&{query}'}})
                  for query in ('limit=x', 'offset=-1', 'sort=x',
                                'marker={', 'host=', 'x=%00',
                                'safe_to_manage=x', 'volume_id=x')),
                (404, {'path': '/manageable_snapshots/detail/x'}),
                (404, {'path': '/manageable_snapshots/x'}),
                (413, {'headers': {'Content-Length': '1000000'}}),
                (415, {'method': 'POST', 'body': b'{}'}),
                (400, {'method': 'POST', 'body': b'{',
                       'content_type': 'application/json'}),
                (400, {'method': 'POST', 'body': b'{}',
                       'content_type': 'application/json'}),
                (400, {'method': 'POST', 'content_type': 'application/json',
                       'body': b'{"snapshot": {"ref": 5, "volume_id": '
                               b'"11111111-1111-1111-1111-111111111111"}}'}),
        ):
            response = self.send(
                **{'path': '/manageable_snapshots', **options})
            self.assertEqual(status, response.status_int, response.text)

    def test_a_body_that_claims_to_be_too_large_is_the_first_to_go(self):
        self.conf.set_override('max_request_body_size', 10,
                               group='oslo_middleware')
        self.app = self.application()
        for path in '/manageable_snapshots', '/nothing':
            response = self.send(
                path, 'POST', {'OpenStack-API-Version': 'volume 9.9'},
                body=b' ' * 11)
            self.assertEqual(413, response.status_int)

    def test_as_many_at_the_same_time_as_may_be(self):
        self.conf.set_override('concurrent_requests', 1,
                               'manageable_snapshots')
        seen = []

        def nested(_app, _req):
            seen.append(self.send('/x'))
            return {}

        self.app = app.Application(
            self.conf, self.database, self.client,
            [('/x', {'GET': nested})])
        for _time in range(2):
            self.assertEqual(200, self.send('/x').status_int)
            refused = seen.pop()
            self.assertEqual(503, refused.status_int)
            self.assertEqual('1', refused.headers['Retry-After'])
            self.assertEqual(
                'Too many requests are being answered. Try again.',
                refused.json['serviceUnavailable']['message'])

    def test_nothing_is_made_for_a_request_that_serves_the_next_as_well(self):
        self.service()
        for owner, name in ((validation, 'compile'), (routes, 'Mapper'),
                            (policies, 'new_enforcer'), (policy, 'Enforcer'),
                            (policy, 'parse_file_contents')):
            self.useFixture(fixtures.MockPatchObject(owner, name, None))
        self.list(f'host={base.HOST}')
        self.list('limit=x', status=400)
        self.adopt(self.volume())
        self.adopt('x', status=400)

    def test_an_older_host_has_less_to_offer(self):
        self.app = self.application(max_version=(3, 59))
        self.service()
        self.list(f'host={base.HOST}', version='3.59')
        self.assertEqual(
            'Version 3.60 is not supported by the API. Minimum is 3.0 and '
            'maximum is 3.59.',
            self.list(f'host={base.HOST}', version='3.60', status=406)[
                'computeFault']['message'])

    def test_a_host_that_translates_late_as_cinder_does(self):
        oslo_i18n.enable_lazy()
        self.addCleanup(oslo_i18n.enable_lazy, False)
        for query, status, message in (
                ('host=nope@dir', 404, 'Service cinder-volume could not be '
                                       'found on host nope@dir.'),
                ('host=%23', 404, 'Service cinder-volume could not be '
                                  'found.'),
                ('limit=1', 400, 'Invalid input received: Host field is '
                                 'missing.'),
                ('host=a&sort=b,c', 400,
                 'Invalid sort keys passed: b, c')):
            fault, = self.list(query, status=status).values()
            self.assertEqual(message, fault['message'])

    def test_a_list_is_asked_of_the_backend_as_the_query_says(self):
        self.service()
        self.list(f'host={base.HOST}%23pool&limit=5&offset=2&sort=size:asc&'
                  'marker={"source-name":"x"}')
        self.assertEqual(
            {'queue': base.HOST, 'limit': 5, 'offset': 2,
             'sort_keys': ['size'], 'sort_dirs': ['asc'],
             'marker': {'source-name': 'x'}, 'pool': 'pool',
             'filters': {}, 'marker_size': None},
            self.client.asked)

    def test_a_list_is_asked_of_the_cluster(self):
        self.service(cluster='c1@dir')
        self.list('cluster=c1@dir%23pool', version='3.17')
        self.assertEqual('c1@dir', self.client.asked['queue'])
        self.assertEqual('pool', self.client.asked['pool'])

    def test_an_entry_of_a_driver_that_says_too_little(self):
        self.service()
        self.client.entries = [{'size': 1}]
        answer = self.list(f'host={base.HOST}&limit=1')
        self.assertEqual(
            [{'reference': None, 'size': 1, 'safe_to_manage': None,
              'source_reference': None}], answer['manageable-snapshots'])


METHODS = strategies.sampled_from(
    ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'BREW'])
PATHS = strategies.lists(
    strategies.sampled_from([
        '/', base.PROJECT, 'manageable_snapshots', 'os-snapshot-manage',
        'detail', '.json', '%', '\0', 'a', '\xff', '..', ' '])
    | strategies.text(strategies.characters(codec='latin-1'), max_size=3),
    max_size=6).map(''.join)
QUERIES = strategies.lists(
    strategies.sampled_from([
        'host=node@dir', '&', 'limit=', '1', 'offset=', 'marker=', '{', '}',
        'sort=', 'size', ':asc', ',', '%00', '%FF', '%', '=', ';', '+',
        'cluster=c@d', '\\', '"source-name":"x"'])
    | strategies.text('!~abc019', max_size=3), max_size=8).map(''.join)
HEADERS = strategies.dictionaries(
    strategies.sampled_from([
        'Accept', 'Accept-Language', 'Accept-Encoding', 'Content-Type',
        'OpenStack-API-Version', 'Range', 'If-None-Match', 'Host',
        'X-Forwarded-Host', 'Cookie', 'Transfer-Encoding']),
    strategies.sampled_from([
        'volume 3.8', 'application/json', '*/*;q=x', ';;;', ',', '=', ''])
    | strategies.text(strategies.characters(
        codec='latin-1', exclude_categories=['Cc']), max_size=10))
BODIES = strategies.one_of(
    strategies.just(b''), strategies.binary(max_size=30),
    strategies.sampled_from([
        b'{"snapshot": {"ref": "x", "volume_id": '
        b'"11111111-1111-1111-1111-111111111111"}}',
        b'{"snapshot": null}', b'[' * 2000]))


class FuzzTest(base.ApiTestCase):

    def setUp(self):
        super().setUp()
        self.service()
        self.volume(id='11111111-1111-1111-1111-111111111111')

    @hypothesis.settings(max_examples=300, deadline=None)
    @hypothesis.given(METHODS, PATHS, QUERIES, HEADERS, BODIES,
                      strategies.booleans())
    def test_no_request_is_an_error_of_the_server(
            self, method, path, query, headers, body, is_admin):
        environ = webob.Request.blank(
            '/', method=method, headers={
                'OpenStack-API-Version': 'volume 3.8',
                'Content-Type': 'application/json', **headers}).environ
        environ.update({
            'PATH_INFO': path, 'QUERY_STRING': query,
            'CONTENT_LENGTH': str(len(body)),
            **self.environ(self.admin if is_admin else self.member),
        })
        environ['wsgi.input'] = webob.Request.blank(
            '/', method='POST', body=body).body_file
        response = webob.Request(environ).get_response(self.app)
        self.assertLess(response.status_int, 500, self.log.output)
        self.assertNotIn(b'Traceback', response.body)


class ListingTest(base.ApiTestCase):

    def test_a_service_is_looked_up_again_after_a_conflict(self):
        self.service()
        get = services.get_volume_service
        with mock.patch.object(
                services, 'get_volume_service', wraps=get,
                side_effect=[engine.Conflict(), mock.DEFAULT]):
            self.list(f'host={base.HOST}')
