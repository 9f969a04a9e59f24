# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The companions' URLs over a database, with workers that only listen."""

import datetime
import functools
import json

import fixtures
from oslo_utils import timeutils
from oslotest import base

from manageable_snapshots.api import app
from manageable_snapshots.api.companions import urls
from manageable_snapshots.api import request
from manageable_snapshots import context
from manageable_snapshots.db import models
from manageable_snapshots.db import services
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots import policies
from manageable_snapshots.rpc import objects
from manageable_snapshots.tests.unit.db import base as database

HOST = 'node@dir'
PROJECT = 'a' * 32
OTHER_PROJECT = 'b' * 32


class VolumeClient:
    """Keeps what is sent to the workers.

    :ivar failure: raised in place of sending
    :ivar before: called first, with the id in the message
    """

    def __init__(self):
        self.sent = []
        self.failure = None
        self.before = lambda resource_id: None

    def __getattr__(self, method):
        def cast(ctxt, queue, resource, **arguments):
            resource_id = objects.identifier(resource)
            self.before(resource_id)
            if self.failure:
                raise self.failure
            self.sent.append((method, queue, resource_id, arguments))
        return cast


class CompanionsTestCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        fixture = self.useFixture(database.DatabaseFixture())
        self.conf, self.database = fixture.conf, fixture.database
        self.client = VolumeClient()
        self.app = app.Application(
            self.conf, self.database, self.client,
            policies.new_enforcer(self.conf), urls.COMPANIONS)
        self.admin = self.requester('admin', 'member', 'reader')
        self.member = self.requester('member', 'reader')
        self.reader = self.requester('reader')
        self.stranger = self.requester(
            'member', 'reader', project_id=OTHER_PROJECT)

    @staticmethod
    def requester(*roles, project_id=PROJECT):
        return context.RequestContext(
            user_id='-'.join(roles), project_id=project_id,
            roles=list(roles), is_admin='admin' in roles, overwrite=False)

    def environ(self, requester):
        """What the authentication middleware leaves for the application."""
        return {request.ENV_CONTEXT: requester,
                request.ENV_MAY: functools.partial(
                    policies.may, self.app.enforcer, requester)}

    def ask(self, method, path, body=None, *, version='3.0', status=200,
            requester=None, project=True):
        """The JSON of an answer; its text where there is none."""
        requester = requester or self.admin
        prefix = f'/{requester.project_id}' if project else ''
        options = {} if body is None else {
            'body': json.dumps(body).encode(),
            'content_type': 'application/json'}
        req = request.Request.blank(
            prefix + path, base_url='http://api.example/v3', method=method,
            headers={'OpenStack-API-Version': f'volume {version}'},
            environ=self.environ(requester), **options)
        response = req.get_response(self.app)
        self.assertEqual(status, response.status_int, response.text)
        if response.content_type == 'application/json':
            return response.json
        return response.text

    def refused(self, *arguments, status=400, **options):
        """The message of an error."""
        answer = self.ask(*arguments, status=status, **options)
        fault, = answer.values()
        return fault['message']

    def service(self, host=HOST, *, zone='nova', age=0, disabled=False,
                cluster=None):
        with self.database.writer(self.admin) as session:
            row = services.report(
                session, host=host, cluster=cluster, availability_zone=zone,
                rpc_version='3.20', object_version='1.39')
            row.disabled = disabled
            row.updated_at = timeutils.utcnow() - datetime.timedelta(
                seconds=age)
            return row.uuid

    def volume(self, **columns):
        with self.database.writer(self.admin) as session:
            return volumes.create(session, {
                'project_id': PROJECT, 'user_id': 'u', 'size': 1,
                'status': 'available', 'host': HOST, **columns}).id

    def snapshot(self, volume_id, status='available', metadata=None,
                 **columns):
        with self.database.writer(self.admin) as session:
            row = snapshots.create(
                session, self.admin,
                volumes.get(session, self.admin, volume_id), name='s',
                description=None, metadata=metadata)
            snapshots.update(session, row.id, status=status, **columns)
            return row.id

    def volume_row(self, volume_id):
        with self.database.reader(self.admin) as session:
            return volumes.get(session, self.admin, volume_id)

    def snapshot_row(self, snapshot_id):
        with self.database.reader(self.admin) as session:
            return snapshots.get(session, self.admin, snapshot_id)

    def usage(self, resource):
        with self.database.reader(self.admin) as session:
            return sum(row.in_use for row in session.query(
                models.QuotaUsage).filter_by(
                    project_id=PROJECT, resource=resource))

    def unreachable(self, before=None):
        """Let every message get lost.

        :param before: called with the id that is in it
        """
        self.client.failure = exception.ServiceUnavailable()
        if before:
            self.client.before = before
