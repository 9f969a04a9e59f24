# SPDX-License-Identifier: Apache-2.0

"""Adopting one snapshot: what becomes of the row, the quota, the backend."""

import datetime
import threading
from unittest import mock

from oslo_utils import timeutils
import sqlalchemy as sa
from tooz import coordination

from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots.drivers import base as drivers_base
from manageable_snapshots.drivers import paging
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.volume import base
from manageable_snapshots.volume import adoption
from manageable_snapshots.volume import inventory


class AdoptionTestCase(base.WorkerTestCase):

    def setUp(self):
        super().setUp()
        self.inventory = inventory.Inventory(
            base.HOST, lambda: self.driver.scan([]), max_age=5, keep=300,
            scans=2, max_memory=1, timeout=5)
        self.adopter = adoption.Adopter(
            self.conf, self.database, self.driver, self.locks, self.notifier,
            base.HOST, self.inventory)
        self.volume_id = self.volume()

    def adopt(self, snapshot_id, ref={'source-name': 'old'}):
        task = self.adopter.accept(self.context, snapshot_id, ref)
        if task is not None:
            self.adopter.adopt(task)

    def task(self, snapshot_id, ref={'source-name': 'old'}):
        return adoption.Task(self.context, snapshot_id, self.volume_id,
                             base.PROJECT, ref, timeutils.utcnow())

    def assert_error(self, snapshot_id, reason):
        row = self.row(snapshot_id)
        self.assertEqual('error', row.status)
        self.assertIsNone(row.provider_id)
        self.assertIn(reason, self.metadata(snapshot_id)['manage_error'])


