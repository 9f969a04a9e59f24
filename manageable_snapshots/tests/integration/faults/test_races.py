# SPDX-License-Identifier: Apache-2.0

"""Many clients that want the same snapshots at the same time."""

import collections
from concurrent import futures

import sqlalchemy as sa

from manageable_snapshots.tests.integration.faults import deployment
from manageable_snapshots.tests.integration.faults import in_cinder
from manageable_snapshots.tests.integration.faults import standalone
from manageable_snapshots.tests.integration import servers

CLIENTS = 32
VOLUMES = 5
SNAPSHOTS = 50


class Race:
    """The test, for each way of keeping workers apart."""

    WORKERS = 1

    def test_each_snapshot_is_adopted_once(self):
        dice = deployment.seeded(self)
        foreign = self.deployment.foreign(VOLUMES, SNAPSHOTS // VOLUMES)
        # Each client has an order of its own.
        orders = [dice.sample(foreign, SNAPSHOTS) for _ in range(CLIENTS)]

        def adopt_all(order):
            return [self.deployment.insist(each) for each in order]

        with futures.ThreadPoolExecutor(CLIENTS) as executor:
            statuses = collections.Counter(
                status for of_client in executor.map(adopt_all, orders)
                for status in of_client)
        self.assertEqual(CLIENTS * SNAPSHOTS, sum(statuses.values()))
        self.assert_sound()
        self.assert_adopted(foreign)
        rows = collections.Counter(self.rows())
        # What the API let pass while another worker had it, ends in error.
        self.assertEqual(
            {'available': SNAPSHOTS, 'error': statuses[202] - SNAPSHOTS},
            {'error': 0, **rows})

    def rows(self):
        engine = sa.create_engine(self.deployment.database_url)
        with engine.connect() as connection:
            statuses = list(connection.scalars(sa.text(
                'SELECT status FROM snapshots WHERE deleted = 0')))
        engine.dispose()
        return statuses


class TestOneWorker(Race, standalone.TestCase):
    pass


class TestInCinder(Race, in_cinder.TestCase):
    """With the locks of Cinder's own coordination."""


class TestFileLocks(Race, standalone.TestCase):

    WORKERS = 2


class TestSqlLocks(Race, standalone.TestCase):
    """The locks of MariaDB, as workers on several nodes have them."""

    WORKERS = 2

    def deploy(self):
        url = sa.engine.make_url(self.database_url)
        return standalone.Deployment(
            self.database_url, servers.url('rabbitmq'), self.WORKERS,
            url.set(drivername='mysql').render_as_string(
                hide_password=False))


class TestEtcdLocks(Race, standalone.TestCase):
    """Those of etcd, which have to be renewed."""

    WORKERS = 2

    def deploy(self):
        return standalone.Deployment(
            self.database_url, servers.url('rabbitmq'), self.WORKERS,
            servers.url('etcd'))
