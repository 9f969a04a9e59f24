# SPDX-License-Identifier: Apache-2.0

"""The rbd driver in place of Cinder's, in a real Cinder over a real Ceph."""

import contextlib
import hashlib
import os
import signal
import time

from manageable_snapshots.tests.integration import cinder

#: what is written to each image; more than one of Ceph's objects
LENGTH = 5 * 2**20

#: seconds within which a list is answered
TIMEOUT = 6

HASTY = f"""
[ceph]
rbd_op_timeout = 3
[manageable_snapshots]
inventory_max_age = 0
list_timeout = {TIMEOUT}
recovery_interval = 5
"""


class DataTest(cinder.TestCase):
    """Adopting moves no byte."""

    def setUp(self):
        super().setUp()
        self.volume_id = self.stack.volume()
        self.name = f'volume-{self.volume_id}'
        self.old = self.write()
        self.stack.put(self.volume_id, 'old', 'other')
        self.new = self.write()

    def write(self):
        data = os.urandom(LENGTH)
        with self.stack.image(self.name) as image:
            image.write(data, 0)
        return hashlib.sha256(data).hexdigest()

    def read(self, name, snapshot=None):
        with self.stack.image(name) as image:
            image.set_snap(snapshot)
            return hashlib.sha256(image.read(0, LENGTH)).hexdigest()

    def adopted(self, name='old'):
        status, snapshot = self.stack.adopt(
            self.volume_id, {'source-name': name})
        self.assertEqual(202, status, snapshot)
        self.stack.wait('snapshot', snapshot['id'], 'available')
        return snapshot['id']

    def gone(self, kind, resource_id):
        self.stack.ask('DELETE', f'{kind}s/{resource_id}')
        self.stack.wait(kind, resource_id, None)

    def test_what_is_adopted_can_be_made_a_volume(self):
        snapshot_id = self.adopted()
        name = f'snapshot-{snapshot_id}'
        self.assertEqual(self.old, self.read(self.name, name))
        self.assertEqual(self.new, self.read(self.name))
        copy = self.stack.volume(snapshot_id=snapshot_id)
        self.assertEqual(self.old, self.read(f'volume-{copy}'))
        # Cinder keeps a snapshot that has clones, and theirs goes on.
        self.gone('volume', copy)
        self.gone('snapshot', snapshot_id)
        self.assertEqual({'other'}, self.stack.held(self.volume_id))
        self.assertEqual(self.old, self.read(self.name, 'other'))
        self.assertEqual(self.new, self.read(self.name))

    def test_a_clone_that_was_there_before_still_works(self):
        self.stack.clone(self.name, 'old', 'foreign')
        self.addCleanup(self.stack.remove_image, 'foreign')
        snapshot_id = self.adopted()
        self.assertEqual(self.old, self.read('foreign'))
        with self.stack.image('foreign') as image:
            self.assertEqual((cinder.POOL, self.name,
                              f'snapshot-{snapshot_id}'),
                             image.parent_info())

    def test_it_is_protected_until_it_is_unmanaged(self):
        snapshot_id = self.adopted()
        name = f'snapshot-{snapshot_id}'
        with self.stack.image(self.name) as image:
            self.assertTrue(image.is_protected_snap(name))
            self.assertFalse(image.is_protected_snap('other'))
        self.stack.ask('POST', f'snapshots/{snapshot_id}/action',
                       {'os-unmanage': {}})
        self.stack.wait('snapshot', snapshot_id, None)
        self.assertEqual({name, 'other'}, self.stack.held(self.volume_id))
        self.assertEqual(self.old, self.read(self.name, name))
        with self.stack.image(self.name) as image:
            self.assertFalse(image.is_protected_snap(name))


class PoolTest(cinder.TestCase):

    def test_a_pool_is_what_is_listed(self):
        volume_id = self.stack.volume()
        self.stack.put(volume_id, 'old')
        for host, names in ((cinder.HOST, ['old']),
                            (f'{cinder.HOST}%23ceph', ['old']),
                            (f'{cinder.HOST}%23other', [])):
            status, body = self.stack.ask(
                'GET', f'manageable_snapshots?host={host}')
            self.assertEqual((200, names), (status, [
                entry['reference']['source-name']
                for entry in body['manageable-snapshots']]), host)


class SafetyTest(cinder.TestCase):
    """What is not safe to manage for Cinder's driver is not for ours."""

    def listed(self):
        """(image, name) → whether it is safe, and why not."""
        status, body = self.stack.ask(
            'GET', f'manageable_snapshots/detail?host={cinder.HOST}')
        self.assertEqual(200, status, body)
        return {(entry['source_reference']['source-name'],
                 entry['reference']['source-name']):
                (entry['safe_to_manage'], entry['reason_not_safe'])
                for entry in body['manageable-snapshots']}

    def test_the_same_pool_listed_by_both(self):
        volume_id = self.stack.volume()
        # Cinder takes a snapshot to clone a volume, and keeps it.
        self.stack.volume(source_volid=volume_id)
        (clone_snap,) = self.stack.held(volume_id)
        backup = f'backup.{volume_id}.snap.1764374400.12'
        self.stack.put(volume_id, 'mine', backup, 'backups.snap.',
                       'my.clone_snap', 'my.clone_snap.2', 'x.backup.snap.')
        snapshot_id = self.stack.snapshot(volume_id)
        ours = self.listed()
        for name, reason in ((clone_snap, 'used for clone snap'),
                             (backup, 'used for volume backup')):
            self.assertEqual(
                (False, reason), ours[f'volume-{volume_id}', name])
            status, snapshot = self.stack.adopt(
                volume_id, {'source-name': name})
            self.assertEqual(202, status, snapshot)
            refused = self.stack.wait('snapshot', snapshot['id'], 'error')
            self.assertIn(reason, refused['metadata']['manage_error'])
        self.assertLess({clone_snap, backup, f'snapshot-{snapshot_id}'},
                        self.stack.held(volume_id))
        self.stack.load()
        self.assertEqual(self.listed(), ours)


class HangTest(cinder.TestCase):

    CONF = HASTY

    @contextlib.contextmanager
    def stopped_osd(self):
        with open(os.path.join(self.stack.folder, 'ceph', 'pids')) as file:
            pid = int(file.read().split()[-2])
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def test_an_osd_hangs(self):
        volume_id = self.stack.volume()
        self.stack.put(volume_id, 'old')
        with self.stopped_osd():
            for _attempt in range(2):
                since = time.monotonic()
                status, answer = self.stack.ask(
                    'GET', f'manageable_snapshots?host={cinder.HOST}')
                self.assertEqual(504, status, answer)
                self.assertIn('ceph', str(answer))
                self.assertLess(time.monotonic() - since, TIMEOUT + 1)
            status, snapshot = self.stack.adopt(
                volume_id, {'source-name': 'old'})
            self.assertEqual(202, status, snapshot)
            cinder.wait_for(lambda: (
                f'Adopting snapshot {snapshot["id"]} is put off'
                in self.stack.log('volume')))
        self.stack.wait('snapshot', snapshot['id'], 'available')
        self.assertEqual({f'snapshot-{snapshot["id"]}'},
                         self.stack.held(volume_id))
        _status, body = self.stack.ask(
            'GET', f'manageable_snapshots?host={cinder.HOST}')
        self.assertEqual(1, len(body['manageable-snapshots']))
