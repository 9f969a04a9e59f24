# SPDX-License-Identifier: Apache-2.0

"""Ceph fails over to a second cluster under a real Cinder, and back.

The volumes of backend devhost@ceph-r are mirrored by rbd-mirror.
"""

import json
import os
import signal
import subprocess
import sys

from manageable_snapshots.tests.integration import cinder

HOST = 'devhost@ceph-r'
POOL = 'volumes-r'

#: with scans that would be kept, were it not for the failover
CONF = """
[ceph-r]
rbd_op_timeout = 5
[manageable_snapshots]
inventory_max_age = 600
recovery_interval = 2
"""

_MANAGE = os.path.join(os.path.dirname(sys.executable),
                       'manageable-snapshots-manage')


class FailoverTestCase(cinder.TestCase):

    CONF = CONF
    ENVIRON = {'CINDER_BACKENDS': 'ceph ceph-r'}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.first = cls.stack.open_pool(POOL)
        cls.second = cls.stack.open_pool(
            POOL, os.path.join(cls.stack.folder, 'replica', 'ceph.conf'))
        if not cls.has_type():
            cls.stack.ask('POST', 'types', {'volume_type': {
                'name': 'mirrored', 'extra_specs': {
                    'volume_backend_name': 'ceph-r',
                    'replication_enabled': '<is> True'}}})

    @classmethod
    def has_type(cls):
        _status, body = cls.stack.ask('GET', 'types')
        return 'mirrored' in [each['name'] for each in body['volume_types']]

    def setUp(self):
        super().setUp()
        self.addCleanup(self.restore)
        self.volume_id = self.stack.volume(volume_type='mirrored')
        self.stack.put(self.volume_id, 'a', 'b', pool=self.first)
        self.wait_until_mirrored('a', 'b')

    def restore(self):
        """Let the backend be as if it had never failed over."""
        if self.service()['replication_status'] == 'enabled' and (
                self.service()['status'] == 'enabled'):
            return
        self.stack.rig('stop', 'volume')
        self.stack.execute(
            "UPDATE services SET replication_status = 'enabled', "
            "active_backend_id = '', disabled = 0, frozen = 0 "
            f"WHERE host = '{HOST}'")
        self.stack.rig('start', 'volume')

    def service(self):
        _status, body = self.stack.ask(
            'GET', f'os-services?host={HOST}&binary=cinder-volume')
        return body['services'][0]

    def change(self, action, **body):
        status, answer = self.stack.ask(
            'PUT', f'os-services/{action}', {'host': HOST, **body},
            version='3.0')
        self.assertIn(status, (200, 202), answer)

    def fail_over(self, target='b'):
        self.change('failover_host', backend_id=target)
        wanted = 'enabled' if target == 'default' else 'failed-over'
        cinder.wait_for(
            lambda: self.service()['replication_status'] == wanted)
        self.stack.wait('volume', self.volume_id, 'available')
        # Cinder leaves it disabled, and os-services/enable of release 29
        # changes nothing.
        self.stack.execute(
            f"UPDATE services SET disabled = 0 WHERE host = '{HOST}'")

    def wait_until_mirrored(self, *names):
        """Wait until the second cluster has snapshots of the volume."""
        import rbd

        def held():
            try:
                return self.stack.held(self.volume_id, self.second)
            except rbd.ImageNotFound:
                return ()

        cinder.wait_for(lambda: set(names) <= set(held()))

    def list_page(self, query=''):
        status, body = self.stack.ask(
            'GET', f'manageable_snapshots?host={HOST}{query}')
        self.assertEqual(200, status, body)
        return body

    def listed(self):
        """The entries of this test's volume, by name."""
        return {
            entry['reference']['source-name']: entry
            for page in self.stack.pages(
                f'manageable_snapshots/detail?host={HOST}')
            for entry in page if entry['source_reference']['source-name']
            == f'volume-{self.volume_id}'}

    def ask_to_adopt(self, name):
        status, snapshot = self.stack.adopt(
            self.volume_id, {'source-name': name})
        self.assertEqual(202, status, snapshot)
        return snapshot['id']

    def adopted(self, name):
        snapshot_id = self.ask_to_adopt(name)
        self.stack.wait('snapshot', snapshot_id, 'available')
        return snapshot_id


