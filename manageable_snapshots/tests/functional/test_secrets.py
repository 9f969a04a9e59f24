# SPDX-License-Identifier: Apache-2.0

"""What nobody is told: secrets in logs, and volumes of other projects."""

import logging
import re

import fixtures
from keystonemiddleware import fixture as auth_fixture
from oslotest import base
import webob

from manageable_snapshots.db import engine
from manageable_snapshots.rpc import transport
from manageable_snapshots.tests.functional import fixtures as own_fixtures

_TOKENS = {'admin': 's3cret-of-the-admin', 'member': 's3cret-of-the-member'}
_MISSING = '99999999-9999-9999-9999-999999999999'
_HOST = f'{own_fixtures.HOST}@{own_fixtures.BACKEND}'
_PATH = '/v3/manageable_snapshots'


class SecretsTestCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(own_fixtures.Keystone())
        tokens = self.useFixture(auth_fixture.AuthTokenFixture())
        for name, token in _TOKENS.items():
            tokens.add_token_data(
                token_id=token, user_id=name, user_name=name,
                project_id=own_fixtures.PROJECT,
                project_name=own_fixtures.PROJECT,
                role_list=[name, 'member', 'reader'])
        self.service = self.useFixture(own_fixtures.Service(
            **own_fixtures.Keystone.CONFIGURATION))
        self.service.populate()
        # Everything that anybody logs.
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))

    def send(self, path: str, who: str, body: dict | None = None,
             ) -> webob.Response:
        request = webob.Request.blank(path, headers={
            'X-Auth-Token': _TOKENS[who],
            'OpenStack-API-Version': 'volume 3.8'})
        if body is not None:
            request.method = 'POST'
            request.json = body
            request.content_type = 'application/json'
        return request.get_response(self.service.app)

    def adopt(self, volume_id: str, who: str,
              ref: str = 'monday') -> webob.Response:
        return self.send(_PATH, who, {
            'snapshot': {'volume_id': volume_id, 'ref': ref}})


class LogTest(SecretsTestCase):

    def test_no_token_is_in_a_log_at_any_level(self) -> None:
        for who in _TOKENS:
            self.send(f'{_PATH}?host={_HOST}', who)
            self.send(f'{_PATH}?host=nobody@nowhere', who)
            for ref in ('tuesday', 'not there', f'snapshot-{_MISSING}'):
                self.adopt(own_fixtures.VOLUME, who, ref)
        self.service.wait_for(
            lambda: 'is adopted' in self.log.output
            and self.log.output.count(' failed (') >= 2)
        self.assertNotIn('s3cret', self.log.output)

    def test_options_are_masked_where_they_are_logged(self) -> None:
        conf = self.service.conf
        for name, group, value in (
                ('connection', 'database', 'mysql+pymysql://u:s3c@host/db'),
                ('transport_url', None, 'rabbit://u:s3c@host/'),
                ('transport_url', 'oslo_messaging_notifications',
                 'rabbit://u:s3c@host/'),
                ('backend_url', 'coordination', 'redis://:s3c@host')):
            conf.set_override(name, value, group)
        engine.Database(self.service.conf, timeout=1)
        transport.get_transport(conf)
        logger = logging.getLogger('options')
        conf.log_opt_values(logger, logging.DEBUG)
        self.assertIn('coordination.backend_url', self.log.output)
        self.assertNotIn('s3c@', self.log.output)


class OtherProjectsTest(SecretsTestCase):

    def alike(self, first: webob.Response, second: webob.Response) -> None:
        """The same but for the ids that were asked for, and of requests."""
        answers = [
            (answer.status, re.sub(r'[0-9a-f-]{36}', 'ID', answer.text),
             sorted(name for name in answer.headers))
            for answer in (first, second)]
        self.assertEqual(*answers)

    def test_a_volume_of_another_project_looks_as_if_it_were_not_there(
            self) -> None:
        foreign = self.adopt(own_fixtures.OTHERS_VOLUME, 'member')
        self.assertEqual(404, foreign.status_int)
        self.alike(foreign, self.adopt(_MISSING, 'member'))

    def test_so_does_it_whatever_the_reference(self) -> None:
        for ref in ('friday', 'not there', f'snapshot-{_MISSING}'):
            self.alike(
                self.adopt(own_fixtures.OTHERS_VOLUME, 'member', ref),
                self.adopt(_MISSING, 'member', ref))

    def test_who_may_not_list_learns_of_no_backend(self) -> None:
        known = self.send(f'{_PATH}?host={_HOST}', 'member')
        self.assertEqual(403, known.status_int)
        for query in ('host=nobody@nowhere', 'host=%25', '', 'limit=x',
                      f'host={_HOST}&marker=x'):
            self.alike(known, self.send(f'{_PATH}?{query}', 'member'))

    def test_what_is_shown_of_other_projects_looks_the_same(self) -> None:
        self.service.add_snapshot(
            own_fixtures.OTHERS_VOLUME, '6' * 8 + '-6666-6666-6666-'
            + '6' * 12, project_id=own_fixtures.OTHER_PROJECT)
        for kind, there in (
                ('volumes', own_fixtures.OTHERS_VOLUME),
                ('snapshots', '6' * 8 + '-6666-6666-6666-' + '6' * 12)):
            found = self.send(f'/v3/{kind}/{there}', 'member')
            self.assertEqual(404, found.status_int)
            self.alike(found, self.send(f'/v3/{kind}/{_MISSING}', 'member'))
