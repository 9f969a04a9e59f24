# SPDX-License-Identifier: Apache-2.0

"""The volumes and snapshots that a worker makes and deletes."""

from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots.drivers import base as drivers_base
from manageable_snapshots import exception
from manageable_snapshots.rpc import objects
from manageable_snapshots.standalone import volumes as standalone_volumes
from manageable_snapshots.tests.unit.volume import base


class VolumeDriver(base.FakeDriver, drivers_base.VolumeDriver):
    """A driver that keeps what it was asked for.

    :ivar meanwhile: called during the next call
    """

    def __init__(self, conf, backend='dir'):
        super().__init__(conf, backend)
        self.volumes = set()
        self.calls = []
        self.meanwhile = None

    def _called(self, name):
        self.calls.append(name)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        if self.failure:
            raise self.failure

    def create_volume(self, volume):
        self._called('create_volume')
        self.volumes.add(volume.name)
        return {'provider_id': 'p'}

    def delete_volume(self, volume):
        self._called('delete_volume')
        self.volumes.discard(volume.name)

    def create_snapshot(self, snapshot):
        self._called('create_snapshot')
        self.held[snapshot.volume_name, snapshot.name] = 1

    def delete_snapshot(self, snapshot):
        self._called('delete_snapshot')
        self.held.pop((snapshot.volume_name, snapshot.name), None)

    def unmanage_snapshot(self, snapshot):
        self._called('unmanage_snapshot')

    def get_volume_stats(self, refresh=False):
        return {'refreshed': refresh}


class Inventory:
    def __init__(self):
        self.changes = 0

    def changed(self):
        self.changes += 1


