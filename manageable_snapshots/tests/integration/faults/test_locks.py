# SPDX-License-Identifier: Apache-2.0

"""Locks that run out unless they are renewed."""

import contextlib

from oslotest import base as test_base
import sqlalchemy as sa

from manageable_snapshots import conf as project_conf
from manageable_snapshots import exception
from manageable_snapshots.standalone import coordination
from manageable_snapshots.tests.integration.faults import rig
from manageable_snapshots.tests.integration import servers
from manageable_snapshots.volume import locks

#: seconds; etcd has no shorter ones
LEASE = 2


class TestEtcd(test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.url = servers.url('etcd')
        self.name = f'volume-{self.id()}'

    def worker(self):
        """The locks of one more worker."""
        conf = project_conf.new()
        conf([], default_config_files=[])
        conf.set_override(
            'backend_url', f'{self.url}&timeout={LEASE}&lock_timeout={LEASE}',
            'coordination')
        conf.set_override('lock_timeout', 3 * LEASE, 'manageable_snapshots')
        connected = coordination.Coordinator(conf)
        connected.start()
        self.addCleanup(connected.stop)
        return locks.Locks(conf, connected, 'node@dir')

    def assert_held(self, worker):
        """For longer than it would be by itself."""
        self.assertRaises(exception.ServiceUnavailable,
                          worker.hold(self.name).__enter__)

    def test_one_that_is_held_does_not_run_out(self):
        holder, waiter = self.worker(), self.worker()
        with holder.hold(self.name):
            self.assert_held(waiter)
        with waiter.hold(self.name):
            pass

    def test_one_whose_release_was_lost_is_released_later(self):
        holder, waiter = self.worker(), self.worker()
        etcd = rig.server(sa.engine.make_url(self.url).port, '--data-dir')
        with contextlib.ExitStack() as outage, holder.hold(self.name):
            outage.enter_context(etcd.killed())
        self.assert_held(waiter)
        with holder.hold('ref-another'), waiter.hold(self.name):
            pass