class AdoptTest(AdoptionTestCase):

    def test_a_snapshot_is_renamed_and_available(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        row = self.row(snapshot_id)
        self.assertEqual('available', row.status)
        self.assertEqual('of-the-driver', row.provider_id)
        self.assertIsNone(row.provider_location)
        self.assertEqual([('old', f'snapshot-{snapshot_id}')],
                         self.driver.renames)
        self.assertEqual({'k': 'v'}, self.metadata(snapshot_id))

    def test_a_name_alone_is_a_reference(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id, 'old')
        self.adopt(snapshot_id, 'old')
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_it_takes_three_transactions(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        begun = []
        sa.event.listen(self.database.engine, 'begin', begun.append)
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)
        self.assertEqual(3 + 1, len(begun))

    def test_start_and_end_are_notified(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        self.assertEqual(['manage_existing_snapshot.start',
                          'manage_existing_snapshot.end'],
                         self.notifier.events)
        self.assertEqual(
            ['creating', 'available'],
            [payload['status'] for _event, payload in self.notifier.sent])

    def test_the_row_and_the_quota_have_the_snapshots_own_size(self):
        self.hold(self.volume_id, size=5)
        snapshot_id = self.accepted(self.volume_id)
        # The volume counts 1 GiB, and the snapshot as much until then.
        self.assertEqual(2, self.usage('gigabytes'))
        self.adopt(snapshot_id)
        self.assertEqual(5, self.row(snapshot_id).volume_size)
        self.assertEqual(6, self.usage('gigabytes'))
        self.assertEqual(6, self.usage('gigabytes___DEFAULT__'))
        self.assertEqual(1, self.usage('snapshots'))

    def test_sizes_are_left_out_of_the_quota_where_configured(self):
        self.conf.set_override('no_snapshot_gb_quota', True)
        self.hold(self.volume_id, size=5)
        snapshot_id = self.accepted(self.volume_id)
        before = self.usage('gigabytes')
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)
        self.assertEqual(before, self.usage('gigabytes'))

    def test_an_adoption_shows_in_the_inventory(self):
        self.hold(self.volume_id)
        self.hold(self.volume_id, 'another')
        view = paging.View(('reference',), ('asc',))
        [first] = self.inventory.page(
            view, marker=None, limit=1, offset=None, mark=list)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        [entry] = self.inventory.page(
            view, marker=first.reference, limit=1, offset=None, mark=list)
        self.assertEqual(snapshot_id, entry.cinder_id)


class RefusedTest(AdoptionTestCase):

    def test_a_missing_snapshot_is_an_error_with_its_reason(self):
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        self.assert_error(snapshot_id, 'there is none')
        self.assertEqual('manage_existing_snapshot.error',
                         self.notifier.events[-1])
        self.assertIn('there is none',
                      self.notifier.sent[-1][1]['metadata'])

    def test_a_managed_snapshot_stays_its_owners(self):
        self.hold(self.volume_id)
        owner = self.accepted(self.volume_id)
        self.adopt(owner)
        thief = self.accepted(self.volume_id)
        self.adopt(thief, {'source-name': f'snapshot-{owner}'})
        self.assert_error(thief, f'snapshot {owner} manages it already')
        self.assertEqual(1, len(self.driver.renames))

    def test_an_owner_of_another_project_is_not_named(self):
        self.hold(self.volume_id)
        owner = self.accepted(self.volume_id)
        self.adopt(owner)
        with self.database.writer(self.context) as session:
            snapshots.update(session, owner, project_id='another')
        self.context.is_admin = False
        thief = self.accepted(self.volume_id)
        self.adopt(thief, {'source-name': f'snapshot-{owner}'})
        self.assert_error(thief, 'another snapshot manages it already')
        self.assertNotIn(f'snapshot {owner}', str(self.metadata(thief)))

    def test_a_volume_that_is_being_migrated(self):
        self.hold(self.volume_id)
        for status in 'starting', 'migrating', 'target:1', 'completing':
            with self.subTest(status=status):
                snapshot_id = self.accepted(self.volume_id)
                self.change_volume(migration_status=status)
                self.adopt(snapshot_id)
                self.assert_error(snapshot_id, 'while volume is migrating')
        self.assertEqual([], self.driver.renames)

    def test_a_volume_in_maintenance(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.change_volume(status='maintenance')
        self.adopt(snapshot_id)
        self.assert_error(snapshot_id, 'maintenance mode')
        self.assertEqual([], self.driver.renames)

    def test_what_was_renamed_before_is_adopted_in_any_case(self):
        snapshot_id = self.accepted(self.volume_id)
        self.hold(self.volume_id, f'snapshot-{snapshot_id}')
        with self.database.writer(self.context) as session:
            snapshots.claim(session, snapshot_id)
        self.change_volume(migration_status='migrating', status='error')
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)

    def change_volume(self, **columns):
        with self.database.writer(self.context) as session:
            volumes.update(session, self.volume_id, **columns)

    def test_the_reason_has_room_beside_a_long_reference(self):
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id, {'source-name': 'x' * 250})
        self.assert_error(snapshot_id, 'there is none')
        self.assert_error(snapshot_id, "{'source-name': 'xxx")

    def test_a_copy_of_a_managed_snapshot_is_free(self):
        self.hold(self.volume_id)
        owner = self.accepted(self.volume_id)
        self.adopt(owner)
        other = self.volume()
        self.hold(other, f'snapshot-{owner}')
        snapshot_id = self.accepted(other)
        self.adopt(snapshot_id, {'source-name': f'snapshot-{owner}'})
        self.assertEqual('available', self.row(snapshot_id).status)
        self.assertIn((f'volume-{self.volume_id}', f'snapshot-{owner}'),
                      self.driver.held)

    def test_a_name_is_taken_where_the_driver_does_not_look_at_volumes(self):
        self.driver.knows_volumes = False
        owner = self.accepted(self.volume_id)
        other = self.volume()
        self.hold(other, f'snapshot-{owner}')
        snapshot_id = self.accepted(other)
        self.adopt(snapshot_id, {'source-name': f'snapshot-{owner}'})
        self.assert_error(snapshot_id,
                          f'snapshot {owner} manages it already')
        self.assertEqual([], self.driver.renames)

    def test_the_name_of_a_row_that_is_gone_is_free(self):
        gone = self.new_id()
        self.hold(self.volume_id, f'snapshot-{gone}')
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id, {'source-name': f'snapshot-{gone}'})
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_the_name_of_a_row_on_another_backend_is_free(self):
        elsewhere = self.accepted(self.volume(host='node@other#pool'))
        self.hold(self.volume_id, f'snapshot-{elsewhere}')
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id, {'source-name': f'snapshot-{elsewhere}'})
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_a_size_beyond_the_quota_is_an_error_and_renames_nothing(self):
        self.conf.set_override('quota_gigabytes', 3)
        self.hold(self.volume_id, size=5)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        self.assert_error(snapshot_id, 'exceeds allowed gigabytes quota')
        self.assertEqual([], self.driver.renames)
        self.assertEqual(2, self.usage('gigabytes'))

    def test_what_is_no_reference_is_an_error(self):
        for ref in ({'source-name': 5}, {}, [], {'source-name': None}):
            with self.subTest(ref=ref):
                snapshot_id = self.accepted(self.volume_id)
                self.adopt(snapshot_id, ref)
                self.assert_error(snapshot_id, 'not a reference')

    def test_a_driver_that_cannot_adopt_is_named(self):
        self.driver.failure = NotImplementedError()
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        self.assert_error(
            snapshot_id, 'The driver fake cannot adopt snapshots.')

    def test_the_owner_reads_nothing_of_a_drivers_inner_failure(self):
        self.driver.failure = OSError('/secret/path of admin:password')
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        self.assert_error(snapshot_id, 'The driver fake failed')
        self.assertNotIn('secret', str(self.metadata(snapshot_id)))
        self.assertIn('/secret/path', self.log.output)


