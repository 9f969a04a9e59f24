# SPDX-License-Identifier: Apache-2.0

"""The recorded answers of stock, replayed with the project in a real Cinder.

Both halves are loaded. What the functional tests do with the embedded
service, this does with Cinder, Keystone, MariaDB, RabbitMQ and Ceph.
"""

import re

from oslo_utils import units
import testscenarios
from webob import client

from manageable_snapshots import conf
from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import volumes
from manageable_snapshots import releases
from manageable_snapshots.tests.functional import test_stock_answers
from manageable_snapshots.tests.integration import cinder

load_tests = testscenarios.load_tests_apply_scenarios


class Service:
    """What ``fixtures.Service`` is to the tests, over a stack.

    :param stack: the stack, without volumes
    """

    def __init__(self, stack: cinder.Stack) -> None:
        self._stack = stack
        self._sends = client.SendRequest()
        configuration = conf.new()
        configuration([], default_config_files=[])
        configuration.set_override(
            'connection', stack.database_url, 'database')
        self.database = engine.Database(configuration)
        self.context = context.get_admin_context()

    def app(self, environ, start_response):
        """Send a request to Cinder's API."""
        address = self._stack.url.rpartition('/')[2]
        host, port = address.split(':')
        environ.update(HTTP_HOST=address, SERVER_NAME=host, SERVER_PORT=port)
        return self._sends(environ, start_response)

    def add_volume(self, volume_id, **columns):
        with self.database.writer(self.context) as session:
            volumes.create(session, {
                'id': volume_id, 'user_id': 'tester', 'size': 1,
                'status': 'available', 'display_name': 'volume',
                'availability_zone': 'nova', 'host': f'{cinder.HOST}#ceph',
                **columns})
        self.put_volume(f'volume-{volume_id}')

    def add_snapshot(self, volume_id, snapshot_id, **columns):
        with self.database.writer(self.context) as session:
            volume = volumes.get(session, self.context, volume_id)
            session.add(models.Snapshot(
                id=snapshot_id, volume_id=volume_id, user_id='tester',
                volume_type_id=volume.volume_type_id, volume_size=1,
                status='available', progress='100%', **columns))
        self.put_snapshot(f'volume-{volume_id}', f'snapshot-{snapshot_id}')

    def put_volume(self, name, size=1):
        self._stack.make_image(name, size * units.Gi)

    def put_snapshot(self, volume_name, name, size=1):
        with self._stack.image(volume_name) as image:
            image.create_snap(name)

    def held(self, volume_name):
        with self._stack.image(volume_name) as image:
            return [found['name'] for found in image.list_snaps()]

    def wait_for(self, condition):
        cinder.wait_for(condition)


class AnswersTest(test_stock_answers.Answers, cinder.TestCase):

    HOST = 'devhost@ceph%23ceph'

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.PROJECT = cls.stack.project()
        cls.OTHER_PROJECT = cls.stack.project('demo')

    def setUp(self):
        super().setUp()
        self.stack.clear()
        self.service = Service(self.stack)
        self.addCleanup(self.service.database.dispose)
        self.populate()

    def fill_in(self, value):
        value = super().fill_in(value)
        newest = releases.find(self.stack.release).microversion
        major, minor = newest.split('.')
        # What was recorded is of a release that has 3.71, and is replaced in
        # this order.
        return test_stock_answers.fill_in(value, {
            '3.71': newest, '3.72': f'{major}.{int(minor) + 1}'})

    def token(self, user):
        return self.stack.token({'admin': 'admin', 'outsider': 'demo'}[user])

    def identifier(self, volume, name):
        # Not the very number: a page by its offset may be of the list that
        # the case before has left.
        return re.escape(volume) + '@[0-9]+'
