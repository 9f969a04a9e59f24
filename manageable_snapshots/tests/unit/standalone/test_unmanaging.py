# SPDX-License-Identifier: Apache-2.0

"""What is logged when a snapshot is unmanaged or deleted."""

from unittest import mock

from manageable_snapshots.rpc import objects
from manageable_snapshots.standalone import volumes
from manageable_snapshots.tests.unit.volume import base
from manageable_snapshots.volume import inventory


class UnmanagingTest(base.WorkerTestCase):

    def setUp(self):
        super().setUp()
        self.volumes = volumes.Volumes(
            self.conf, self.database, self.driver,
            mock.Mock(spec=inventory.Inventory))
        self.snapshot_id = self.accepted(self.volume())
        self.driver.delete_snapshot = lambda snapshot: None

    def delete(self, **arguments):
        self.change(self.snapshot_id, status=(
            'unmanaging' if arguments else 'deleting'))
        return self.volumes.delete_snapshot(
            self.context, objects.snapshot(self.row(self.snapshot_id), {}),
            **arguments)

    def test_it_is_logged(self):
        self.assertTrue(self.delete(unmanage_only=True))
        self.assertIn(f'unmanaged {self.snapshot_id}\n', self.log.output)

    def test_a_deletion_is_another_thing(self):
        self.assertTrue(self.delete())
        self.assertNotIn('unmanaged', self.log.output)

    def test_one_that_fails_is_not_called_a_deletion(self):
        def fail(snapshot):
            raise ValueError('not now')

        self.driver.unmanage_snapshot = fail
        self.assertFalse(self.delete(unmanage_only=True))
        self.assertIn(f'Unmanaging snapshot {self.snapshot_id} failed.',
                      self.log.output)
        self.assertNotIn('unmanaged', self.log.output)