class RepeatedTest(AdoptionTestCase):

    def test_a_message_that_comes_twice_does_nothing_more(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        self.assertIsNone(self.adopter.accept(
            self.context, snapshot_id, {'source-name': 'old'}))
        self.adopter.adopt(self.task(snapshot_id))
        self.assertEqual('available', self.row(snapshot_id).status)
        self.assertEqual(1, len(self.driver.renames))

    def test_a_message_for_no_row_does_nothing(self):
        self.hold(self.volume_id)
        self.adopt(self.new_id())
        self.assertEqual([], self.driver.renames)
        self.assertEqual([], self.notifier.sent)

    def test_what_a_crash_left_renamed_becomes_available(self):
        snapshot_id = self.accepted(self.volume_id)
        with self.write() as session:
            snapshots.claim(session, snapshot_id)
        self.hold(self.volume_id, f'snapshot-{snapshot_id}')
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)
        self.assertEqual([], self.driver.renames)

    def test_what_a_crash_left_before_the_rename_is_adopted(self):
        snapshot_id = self.accepted(self.volume_id)
        with self.write() as session:
            snapshots.claim(session, snapshot_id)
        self.hold(self.volume_id)
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)
        self.assertEqual(1, len(self.driver.renames))

    def test_the_reference_of_a_stock_api_is_recorded_first(self):
        snapshot_id = self.accepted(self.volume_id, ref=None)
        self.adopter.accept(self.context, snapshot_id,
                            {'source-name': 'old'})
        self.assertEqual(
            {'source-name': 'old'},
            snapshots.recorded_reference(self.row(snapshot_id)))

    def test_a_reference_that_was_lost_is_an_error(self):
        snapshot_id = self.accepted(self.volume_id, ref='x' * 5000)
        self.adopter.adopt(self.task(snapshot_id, None))
        self.assert_error(snapshot_id, 'the reference is lost')

    def test_what_is_renamed_needs_no_reference_any_more(self):
        snapshot_id = self.accepted(self.volume_id, ref='x' * 5000)
        with self.write() as session:
            snapshots.claim(session, snapshot_id)
        self.hold(self.volume_id, f'snapshot-{snapshot_id}')
        self.adopter.adopt(self.task(snapshot_id, None))
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_a_row_that_was_withdrawn_meanwhile_is_left_alone(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        task = self.adopter.accept(self.context, snapshot_id, 'old')
        with self.write() as session:
            self.assertTrue(snapshots.withdraw(
                session, self.context, snapshot_id))
        self.adopter.adopt(task)
        self.assertEqual([], self.driver.renames)
        self.assertEqual([], self.notifier.sent)

    def test_a_crash_after_the_quota_is_mended_charges_nothing_twice(self):
        self.hold(self.volume_id, size=5)
        snapshot_id = self.accepted(self.volume_id)
        self.driver.before_rename = self._die
        before = self.usage('gigabytes')
        self.assertRaises(SystemExit, self.adopt, snapshot_id)
        self.assertEqual(before + 4, self.usage('gigabytes'))
        self.driver.before_rename = lambda: None
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)
        self.assertEqual(before + 4, self.usage('gigabytes'))

    @staticmethod
    def _die():
        raise SystemExit

    def test_a_row_that_is_claimed_cannot_be_withdrawn(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        withdrawn = []

        def withdraw():
            with self.write() as session:
                withdrawn.append(snapshots.withdraw(
                    session, self.context, snapshot_id))

        self.driver.before_rename = withdraw
        self.adopt(snapshot_id)
        self.assertEqual([False], withdrawn)
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_a_failure_after_the_rename_is_none(self):
        self.driver.failure_after = OSError('the answer was lost')
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_what_the_driver_said_is_asked_for_again(self):
        self.driver.lost_updates = lambda snapshot: {
            'provider_location': f'of {snapshot.name}'}
        self.driver.failure_after = OSError('the answer was lost')
        self.hold(self.volume_id)
        after_failure = self.accepted(self.volume_id)
        self.adopt(after_failure)
        after_crash = self.accepted(self.volume_id)
        with self.write() as session:
            snapshots.claim(session, after_crash)
        self.hold(self.volume_id, f'snapshot-{after_crash}')
        self.adopt(after_crash)
        for snapshot_id in after_failure, after_crash:
            row = self.row(snapshot_id)
            self.assertEqual(
                ('available', f'of snapshot-{snapshot_id}'),
                (row.status, row.provider_location))

    def test_a_row_that_somebody_reset_meanwhile_is_not_made_available(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.driver.before_rename = lambda: self.change(
            snapshot_id, status='error')
        self.adopt(snapshot_id)
        self.assertEqual('error', self.row(snapshot_id).status)
        self.assertIn('its row was changed meanwhile', self.log.output)
        self.assertNotIn('manage_existing_snapshot.end', self.notifier.events)


class PutOffTest(AdoptionTestCase):

    def test_two_requests_for_one_snapshot_adopt_it_once(self):
        self.hold(self.volume_id)
        ids = [self.accepted(self.volume_id) for _ in range(4)]
        threads = [threading.Thread(target=self.adopt, args=(snapshot_id,))
                   for snapshot_id in ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(
            ['available', 'error', 'error', 'error'],
            sorted(self.row(snapshot_id).status for snapshot_id in ids))
        self.assertEqual(1, len(self.driver.renames))

    def test_a_lock_that_is_held_for_too_long_puts_it_off(self):
        self.conf.set_override('lock_timeout', 1, 'manageable_snapshots')
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(self.accepted(self.volume_id, 'nothing'), 'nothing')
        for lock in self.locks.locks.values():
            lock.acquire(1)
            self.addCleanup(lock.release)
        self.adopt(snapshot_id)
        self.assertEqual('creating', self.row(snapshot_id).status)
        self.assertIn('is put off', self.log.output)

    def test_the_name_on_another_volume_is_waited_for_if_it_is_the_same(self):
        """Where a driver's references do not tell one from the other."""
        self.conf.set_override('lock_timeout', 1, 'manageable_snapshots')
        self.driver.knows_volumes = False
        other = self.volume()
        for volume_id in self.volume_id, other:
            self.hold(volume_id)
        self.adopt(self.accepted(other))
        held = [lock for name, lock in self.locks.locks.items()
                if b'-ref-' in name]
        self.assertEqual(1, len(held))
        held[0].acquire(1)
        self.addCleanup(held[0].release)
        for knows_volumes, status in ((False, 'creating'),
                                      (True, 'available')):
            self.driver.knows_volumes = knows_volumes
            snapshot_id = self.accepted(self.volume_id)
            self.adopt(snapshot_id)
            self.assertEqual(status, self.row(snapshot_id).status)

    def test_a_coordination_backend_that_is_away_puts_it_off(self):
        def get_lock(name):
            lock = base.Locks().get_lock(name)

            def acquire(blocking):
                raise coordination.ToozConnectionError('no etcd')
            lock.acquire = acquire
            return lock

        self.locks.get_lock = get_lock
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        self.assertEqual('creating', self.row(snapshot_id).status)

    def test_a_coordination_backend_that_goes_away_meanwhile_is_no_error(self):
        def get_lock(name):
            lock = base.Locks().get_lock(name)

            def release():
                raise coordination.ToozConnectionError('no etcd')
            lock.release = release
            return lock

        self.locks.get_lock = get_lock
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)
        self.assertEqual('manage_existing_snapshot.end',
                         self.notifier.events[-1])
        other = self.accepted(self.volume_id)
        self.adopt(other)
        self.assertEqual('creating', self.row(other).status)

    def test_a_backend_that_is_away_puts_it_off(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        for error in (exception.ServiceUnavailable('no storage'),
                      exception.BackendTimeout(host='dir', seconds=1)):
            self.driver.failure = error
            self.adopt(snapshot_id)
            self.assertEqual('creating', self.row(snapshot_id).status)
        self.driver.failure = None
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)


class GivenUpTest(AdoptionTestCase):
    """What has been put off for too long."""

    def setUp(self):
        super().setUp()
        self.conf.set_override('adoption_timeout', 100,
                               'manageable_snapshots')
        self.driver.failure = exception.ServiceUnavailable('no storage')
        self.hold(self.volume_id)

    def accepted_ago(self, seconds):
        snapshot_id = self.accepted(self.volume_id)
        self.change(snapshot_id, created_at=timeutils.utcnow()
                    - datetime.timedelta(seconds=seconds))
        return snapshot_id

    def test_it_is_an_error_and_the_backend_is_as_it_was(self):
        snapshot_id = self.accepted_ago(101)
        self.adopt(snapshot_id)
        self.assert_error(snapshot_id, 'could not be adopted within 100 '
                                       'seconds')
        self.assertEqual('manage_existing_snapshot.error',
                         self.notifier.events[-1])
        self.assertIn((f'volume-{self.volume_id}', 'old'), self.driver.held)

    def test_before_its_time_it_is_not(self):
        snapshot_id = self.accepted_ago(90)
        self.adopt(snapshot_id)
        self.assertEqual('creating', self.row(snapshot_id).status)

    def test_without_a_limit_it_is_not(self):
        self.conf.set_override('adoption_timeout', 0, 'manageable_snapshots')
        snapshot_id = self.accepted_ago(10 ** 8)
        self.adopt(snapshot_id)
        self.assertEqual('creating', self.row(snapshot_id).status)

    def test_what_can_be_adopted_after_all_is(self):
        self.driver.failure = None
        snapshot_id = self.accepted_ago(10 ** 6)
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_what_waits_for_a_lock_is_given_up_too(self):
        self.conf.set_override('lock_timeout', 1, 'manageable_snapshots')
        self.driver.failure = None
        self.adopt(self.accepted(self.volume_id, 'nothing'), 'nothing')
        for lock in self.locks.locks.values():
            lock.acquire(1)
            self.addCleanup(lock.release)
        snapshot_id = self.accepted_ago(101)
        self.adopt(snapshot_id)
        self.assert_error(snapshot_id, 'could not be adopted within 100')

    def test_a_row_that_was_put_off_is_not_withdrawn(self):
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        with self.write() as session:
            self.assertFalse(snapshots.withdraw(
                session, self.context, snapshot_id))

    def claimed_ago(self, seconds):
        """A row whose worker has died."""
        snapshot_id = self.accepted_ago(seconds)
        with self.write() as session:
            snapshots.claim(session, snapshot_id)
        return snapshot_id

    def test_what_may_be_renamed_waits_for_the_backend(self):
        snapshot_id = self.claimed_ago(101)
        self.driver.is_adopted = mock.Mock(side_effect=self.driver.failure)
        self.adopt(snapshot_id)
        self.assertEqual('creating', self.row(snapshot_id).status)
        self.driver.is_adopted = lambda snapshot: True
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_also_where_the_driver_cannot_say(self):
        snapshot_id = self.claimed_ago(101)
        self.driver.is_adopted = lambda snapshot: None
        self.adopt(snapshot_id)
        self.assertEqual('creating', self.row(snapshot_id).status)

    def test_what_turns_out_not_to_be_renamed_does_not(self):
        snapshot_id = self.claimed_ago(101)
        self.adopt(snapshot_id)
        self.assert_error(snapshot_id, 'could not be adopted within 100')

    def test_a_rename_that_was_cut_short_waits_for_the_backend(self):
        self.driver.failure = None
        snapshot_id = self.accepted_ago(101)
        away = exception.ServiceUnavailable('no storage')
        with mock.patch.object(self.driver, 'manage_existing_snapshot',
                               side_effect=away):
            self.adopt(snapshot_id)
        self.assertEqual('creating', self.row(snapshot_id).status)

    def test_what_was_given_up_is_not_renamed_any_more(self):
        self.driver.failure = None
        snapshot_id = self.accepted_ago(101)
        task = self.adopter.accept(self.context, snapshot_id, None)
        get_size = self.driver.manage_existing_snapshot_get_size

        def hang(snapshot, ref):
            self.adopter.give_up(task)
            return get_size(snapshot, ref)

        self.driver.manage_existing_snapshot_get_size = hang
        self.adopt(snapshot_id)
        self.assert_error(snapshot_id, 'could not be adopted within 100')
        self.assertEqual([], self.driver.renames)

    def test_what_is_being_renamed_is_not_given_up_any_more(self):
        self.driver.failure = None
        snapshot_id = self.accepted_ago(101)
        task = self.adopter.accept(self.context, snapshot_id, None)
        self.driver.before_rename = lambda: self.adopter.give_up(task)
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_a_database_that_is_away_changes_nothing(self):
        snapshot_id = self.accepted_ago(101)
        with mock.patch.object(
                snapshots, 'give_up',
                side_effect=exception.ServiceUnavailable('no database')):
            self.adopt(snapshot_id)
        self.assertEqual('creating', self.row(snapshot_id).status)
        self.assertIn('stays "creating" for now: no database',
                      self.log.output)
        self.adopt(snapshot_id)
        self.assertEqual('error', self.row(snapshot_id).status)


class NoRecoveryDriverTest(AdoptionTestCase):
    """A driver that has Cinder's four methods only."""

    def setUp(self):
        super().setUp()
        self.driver.is_adopted = (
            lambda snapshot: drivers_base.SnapshotDriver.is_adopted(
                self.driver, snapshot))

    def test_it_adopts(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_its_failure_after_the_rename_is_an_error(self):
        self.driver.failure_after = OSError('the answer was lost')
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.adopt(snapshot_id)
        self.assert_error(snapshot_id, 'The driver fake failed')
