# SPDX-License-Identifier: Apache-2.0

"""The service on its own, with a volume group of a real LVM."""

import os

from oslotest import base

from manageable_snapshots.tests.drivers import lvm_group
from manageable_snapshots.tests.integration import serving


class TestService(serving.Asking, base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.group = lvm_group.VolumeGroup(thin=True)
        self.addCleanup(self.group.remove)
        self.service = self.useFixture(serving.Service(f"""
volume_driver = lvm
volume_group = {self.group.name}
"""))

    def volume(self, *names):
        """The id and the LV of a volume, with foreign snapshots."""
        volume_id = self.new_volume()
        volume = f'volume-{volume_id}'
        for name in names:
            with open(self.group.path(volume), 'r+b') as device:
                device.write(name.encode())
                device.flush()
                os.fsync(device.fileno())
            lvm_group.lvm(self.group.snapshot(volume, name))
        return volume_id, volume

    def data(self, name):
        with open(self.group.path(name), 'rb') as device:
            return device.read(5)

    def test_list_adopt_unmanage_and_delete(self):
        volume_id, volume = self.volume('mine1', 'other')
        other_id, other = self.volume('their')
        listed = self.listed()
        self.assertEqual(
            {(volume, 'mine1'), (volume, 'other'), (other, 'their')},
            set(listed))
        ref = listed[volume, 'mine1']['reference']

        refused = self.settle('snapshots', self.adopt(other_id, ref))
        self.assertEqual('error', refused['status'])
        self.assertIn(f'it is a snapshot of {volume}, not of {other}',
                      refused['metadata']['manage_error'])

        snapshot_id = self.adopt(volume_id, ref)
        snapshot = self.settle('snapshots', snapshot_id)
        self.assertEqual('available', snapshot['status'], snapshot)
        name = f'_snapshot-{snapshot_id}'
        self.assertEqual(b'mine1', self.data(name))
        entry = self.listed()[volume, name]
        self.assertEqual(('already managed', snapshot_id),
                         (entry['reason_not_safe'], entry['cinder_id']))
        for ref in (entry['reference'], {'source-name': name},
                    {'source-id': entry['reference']['source-id']}):
            again = self.settle('snapshots', self.adopt(volume_id, ref))
            self.assertEqual('error', again['status'])
            self.assertIn(f'snapshot {snapshot_id} manages it already',
                          again['metadata']['manage_error'])

        self.unmanage(snapshot_id)
        entry = self.listed()[volume, name]
        self.assertTrue(entry['safe_to_manage'], entry)
        adopted = self.adopt(volume_id, entry['reference'])
        self.assertEqual(
            'available', self.settle('snapshots', adopted)['status'])
        self.assertEqual(b'mine1', self.data(f'_snapshot-{adopted}'))

        self.delete(adopted)
        self.assertEqual({(volume, 'other'), (other, 'their')},
                         set(self.listed()))
        self.assertEqual([b'other', b'other', b'their'],
                         [self.data(each) for each in (
                             'other', volume, 'their')])
