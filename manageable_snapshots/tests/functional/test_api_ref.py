# SPDX-License-Identifier: Apache-2.0

"""The API reference, against the service.

What a sample of a request asks for is done, and what comes back is what the
sample of the answer says.
"""

import json
import os
import pathlib
import re
import time
from typing import Any

from oslo_serialization import jsonutils
from oslotest import base
import webob

from manageable_snapshots.api import urls
from manageable_snapshots.tests.functional import fixtures

_SOURCE = pathlib.Path(__file__).parents[3] / 'api-ref' / 'source'
_SAMPLES = _SOURCE / 'samples'

_VOLUME = '7d794550-48c7-4e51-a3fd-e9a2a06fe924'
_SNAPSHOT = '4eaae8d4-4f87-4bee-8474-74b7413bbae1'
_BACKEND = f'{fixtures.HOST}@{fixtures.BACKEND}'
_NEW_NAME = '/manageable_snapshots'
_OLD_NAME = '/os-snapshot-manage'


def sample(name: str) -> Any:
    return json.loads((_SAMPLES / f'{name}.json').read_text())


def shape(value: Any) -> Any:
    """The keys and types of JSON, without its values."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


class ApiReferenceTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.service = self.useFixture(fixtures.Service())
        self.service.add_volume(_VOLUME)
        self.service.add_snapshot(_VOLUME, _SNAPSHOT)
        self.service.put_snapshot(f'volume-{_VOLUME}', 'before-upgrade')

    def send(self, method: str, path: str, body: Any = None,
             base_url: str = 'http://127.0.0.1:8776') -> webob.Response:
        request = webob.Request.blank(
            path, base_url=base_url, method=method, headers={
                'X-Auth-Token': f'tester:{fixtures.PROJECT}',
                'OpenStack-API-Version': 'volume 3.8'})
        if body is not None:
            request.content_type = 'application/json'
            request.body = jsonutils.dump_as_bytes(body)
        return request.get_response(self.service.app)

    def names(self) -> list[str]:
        return [f'/v3{project}{name}' for name in (_NEW_NAME, _OLD_NAME)
                for project in ('', f'/{fixtures.PROJECT}')]

    def test_every_sample_is_tested(self) -> None:
        self.assertEqual(
            {'detail.json', 'fault.json', 'list.json', 'manage-request.json',
             'manage-response.json', 'unmanage-request.json',
             'versions.json'},
            set(os.listdir(_SAMPLES)))

    def test_list(self) -> None:
        query = f'host={_BACKEND}&limit=1&sort=reference:asc'
        expected = sample('list')
        answer = self.send('GET', f'/v3{_NEW_NAME}?{query}')
        self.assertEqual((200, expected), (answer.status_int, answer.json))
        for name in self.names():
            answer = self.send('GET', f'{name}?{query}')
            self.assertEqual(expected['manageable-snapshots'],
                             answer.json['manageable-snapshots'])
            self.assertEqual(shape(expected), shape(answer.json))

    def test_the_link_in_the_sample_leads_on(self) -> None:
        link = sample('list')['manageable-snapshots_links'][0]['href']
        page = self.send('GET', link, base_url=None).json
        self.assertEqual(sample('detail')['manageable-snapshots'][0][
            'reference'], page['manageable-snapshots'][0]['reference'])

    def test_detail(self) -> None:
        expected = sample('detail')
        for name in self.names():
            answer = self.send(
                'GET', f'{name}/detail?host={_BACKEND}&sort=reference:desc')
            self.assertEqual((200, expected),
                             (answer.status_int, answer.json))

    def test_manage(self) -> None:
        body = sample('manage-request')
        expected = sample('manage-response')
        for number, name in enumerate(self.names()):
            snapshot = f'before-upgrade-{number}'
            self.service.put_snapshot(f'volume-{_VOLUME}', snapshot)
            body['snapshot']['ref'] = {'source-name': snapshot}
            answer = self.send('POST', name, body)
            self.assertEqual(202, answer.status_int)
            self.assertEqual(shape(expected), shape(answer.json))
            for key in expected['snapshot'].keys() - {'id', 'created_at'}:
                self.assertEqual(expected['snapshot'][key],
                                 answer.json['snapshot'][key])

    def test_manage_finds_what_the_list_shows(self) -> None:
        answer = self.send(
            'POST', f'/v3{_NEW_NAME}', sample('manage-request'))
        self.assertEqual(
            'available', self.settled(answer.json['snapshot']['id']))

    def test_fault(self) -> None:
        body = sample('manage-request')
        body['snapshot']['ref'] = {'source-name': f'snapshot-{_SNAPSHOT}'}
        answer = self.send('POST', f'/v3{_NEW_NAME}', body)
        self.assertEqual((400, sample('fault')),
                         (answer.status_int, answer.json))

    def test_unmanage(self) -> None:
        answer = self.send('POST', f'/v3/snapshots/{_SNAPSHOT}/action',
                           sample('unmanage-request'))
        self.assertEqual((202, b''), (answer.status_int, answer.body))
        self.assertIsNone(self.settled(_SNAPSHOT))
        self.assertIn(f'snapshot-{_SNAPSHOT}',
                      self.service.held(f'volume-{_VOLUME}'))

    def test_versions(self) -> None:
        for path, status in (('/', 300), ('/v3/', 200)):
            answer = self.send('GET', path)
            self.assertEqual((status, sample('versions')),
                             (answer.status_int, answer.json))

    def test_every_request_is_in_the_reference(self) -> None:
        text = (_SOURCE / 'manageable-snapshots.inc').read_text()
        for path, methods in urls.MANAGEABLE_SNAPSHOTS:
            for method, handler in methods.items():
                if handler is not None:
                    self.assertIn(f'{method} /v3/{{project_id}}{path}',
                                  ' '.join(text.split()))

    def test_every_key_of_an_answer_is_in_the_reference(self) -> None:
        text = (_SOURCE / 'manageable-snapshots.inc').read_text()
        answers = [set(re.findall(r'^   - ([^:]+):', part, re.M))
                   for part in re.findall(
                       r'^Response\n-+\n(.*?)^Example', text, re.M | re.S)]
        for documented, name in zip(
                answers, ('list', 'detail', 'manage-response'), strict=True):
            answer = sample(name)
            keys = set(answer)
            for value in answer.values():
                keys |= (value if isinstance(value, dict) else value[0]).keys()
            # Links are not on every page.
            others = {'manageable-snapshots_links', 'rel', 'href'}
            self.assertEqual(documented - others, keys - others, name)

    def settled(self, snapshot_id: str) -> str | None:
        """The status that a snapshot has in the end; None: it is gone."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            answer = self.send('GET', f'/v3/snapshots/{snapshot_id}')
            if answer.status_int == 404:
                return None
            status = answer.json['snapshot']['status']
            if status not in ('creating', 'unmanaging'):
                return status
            time.sleep(0.02)
        self.fail(f'{snapshot_id} is still {status}')