class VolumesTest(base.WorkerTestCase):

    def setUp(self):
        super().setUp()
        self.driver = VolumeDriver(self.conf)
        self.inventory = Inventory()
        self.volumes = standalone_volumes.Volumes(
            self.conf, self.database, self.driver, self.inventory)

    def volume_row(self, volume_id):
        with self.database.reader(self.context) as session:
            return volumes.get(session, self.context, volume_id)

    def new_volume(self, **columns):
        volume_id = self.volume()
        with self.write() as session:
            volumes.update(session, volume_id, status='creating', **columns)
        return volume_id

    def deletes(self, volume_id, status='deleting'):
        """What the API does before it has a worker delete a volume."""
        with self.write() as session:
            row = volumes.get(session, self.context, volume_id)
            self.assertTrue(volumes.start_deletion(session, row))
            volumes.update(session, volume_id, status=status)

    def deletes_snapshot(self, snapshot_id, status='deleting'):
        with self.write() as session:
            self.assertTrue(snapshots.start_deletion(
                session, snapshots.get(session, self.context, snapshot_id),
                status))

    def call(self, method, row, **arguments):
        kind = 'volume' if method.endswith('volume') else 'snapshot'
        return getattr(self.volumes, method)(
            self.context, **{kind: getattr(objects, kind)(row, {})},
            **arguments)

    def test_a_volume_is_made(self):
        volume_id = self.new_volume()
        self.call('create_volume', self.volume_row(volume_id))
        row = self.volume_row(volume_id)
        self.assertEqual(('available', 'p'), (row.status, row.provider_id))
        self.assertEqual({f'volume-{volume_id}'}, self.driver.volumes)

    def test_a_volume_is_made_once(self):
        volume_id = self.volume()
        self.call('create_volume', self.volume_row(volume_id))
        self.assertEqual(set(), self.driver.volumes)

    def test_a_volume_that_cannot_be_made_is_in_error(self):
        self.driver.failure = OSError('full')
        volume_id = self.new_volume()
        self.call('create_volume', self.volume_row(volume_id))
        self.assertEqual('error', self.volume_row(volume_id).status)

    def test_a_volume_of_a_snapshot_is_in_error(self):
        volume_id = self.new_volume(snapshot_id=self.new_id())
        self.call('create_volume', self.volume_row(volume_id))
        self.assertEqual('error', self.volume_row(volume_id).status)
        self.assertIn('cannot make a volume from a snapshot',
                      self.log.output)

    def test_a_deleted_volume_gives_its_quota_back(self):
        volume_id = self.new_volume()
        row = self.volume_row(volume_id)
        self.call('create_volume', row)
        self.accepted(volume_id)
        self.deletes(volume_id)
        self.assertTrue(self.call('delete_volume', row))
        self.assertEqual(set(), self.driver.volumes)
        self.assertEqual(1, self.usage('gigabytes'))
        self.assertRaises(exception.VolumeNotFound, self.volume_row,
                          volume_id)
        self.assertTrue(self.call('delete_volume', row))
        self.assertEqual(1, self.usage('gigabytes'))
        self.assertEqual(1, self.inventory.changes)

    def test_an_unmanaged_volume_stays_on_the_backend(self):
        volume_id = self.new_volume()
        row = self.volume_row(volume_id)
        self.call('create_volume', row)
        self.deletes(volume_id, 'unmanaging')
        self.call('delete_volume', row, unmanage_only=True)
        self.assertEqual({f'volume-{volume_id}'}, self.driver.volumes)
        self.assertRaises(exception.VolumeNotFound, self.volume_row,
                          volume_id)

    def test_a_volume_that_cannot_be_deleted_says_so(self):
        volume_id = self.volume()
        self.deletes(volume_id)
        self.driver.failure = OSError('busy')
        self.assertFalse(
            self.call('delete_volume', self.volume_row(volume_id)))
        self.assertEqual('error_deleting', self.volume_row(volume_id).status)

    def test_a_snapshot_is_taken(self):
        volume_id = self.volume()
        snapshot_id = self.accepted(volume_id, ref=None)
        self.call('create_snapshot', self.row(snapshot_id))
        self.assertEqual('available', self.row(snapshot_id).status)
        self.assertEqual(
            {(f'volume-{volume_id}', f'snapshot-{snapshot_id}'): 1},
            self.driver.held)

    def test_a_snapshot_is_taken_once(self):
        snapshot_id = self.accepted(self.volume(), ref=None)
        self.change(snapshot_id, status='available')
        self.call('create_snapshot', self.row(snapshot_id))
        self.assertEqual({}, self.driver.held)

    def test_a_snapshot_that_cannot_be_taken_is_in_error(self):
        self.driver.failure = OSError('full')
        snapshot_id = self.accepted(self.volume(), ref=None)
        self.call('create_snapshot', self.row(snapshot_id))
        self.assertEqual('error', self.row(snapshot_id).status)

    def test_a_deleted_snapshot_gives_its_quota_back(self):
        snapshot_id = self.accepted(self.volume(), ref=None)
        row = self.row(snapshot_id)
        self.call('create_snapshot', row)
        self.deletes_snapshot(snapshot_id)
        self.assertTrue(self.call('delete_snapshot', row))
        self.assertEqual({}, self.driver.held)
        self.assertEqual((0, 1), (
            self.usage('snapshots'), self.usage('gigabytes')))
        self.assertTrue(self.call('delete_snapshot', row))
        self.assertEqual(0, self.usage('snapshots'))

    def test_an_unmanaged_snapshot_stays_on_the_backend(self):
        snapshot_id = self.accepted(self.volume(), ref=None)
        row = self.row(snapshot_id)
        self.call('create_snapshot', row)
        self.deletes_snapshot(snapshot_id, 'unmanaging')
        self.call('delete_snapshot', row, unmanage_only=True)
        self.assertEqual(1, len(self.driver.held))
        self.assertEqual(0, self.usage('snapshots'))

    def test_the_caller_may_see_to_the_quota(self):
        snapshot_id = self.accepted(self.volume(), ref=None)
        self.deletes_snapshot(snapshot_id)
        self.call('delete_snapshot', self.row(snapshot_id),
                  handle_quota=False)
        self.assertEqual(1, self.usage('snapshots'))

    def test_a_snapshot_that_cannot_be_deleted_says_so(self):
        snapshot_id = self.accepted(self.volume(), ref=None)
        self.deletes_snapshot(snapshot_id)
        self.driver.failure = OSError('busy')
        self.assertFalse(
            self.call('delete_snapshot', self.row(snapshot_id)))
        self.assertEqual('error_deleting', self.row(snapshot_id).status)

    def test_a_message_that_comes_late_deletes_no_volume(self):
        volume_id = self.new_volume()
        row = self.volume_row(volume_id)
        self.call('create_volume', row)
        for status in ('available', 'error', 'in-use', 'unmanaging'):
            with self.subTest(status=status):
                with self.write() as session:
                    volumes.update(session, volume_id, status=status)
                self.call('delete_volume', row)
                self.assertEqual(status, self.volume_row(volume_id).status)
        with self.write() as session:
            volumes.update(session, volume_id, status='deleting')
        self.call('delete_volume', row, unmanage_only=True)
        self.assertEqual('deleting', self.volume_row(volume_id).status)
        self.assertEqual({f'volume-{volume_id}'}, self.driver.volumes)

    def test_a_message_that_comes_late_deletes_no_snapshot(self):
        snapshot_id = self.accepted(self.volume(), ref=None)
        row = self.row(snapshot_id)
        self.call('create_snapshot', row)
        for unmanage_only, statuses in (
                (False, ('available', 'error', 'unmanaging')),
                (True, ('available', 'error', 'deleting'))):
            for status in statuses:
                with self.subTest(status=status, unmanages=unmanage_only):
                    self.change(snapshot_id, status=status)
                    self.call('delete_snapshot', row,
                              unmanage_only=unmanage_only)
                    self.assertEqual(status, self.row(snapshot_id).status)
        self.assertEqual(1, len(self.driver.held))
        self.assertEqual(1, self.usage('snapshots'))

    def test_a_message_that_comes_twice_makes_one_volume(self):
        row = self.volume_row(self.new_volume())
        self.driver.meanwhile = lambda: self.call('create_volume', row)
        self.call('create_volume', row)
        self.assertEqual(['create_volume'], self.driver.calls)

    def test_a_message_that_comes_twice_takes_one_snapshot(self):
        row = self.row(self.accepted(self.volume(), ref=None))
        self.driver.meanwhile = lambda: self.call('create_snapshot', row)
        self.call('create_snapshot', row)
        self.assertEqual(['create_snapshot'], self.driver.calls)

    def test_a_message_that_comes_twice_gives_the_quota_back_once(self):
        volume_id = self.volume()
        snapshot_id, _other = (self.accepted(volume_id, ref=None)
                               for _count in range(2))
        row = self.row(snapshot_id)
        self.deletes_snapshot(snapshot_id)
        self.driver.meanwhile = lambda: self.call('delete_snapshot', row)
        self.call('delete_snapshot', row)
        self.assertEqual(1, self.usage('snapshots'))

    def test_a_deletion_that_has_begun_is_not_taken_back(self):
        volume_id = self.volume()
        before = self.volume_row(volume_id)
        self.deletes(volume_id)
        taken_back = []

        def take_back():
            with self.write() as session:
                taken_back.append(volumes.stop_deletion(session, before))

        self.driver.meanwhile = take_back
        self.call('delete_volume', before)
        self.assertEqual([False], taken_back)
        self.assertRaises(exception.VolumeNotFound, self.volume_row,
                          volume_id)

    def test_a_deletion_of_a_snapshot_that_has_begun_is_not_taken_back(self):
        snapshot_id = self.accepted(self.volume(), ref=None)
        for status, unmanage_only in (('deleting', False),
                                      ('unmanaging', True)):
            with self.subTest(status=status):
                snapshot_id = self.accepted(self.volume(), ref=None)
                before = self.row(snapshot_id)
                self.deletes_snapshot(snapshot_id, status)
                taken_back = []

                def take_back():
                    with self.write() as session:
                        taken_back.append(snapshots.stop_deletion(
                            session, before))

                self.driver.meanwhile = take_back
                self.call('delete_snapshot', before,
                          unmanage_only=unmanage_only)
                self.assertEqual([False], taken_back)

    def test_a_volume_that_is_being_made_is_not_withdrawn(self):
        volume_id = self.new_volume()
        row = self.volume_row(volume_id)
        self.assertTrue(volumes.is_waiting(row))
        waiting = []
        self.driver.meanwhile = lambda: waiting.append(
            volumes.is_waiting(self.volume_row(volume_id)))
        self.call('create_volume', row)
        self.assertEqual([False], waiting)

    def test_a_snapshot_that_is_being_taken_is_not_withdrawn(self):
        snapshot_id = self.accepted(self.volume(), ref=None)
        withdrawn = []

        def withdraw():
            with self.write() as session:
                withdrawn.append(snapshots.withdraw(
                    session, self.context, snapshot_id))

        self.driver.meanwhile = withdraw
        self.call('create_snapshot', self.row(snapshot_id))
        self.assertEqual([False], withdrawn)
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_a_deletion_goes_on_that_a_worker_left(self):
        volume_id = self.volume()
        self.deletes(volume_id)
        with self.write() as session:
            volumes.begin(session, volume_id, 'deleting')
        self.call('delete_volume', self.volume_row(volume_id))
        self.assertRaises(exception.VolumeNotFound, self.volume_row,
                          volume_id)

    def test_a_stock_api_deletes_a_volume_with_its_snapshots(self):
        volume_id = self.new_volume()
        row = self.volume_row(volume_id)
        self.call('create_volume', row)
        for _count in range(2):
            snapshot_id = self.accepted(volume_id, ref=None)
            self.call('create_snapshot', self.row(snapshot_id))
            # Its API changes nothing but the status.
            self.change(snapshot_id, status='deleting')
        with self.write() as session:
            volumes.update(session, volume_id, status='deleting')
        self.assertTrue(self.call('delete_volume', row, cascade=True))
        self.assertEqual((set(), {}),
                         (self.driver.volumes, self.driver.held))
        self.assertEqual(0, self.usage('snapshots'))

    def test_a_volume_stays_if_one_of_its_snapshots_does(self):
        volume_id = self.new_volume()
        row = self.volume_row(volume_id)
        self.call('create_volume', row)
        first, second = (self.accepted(volume_id, ref=None)
                         for _count in range(2))
        self.change(first, status='deleting')
        self.deletes(volume_id)
        self.assertFalse(self.call('delete_volume', row, cascade=True))
        self.assertEqual('error_deleting', self.volume_row(volume_id).status)
        self.assertEqual({f'volume-{volume_id}'}, self.driver.volumes)
        self.assertEqual('deleting', self.row(first).status)

    def test_cinder_deletes_its_temporary_volumes_in_every_status(self):
        self.volume()
        volume_id = self.new_volume(use_quota=False)
        row = self.volume_row(volume_id)
        self.call('create_volume', row)
        self.call('delete_volume', row)
        self.assertEqual(set(), self.driver.volumes)

    def test_a_snapshot_whose_volume_is_gone(self):
        for unmanage_only in (False, True):
            with self.subTest(unmanages=unmanage_only):
                volume_id = self.volume()
                snapshot_id = self.accepted(volume_id, ref=None)
                self.call('create_snapshot', self.row(snapshot_id))
                with self.write() as session:
                    volumes.delete(session, volume_id)
                self.deletes_snapshot(
                    snapshot_id, 'unmanaging' if unmanage_only else 'deleting')
                self.assertTrue(self.call(
                    'delete_snapshot', self.row(snapshot_id),
                    unmanage_only=unmanage_only))
                self.assertRaises(exception.SnapshotNotFound, self.row,
                                  snapshot_id)
                self.assertEqual(unmanage_only, bool(self.driver.held))

    def test_capabilities_are_the_drivers(self):
        self.assertEqual({'refreshed': True},
                         self.volumes.get_capabilities(
                             self.context, discover=True))
