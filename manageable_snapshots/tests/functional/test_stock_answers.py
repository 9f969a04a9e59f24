# SPDX-License-Identifier: Apache-2.0

"""Every answer that was seen of stock Cinder: ours is the same, or better.

``stock_answers.yaml`` has the requests and the answers, and says why ours is
another one where it is.
"""

import json
import os
import re
from typing import Any

from oslotest import base as test_base
import testscenarios
import webob
import yaml

from manageable_snapshots.db import snapshots
from manageable_snapshots.tests.functional import fixtures

with open(os.path.join(os.path.dirname(__file__),
                       'stock_answers.yaml')) as file:
    RECORD = yaml.safe_load(file)

CASES = {case['case']: case for case in RECORD['answers']}
MANAGED = ['99999999-9999-9999-9999-999999999999',
           '88888888-8888-8888-8888-888888888888',
           '77777777-7777-7777-7777-777777777777',
           '66666666-6666-6666-6666-666666666666']
# What can be adopted, where the request is to adopt.
UNMANAGED = ['legacy-b', 'legacy-c', 'legacy-d', 'with space', 'quo\'te"',
             '-dash', 'légacy-é']
TOKENS = {
    '{volume}': fixtures.VOLUME,
    '{volume without dashes}': fixtures.VOLUME.replace('-', ''),
    "{other's volume}": fixtures.OTHERS_VOLUME,
    '{no volume}': '00000000-0000-0000-0000-000000000001',
    '{no snapshot}': '00000000-0000-0000-0000-000000000002',
    **{f'{{managed {number}}}': snapshot_id
       for number, snapshot_id in enumerate(MANAGED, 1)},
}

load_tests = testscenarios.load_tests_apply_scenarios


def fill_in(value: Any, tokens: dict[str, str]) -> Any:
    """A value of the record, with its tokens replaced."""
    if isinstance(value, dict):
        return {fill_in(key, tokens): fill_in(item, tokens)
                for key, item in value.items()}
    if isinstance(value, list):
        return [fill_in(item, tokens) for item in value]
    if not isinstance(value, str):
        return value
    for token, text in tokens.items():
        value = value.replace(token, text)
    return re.sub(r'\{(\d+) (.)\}',
                  lambda match: int(match[1]) * match[2], value)


class RecordTest(test_base.BaseTestCase):

    def test_the_record_is_whole(self):
        self.assertEqual(108, len(RECORD['answers']))
        self.assertEqual(108, len(CASES))
        self.assertEqual(
            20, sum('then' in case['cinder'] for case in CASES.values()))

    def test_each_difference_has_a_reason(self):
        reasons = {case['ours']['why'] for case in CASES.values()
                   if 'ours' in case}
        self.assertEqual(set(RECORD['why']) - {'next', 'repeated'}, reasons)
        self.assertEqual(
            12, sum('ours' in case for case in CASES.values()))