class FailoverTest(FailoverTestCase):

    def test_lists_and_adoptions_follow_it_there_and_back(self):
        self.assertEqual({'a', 'b'}, set(self.listed()))
        walk = self.list_page('&limit=1&sort=reference:asc')
        self.fail_over()
        self.stack.put(self.volume_id, 'c', pool=self.second)
        before = self.stack.held(self.volume_id, self.first)
        # Neither a new list nor a walk that began before shows the old.
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))
        following = self.stack.pages(
            walk['manageable-snapshots_links'][0]['href'].rpartition(
                self.stack.project() + '/')[2])
        self.assertIn('c', [entry['reference']['source-name']
                            for page in following for entry in page])
        self.assertTrue(self.listed()['a']['safe_to_manage'])
        snapshot_id = self.adopted('a')
        self.assertEqual({f'snapshot-{snapshot_id}', 'b', 'c'},
                         self.stack.held(self.volume_id, self.second))
        self.assertEqual({'a', 'b'}, before)
        # Back. Nothing is mirrored that way here.
        after = self.stack.held(self.volume_id, self.second)
        self.fail_over('default')
        self.stack.put(self.volume_id, 'd', pool=self.first)
        self.assertEqual({'a', 'b', 'd'}, set(self.listed()))
        snapshot_id = self.adopted('d')
        self.assertEqual({f'snapshot-{snapshot_id}', 'a', 'b'},
                         self.stack.held(self.volume_id, self.first))
        self.assertEqual(after,
                         self.stack.held(self.volume_id, self.second))

    def test_what_was_accepted_before_is_adopted_after_a_restart(self):
        self.stack.rig('stop', 'volume')
        snapshot_id = self.ask_to_adopt('a')
        # As where the whole site has gone, and Cinder moved.
        self.stack.execute(
            "UPDATE services SET replication_status = 'failed-over', "
            f"active_backend_id = 'b' WHERE host = '{HOST}'")
        with self.stack.image(f'volume-{self.volume_id}',
                              self.second) as image:
            image.mirror_image_promote(True)
        self.stack.rig('start', 'volume')
        self.stack.wait('snapshot', snapshot_id, 'available')
        self.assertEqual({f'snapshot-{snapshot_id}', 'b'},
                         self.stack.held(self.volume_id, self.second))
        self.assertEqual({'a', 'b'},
                         self.stack.held(self.volume_id, self.first))

    def test_adoptions_under_way_are_finished_on_the_new_cluster(self):
        names = [f'old-{number}' for number in range(20)]
        self.stack.put(self.volume_id, *names, pool=self.first)
        self.wait_until_mirrored(*names)
        ids = [self.ask_to_adopt(name) for name in names[:10]]
        self.change('failover_host', backend_id='b')
        for name in names[10:]:
            status, snapshot = self.stack.adopt(
                self.volume_id, {'source-name': name})
            # Cinder disables the service at the end of the failover.
            self.assertIn(status, (202, 503), snapshot)
            if status == 202:
                ids.append(snapshot['id'])
        for snapshot_id in ids:
            self.stack.wait('snapshot', snapshot_id, 'available')
        held = self.stack.held(self.volume_id, self.second)
        self.assertEqual(
            set(), {f'snapshot-{snapshot_id}' for snapshot_id in ids} - held)
        self.assertEqual(22, len(held))

    def test_the_old_cluster_may_be_dead(self):
        self.fail_over()
        with open(os.path.join(self.stack.folder, 'ceph', 'pids')) as file:
            pids = [int(line.split()[0]) for line in file]
        for pid in pids:
            self.addCleanup(os.kill, pid, signal.SIGCONT)
            os.kill(pid, signal.SIGSTOP)
        self.assertEqual({'a', 'b'}, set(self.listed()))
        self.adopted('a')

    def test_a_frozen_backend_does_neither(self):
        self.change('freeze')
        status, answer = self.stack.ask(
            'GET', f'manageable_snapshots?host={HOST}')
        self.assertEqual(503, status, answer)
        status, answer = self.stack.adopt(
            self.volume_id, {'source-name': 'a'})
        self.assertEqual(503, status, answer)
        self.change('thaw')
        self.adopted('a')


class AuditTest(FailoverTestCase):
    """It is not told by a driver where the backend is."""

    def audit(self, *arguments):
        done = subprocess.run(
            [_MANAGE, '--config-file', self.stack.configuration, 'audit',
             '--format', 'json', '--older-than', '0', '--backend', HOST,
             *arguments],
            capture_output=True, text=True, timeout=cinder.PATIENCE)
        self.assertNotIn('Traceback', done.stderr)
        answer = json.loads(done.stdout)
        return answer, {breach['snapshot_id']: breach['kind']
                        for breach in answer['breaches']}

    def test_it_looks_at_the_active_cluster(self):
        self.fail_over()
        snapshot_id = self.adopted('a')
        self.stack.rig('stop', 'volume')
        unfinished = self.ask_to_adopt('b')
        with self.stack.image(f'volume-{self.volume_id}',
                              self.second) as image:
            image.rename_snap('b', f'snapshot-{unfinished}')
        before = self.stack.held(self.volume_id, self.first)
        answer, kinds = self.audit('--repair')
        self.assertEqual([], answer['not_looked_at'])
        self.assertEqual({unfinished: 'unfinished'}, kinds)
        self.stack.wait('snapshot', unfinished, 'available')
        self.assertEqual(before,
                         self.stack.held(self.volume_id, self.first))
        self.assertEqual(
            {f'snapshot-{snapshot_id}', f'snapshot-{unfinished}'},
            self.stack.held(self.volume_id, self.second))

    def test_it_waits_until_a_failover_is_over(self):
        self.stack.execute(
            "UPDATE services SET replication_status = 'failing-over' "
            f"WHERE host = '{HOST}'")
        answer, kinds = self.audit()
        self.assertEqual(
            ({}, [f'{HOST} was not looked at to the end: Backend {HOST} is '
                  'failing over.']), (kinds, answer['not_looked_at']))
