# SPDX-License-Identifier: Apache-2.0

"""The standalone URLs over a database, with workers that only listen."""

import contextlib
import datetime
import functools
import json

import fixtures
from oslo_utils import timeutils
from oslotest import base

from manageable_snapshots.api import app
from manageable_snapshots.api import request
from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import services
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots import policies
from manageable_snapshots.rpc import objects
from manageable_snapshots.standalone.api import urls
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


class DeafDatabase:
    """A database whose answer to a commit gets lost when it is told to.

    :ivar lost: what becomes of the commits to come: ``committed`` or
        ``undone`` for each whose answer gets lost, ``away`` for each
        transaction that is not begun
    """

    def __init__(self, real):
        self._real = real
        self.lost = []

    def __getattr__(self, name):
        return getattr(self._real, name)

    @contextlib.contextmanager
    def writer(self, requester):
        fate = self.lost.pop(0) if self.lost else None
        if fate == 'away':
            raise exception.ServiceUnavailable('The database is away.')
        with self._real.writer(requester) as session:
            yield session
            if fate == 'undone':
                session.rollback()
        if fate:
            raise engine.CommitLost('The database does not answer.')


class StandaloneTestCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        fixture = self.useFixture(
            database.DatabaseFixture(self.new_database()))
        self.conf, self.database = fixture.conf, fixture.database
        self.client = VolumeClient()
        self.enforcer = policies.new_enforcer(self.conf)
        self.app = app.Application(
            self.conf, self.database, self.client,
            urls.VOLUMES)
        self.admin = self.requester('admin', 'member', 'reader')
        self.member = self.requester('member', 'reader')
        self.reader = self.requester('reader')
        self.stranger = self.requester(
            'member', 'reader', project_id=OTHER_PROJECT)

    def new_database(self):
        """The URL of a database without tables; None: SQLite."""
        return None

    @staticmethod
    def requester(*roles, project_id=PROJECT):
        return context.RequestContext(
            user_id='-'.join(roles), project_id=project_id,
            roles=list(roles), is_admin='admin' in roles, overwrite=False)

    def environ(self, requester):
        """What the authentication middleware leaves for the application."""
        requester.may = functools.partial(
            policies.may, self.enforcer, requester)
        return {request.ENV_CONTEXT: requester}

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

    def lose(self, *fates):
        """Let the answers to the next commits of the API get lost.

        :param fates: see :class:`DeafDatabase`
        """
        self.app.database = DeafDatabase(self.database)
        self.app.database.lost = list(fates)

    def unreachable(self, before=None):
        """Let every message get lost.

        :param before: called with the id that is in it
        """
        self.client.failure = exception.VolumeServiceUnavailable(
            service=HOST)
        if before:
            self.client.before = before