class Answers:
    """The tests, for any service that holds what is recorded.

    ``service`` is one, empty, with what ``fixtures.Service`` has.
    """

    scenarios = [(name.replace(' ', '_'), {'case': case})
                 for name, case in CASES.items()]

    PROJECT = fixtures.PROJECT
    OTHER_PROJECT = fixtures.OTHER_PROJECT
    HOST = f'{fixtures.HOST}@{fixtures.BACKEND}%23{fixtures.BACKEND}'

    def fill_in(self, value):
        return fill_in(value, {
            '{project}': self.PROJECT, '{other project}': self.OTHER_PROJECT,
            '{host}': self.HOST, **TOKENS})

    def token(self, user):
        """What ``admin`` or ``outsider`` sends."""
        return user

    def identifier(self, volume, name):
        """What the id is like that is listed beside a name; a pattern."""
        return re.escape(f'{volume}/{name}')

    def populate(self):
        for volume_id, project_id in (
                (fixtures.VOLUME, self.PROJECT),
                (fixtures.OTHERS_VOLUME, self.OTHER_PROJECT)):
            self.service.add_volume(volume_id, project_id=project_id)
        for snapshot_id in MANAGED:
            self.service.add_snapshot(fixtures.VOLUME, snapshot_id,
                                      project_id=self.PROJECT)
        for size, name in enumerate(('legacy-00', 'legacy-01', 'legacy-02'),
                                    1):
            self.service.put_volume(name, size)
            for number in (0, 1):
                self.service.put_snapshot(name, f'snap-{number}', size)
        names = ['legacy-e']
        if self.case['request']['method'] == 'POST':
            names += UNMANAGED
            self.service.put_snapshot(
                f'volume-{fixtures.OTHERS_VOLUME}', 'legacy-demo')
        for name in names:
            if name != self.case.get('without'):
                self.service.put_snapshot(f'volume-{fixtures.VOLUME}', name)

    def test_answer(self):
        if 'after' in self.case:
            self._replay(CASES[self.case['after']])
        self._replay(self.case)

    def _replay(self, case):
        held = self._held()
        rows = self._rows()
        request = self.fill_in(case['request'])
        response = self._send(request)
        expected = self.fill_in({**case['cinder'], **case.get('ours', {})})
        snapshot_id = self._check(request, expected, response)
        after = expected.get('then', {})
        name = expected.get('body', {}).get('snapshot') and self._name(
            request['json']['snapshot']['ref'])
        if 'adopted' in after or 'project' in after:
            row = self._settled(snapshot_id)
            self.assertEqual(after['status'], row.status)
            self.assertEqual(after.get('project', self.PROJECT),
                             row.project_id)
            if after.get('adopted', True):
                held.remove(name)
                held.append(f'snapshot-{snapshot_id}')
        elif after.get('status') == 'deleted':
            self.service.wait_for(lambda: len(self._rows()) == len(rows) - 1)
        else:
            self.assertEqual(rows.keys(), self._rows().keys())
        self.assertEqual(sorted(held), sorted(self._held()))

    def _send(self, wanted):
        headers = {
            'Accept': wanted.get('accept', 'application/json'),
            'OpenStack-API-Version': wanted.get('version', 'volume 3.8'),
        }
        token = wanted.get('token', 'admin')
        if token:
            headers['X-Auth-Token'] = self.token(token)
        body = wanted.get('bytes')
        if 'json' in wanted:
            body = json.dumps(wanted['json']).encode()
        elif 'text' in wanted:
            body = wanted['text'].encode()
        if body is not None:
            content_type = wanted.get('type', 'application/json')
            if content_type:
                headers['Content-Type'] = content_type
        request = webob.Request.blank(
            wanted['url'], method=wanted['method'], headers=headers,
            body=body or b'')
        return request.get_response(self.service.app)

    def _check(self, request, expected, response):
        """Compare an answer.

        :returns: the id of the snapshot that was made, if any
        """
        version = request.get('version', 'volume 3.8')
        if 'version' in expected:
            version = expected['version']
        self.assertEqual(expected['status'], response.status_int)
        self.assertEqual(expected.get('type', 'application/json'),
                         response.headers['Content-Type'])
        self.assertEqual(version,
                         response.headers.get('OpenStack-API-Version'))
        self.assertEqual('OpenStack-API-Version' if version else None,
                         response.headers.get('Vary'))
        self.assertEqual(expected.get('allow'),
                         response.headers.get('Allow'))
        self.assertRegex(response.headers['x-openstack-request-id'], '^req-')
        if 'body' not in expected:
            self.assertEqual(b'', response.body)
            return None
        body = json.loads(response.body)
        snapshot_id = None
        if 'snapshot' in body:
            snapshot_id = body['snapshot']['id']
            self.assertRegex(snapshot_id, '^[0-9a-f-]{36}$')
            self.assertRegex(body['snapshot']['created_at'],
                             r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$')
            body['snapshot'].update(id='<id>', created_at='<time>')
        if 'manageable-snapshots' in body:
            self._check_improvements(request, body)
        if expected['status'] == 413:
            # Releases of oslo.middleware differ in the number.
            body['message'] = re.sub(r'\(\d+\)', '(%s)', body['message'])
        self.assertEqual(expected['body'], body)
        return snapshot_id

    def _check_improvements(self, request, body):
        """Check and take away what the record calls next and repeated."""
        entries = body['manageable-snapshots']
        links = body.pop('manageable-snapshots_links', [])
        self.assertEqual(['next'] if entries and 'limit' in request['url']
                         else [], [link['rel'] for link in links])
        for entry in entries:
            self.assertRegex(
                entry['reference'].pop('source-id'), '^%s$' % self.identifier(
                    entry['source_reference']['source-name'],
                    entry['reference']['source-name']))

    def _held(self):
        return self.service.held(f'volume-{fixtures.VOLUME}') + (
            self.service.held(f'volume-{fixtures.OTHERS_VOLUME}'))

    def _rows(self):
        with self.service.database.reader(self.service.context) as session:
            return {row.id: row for row in snapshots.list_snapshots(
                session, self.service.context, all_projects=True)}

    def _settled(self, snapshot_id):
        self.service.wait_for(
            lambda: self._rows()[snapshot_id].status != 'creating')
        return self._rows()[snapshot_id]

    @staticmethod
    def _name(ref):
        return ref if isinstance(ref, str) else ref.get('source-name')


class StockAnswersTest(Answers, test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.Keystone())
        self.service = self.useFixture(
            fixtures.Service(**fixtures.Keystone.CONFIGURATION))
        self.populate()
