# SPDX-License-Identifier: Apache-2.0

"""Requests that no description allows: any path, query, header and body."""

import json
from typing import Any
import urllib.parse

from hypothesis import strategies as st

from manageable_snapshots.tests.functional.fuzz import base
from manageable_snapshots.tests.functional.fuzz import values
from manageable_snapshots.tests import openapi

_BYTES = values.TEXT.map(lambda text: text.encode('utf-8', 'surrogatepass'))
#: a header's value, as WSGI has it: without what ends the line
_VALUE = _BYTES.map(lambda value: value[:8000].translate(
    None, b'\0\r\n').decode('latin-1'))

_NAMES = st.sampled_from((
    'host', 'cluster', 'limit', 'marker', 'offset', 'sort', 'sort_key',
    'sort_dir', 'marker_size', 'source_name', 'volume_id',
    'safe_to_manage', 'name', 'status', 'all_tenants', 'binary',
    'cascade')) | values.TEXT
_HEADERS = st.dictionaries(st.sampled_from((
    'OpenStack-API-Version', 'Content-Type', 'Accept', 'X-Auth-Token',
    'X-OpenStack-Request-ID', 'X-Service-Catalog', 'X-Roles', 'Origin',
    'X-Forwarded-For', 'X-Forwarded-Proto', 'Cookie', 'Range',
    'If-None-Match', 'Transfer-Encoding', 'X-Domain-Id')), _VALUE,
    max_size=4)
_TEMPLATES = [path for path in openapi.document()['paths']
              if path != '/']
_ADOPTION = st.fixed_dictionaries({'snapshot': st.fixed_dictionaries({
    'volume_id': st.sampled_from(values.VOLUMES) | values.TEXT,
    'ref': values.REFERENCES | values.TEXT | values.JSON,
}, optional={
    'name': values.TEXT | values.JSON,
    'description': values.TEXT | values.JSON,
    'metadata': values.JSON | st.dictionaries(
        values.TEXT, values.TEXT, max_size=3),
})})

_QUERIES = st.lists(st.tuples(_NAMES, values.TEXT), max_size=4)
_METHODS = st.sampled_from((
    'GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE',
    'BREW'))


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def _query(pairs: list[tuple[str, str]]) -> str:
    return urllib.parse.urlencode(pairs, errors='surrogatepass')


class RequestsTest(base.FuzzTestCase):

    def try_one(self, example: tuple[Any, ...]) -> None:
        method, path, query, headers, body = example
        answer = self.send(method, path, query, headers, body)
        self.check_answer(answer.status_int, answer.text)
        for name, value in answer.headers.items():
            self.assertNotRegex(f'{name}: {value}', '[\r\n]')

    def test_any_adoption(self) -> None:
        headers = st.fixed_dictionaries({
            'OpenStack-API-Version': st.just('volume 3.71'),
            'Content-Type': st.just('application/json')})
        self.fuzz(st.tuples(
            st.just('POST'),
            st.sampled_from(('/v3/manageable_snapshots',
                             '/v3/os-snapshot-manage')),
            st.just(''), headers, _ADOPTION.map(_encode)), self.try_one)

    def test_any_list(self) -> None:
        headers = st.fixed_dictionaries({
            'OpenStack-API-Version': st.just('volume 3.71')})
        query = st.tuples(st.just([('host', values.HOST)]), _QUERIES).map(
            lambda parts: _query([*parts[1], *parts[0]]))
        self.fuzz(st.tuples(
            st.just('GET'),
            st.sampled_from(('/v3/manageable_snapshots',
                             '/v3/manageable_snapshots/detail',
                             '/v3/volumes', '/v3/snapshots/detail',
                             '/v3/os-services')),
            query, headers, st.just(b'')), self.try_one)

    def test_any_path_header_and_body(self) -> None:
        path = st.tuples(
            st.sampled_from(_TEMPLATES), values.TEXT, values.TEXT).map(
            lambda parts: parts[0].replace('{project_id}', parts[1]).replace(
                '{volume_id}', parts[2]).replace('{snapshot_id}', parts[2]))
        path = (path | values.TEXT.map(lambda text: '/v3/' + text)
                | st.sampled_from(_TEMPLATES).map(
                    lambda path: path.replace('/{project_id}', '')))
        self.fuzz(st.tuples(
            _METHODS,
            path.map(lambda path: path.encode(
                'utf-8', 'surrogatepass').decode('latin-1')),
            _QUERIES.map(_query) | _VALUE, _HEADERS,
            _BYTES | values.JSON.map(_encode) | _ADOPTION.map(_encode)),
            self.try_one)
