# SPDX-License-Identifier: Apache-2.0

"""What a driver that has only Cinder's four methods can do."""

from oslo_utils import units
from oslotest import base as test_base

from manageable_snapshots import conf as configuration
from manageable_snapshots.drivers import base


class Vendor(base.SnapshotDriver):
    """A Cinder driver of a storage that calls its references by name."""

    def __init__(self, entries):
        super().__init__(configuration.new(), 'vendor')
        self.entries = entries
        self.asked = None

    def get_manageable_snapshots(self, cinder_snapshots, marker, limit,
                                 offset, sort_keys, sort_dirs):
        self.asked = cinder_snapshots
        return self.entries[offset:limit]

    def manage_existing_snapshot(self, snapshot, existing_ref):
        raise NotImplementedError()

    def manage_existing_snapshot_get_size(self, snapshot, existing_ref):
        raise NotImplementedError()

    def unmanage_snapshot(self, snapshot):
        raise NotImplementedError()


class TestSnapshotDriver(test_base.BaseTestCase):

    def test_a_scan_is_one_page_that_holds_all(self):
        entries = [
            {'reference': {'name': f'snap-{number}'}, 'size': number,
             'source_reference': {'name': 'volume'}, 'cinder_id': None,
             'safe_to_manage': True, 'reason_not_safe': None,
             'extra_info': None} for number in range(2000)]
        entries[7].update(cinder_id='id', safe_to_manage=False,
                          reason_not_safe='Snapshot already managed.')
        driver = Vendor(entries)
        rows = [object()]
        scanned = list(driver.scan(rows))
        self.assertEqual(2000, len(scanned))
        self.assertEqual(
            base.BackendSnapshot(
                reference={'name': 'snap-7'}, size=7,
                source_reference={'name': 'volume'}, safe_to_manage=False,
                reason_not_safe='Snapshot already managed.',
                cinder_id='id'), scanned[7])
        self.assertIs(rows, driver.asked)

    def test_the_name_is_where_the_reference_has_it(self):
        driver = Vendor([])
        self.assertEqual('a', driver.managed_name({'source-name': 'a'}))
        self.assertEqual('a', driver.managed_name({'name': 'a'}))
        self.assertIsNone(driver.managed_name({'source-id': '7'}))

    def test_what_is_adopted_is_what_the_listing_says(self):
        snapshot = {'id': 'id'}
        driver = Vendor([{'cinder_id': None}, {'cinder_id': 'id'}])
        self.assertTrue(driver.is_adopted(snapshot))
        self.assertEqual([snapshot], driver.asked)
        self.assertFalse(driver.is_adopted({'id': 'another'}))

    def test_a_driver_that_cannot_list_cannot_say_what_is_adopted(self):
        driver = Vendor(None)
        driver.get_manageable_snapshots = (
            lambda *args: driver.unmanage_snapshot(None))
        self.assertIsNone(driver.is_adopted({'id': 'id'}))


class TestGibibytes(test_base.BaseTestCase):

    def test_rounded_up_and_one_at_least(self):
        self.assertEqual(
            [1, 1, 1, 2, 5],
            [base.gibibytes(size) for size in (
                0, 1, units.Gi, units.Gi + 1, 5 * units.Gi)])
