# SPDX-License-Identifier: Apache-2.0

"""The RPC methods of a volume service, called as a server calls them."""

import datetime
import json
import threading
from unittest import mock

from oslo_utils import timeutils
from oslotest import base as test_base
import sqlalchemy as sa

from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots.drivers import base as drivers_base
from manageable_snapshots import exception
from manageable_snapshots import names
from manageable_snapshots.rpc import objects
from manageable_snapshots.tests.unit.db import base as db_base
from manageable_snapshots.tests.unit.volume import base
from manageable_snapshots.volume import backlog
from manageable_snapshots.volume import manager

LIST = {'marker': None, 'limit': 10, 'offset': None,
        'sort_keys': ['reference'], 'sort_dirs': ['asc']}


class ManagerTestCase(base.WorkerTestCase):

    def setUp(self):
        super().setUp()
        self.manager = manager.Manager(
            self.conf, base.HOST, self.database, self.driver, self.locks,
            self.notifier)
        self.addCleanup(self.manager.stop, 0)
        self.volume_id = self.volume()

    def primitive(self, snapshot_id):
        return objects.snapshot(self.row(snapshot_id), {})

    def manage(self, snapshot_id, ref={'source-name': 'old'}):
        answer = self.manager.manage_existing_snapshot(
            self.context, snapshot=self.primitive(snapshot_id), ref=ref)
        self.assertEqual(snapshot_id, answer)

    def list(self, **arguments):
        return self.manager.get_manageable_snapshots(
            self.context, **{**LIST, **arguments})


class ManageTest(ManagerTestCase):

    def test_a_snapshot_is_adopted_before_a_stop_ends(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        running = threading.Event()
        self.driver.before_rename = running.set
        self.manage(snapshot_id)
        self.assertTrue(running.wait(30))
        self.assertTrue(self.manager.stop(30))
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_an_argument_that_is_no_snapshot_is_refused(self):
        self.assertRaises(
            exception.InvalidInput, self.manager.manage_existing_snapshot,
            self.context, snapshot={'id': 'x; drop table'}, ref='old')

    def test_what_a_process_left_is_taken_up_again(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.change(snapshot_id, created_at=timeutils.utcnow()
                    - datetime.timedelta(seconds=11))
        running = threading.Event()
        self.driver.before_rename = running.set
        self.manager.resume()
        self.assertTrue(running.wait(30))
        self.assertTrue(self.manager.stop(30))
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_what_was_accepted_just_now_is_left_to_its_message(self):
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.manager.resume()
        self.assertTrue(self.manager.stop(30))
        self.assertEqual('creating', self.row(snapshot_id).status)

    def left_by_a_process(self, name):
        self.hold(self.volume_id, name)
        snapshot_id = self.accepted(
            self.volume_id, ref={'source-name': name})
        self.change(snapshot_id, created_at=timeutils.utcnow()
                    - datetime.timedelta(seconds=11))
        return snapshot_id

    def small(self, limit):
        """A manager with room for so many."""
        self.conf.set_override('adoption_threads', 1, 'manageable_snapshots')
        self.conf.set_override(
            'adoption_backlog', limit, 'manageable_snapshots')
        small = manager.Manager(
            self.conf, base.HOST, self.database, self.driver, self.locks,
            self.notifier)
        self.addCleanup(small.stop, 0)
        return small

    def test_what_had_no_room_is_taken_up_as_soon_as_there_is(self):
        ids = [self.left_by_a_process(f'old-{number}') for number in range(5)]
        all_renamed = threading.Semaphore(0)
        self.driver.before_rename = all_renamed.release
        small = self.small(limit=2)
        small.resume()
        for _each in ids:
            self.assertTrue(all_renamed.acquire(timeout=30))
        self.assertTrue(small.stop(30))
        self.assertEqual({'available'},
                         {self.row(each).status for each in ids})

    def test_what_had_no_room_waits_while_the_backend_is_away(self):
        ids = [self.left_by_a_process(f'old-{number}') for number in range(5)]
        asked = threading.Semaphore(0)

        def get_size(snapshot, ref):
            asked.release()
            raise exception.ServiceUnavailable()

        self.driver.manage_existing_snapshot_get_size = get_size
        small = self.small(limit=2)
        small.resume()
        for _number in range(2):
            self.assertTrue(asked.acquire(timeout=30))
        for thread in threading.enumerate():
            if thread.name == 'adoption':
                thread.join(30)
        self.assertFalse(asked.acquire(blocking=False))
        self.assertEqual({'creating'},
                         {self.row(each).status for each in ids})

    def test_what_is_under_way_is_not_taken_up_again(self):
        hanging, goes_on = self.hang()
        self.left_by_a_process('old')
        self.manager.resume()
        self.assertTrue(hanging.wait(30))
        for _look in range(2):
            self.manager.resume()
        goes_on.set()
        self.assertTrue(self.manager.stop(30))
        self.assertEqual(1, self.log.output.count('Taking up the adoption'))

    def test_how_many_wait_in_the_database_is_one_line(self):
        hanging, goes_on = self.hang()
        for number in range(5):
            self.left_by_a_process(f'old-{number}')
        self.small(limit=2).resume()
        self.assertTrue(hanging.wait(30))
        self.assertIn('3 adoptions of node@dir wait in the database.',
                      self.log.output)
        goes_on.set()

    def overdue(self):
        snapshot_id = self.accepted(self.volume_id)
        self.change(snapshot_id, created_at=timeutils.utcnow()
                    - datetime.timedelta(days=30))
        return snapshot_id

    def hang(self):
        """Have the driver hang as soon as it is asked for a size."""
        hanging, goes_on = threading.Event(), threading.Event()
        self.addCleanup(goes_on.set)
        get_size = self.driver.manage_existing_snapshot_get_size

        def hang(snapshot, ref):
            hanging.set()
            goes_on.wait(30)
            return get_size(snapshot, ref)

        self.driver.manage_existing_snapshot_get_size = hang
        return hanging, goes_on

    def test_what_hangs_is_given_up_in_the_end(self):
        hanging, goes_on = self.hang()
        self.hold(self.volume_id)
        snapshot_id = self.overdue()
        self.manager.resume()
        self.assertTrue(hanging.wait(30))
        self.manager.give_up()
        self.assertEqual('creating', self.row(snapshot_id).status)
        with mock.patch.object(backlog, 'HANGING', 0):
            self.manager.give_up()
        self.assertEqual('error', self.row(snapshot_id).status)
        goes_on.set()
        self.assertTrue(self.manager.stop(30))
        self.assertEqual('error', self.row(snapshot_id).status)
        self.assertEqual([], self.driver.renames)

    def test_what_waits_behind_it_is_given_up_too(self):
        self.conf.set_override('adoption_threads', 1, 'manageable_snapshots')
        self.conf.set_override('adoption_backlog', 2, 'manageable_snapshots')
        crowded = manager.Manager(
            self.conf, base.HOST, self.database, self.driver, self.locks,
            self.notifier)
        self.addCleanup(crowded.stop, 0)
        hanging, goes_on = self.hang()
        ids = [self.overdue() for _ in range(3)]
        young = self.accepted(self.volume_id)
        crowded.resume()
        self.assertTrue(hanging.wait(30))
        with mock.patch.object(backlog, 'HANGING', 0):
            crowded.give_up()
        self.assertEqual({'error'}, {self.row(each).status for each in ids})
        self.assertEqual('creating', self.row(young).status)
        goes_on.set()
        self.assertTrue(crowded.stop(30))

    def test_a_driver_that_is_never_ready_holds_nothing_for_ever(self):
        snapshot_id = self.overdue()
        self.manager.give_up()
        self.assertEqual('creating', self.row(snapshot_id).status)
        with mock.patch.object(backlog, 'HANGING', 0):
            self.manager.give_up()
        self.assertEqual('error', self.row(snapshot_id).status)

    def set_aside(self, ref={'source-name': 'old'}):
        """Accepted for a worker that might have been Cinder's own."""
        snapshot_id = self.accepted(self.volume_id, ref, aside=True)
        self.change(snapshot_id, created_at=timeutils.utcnow()
                    - datetime.timedelta(seconds=11))
        # No thread has to be waited for.
        self.manager._take_up = self.manager._adopter.adopt
        return snapshot_id

    def test_what_was_set_aside_for_cinders_worker_is_taken_up(self):
        self.hold(self.volume_id)
        snapshot_id = self.set_aside()
        self.manager.resume()
        self.assertEqual('available', self.row(snapshot_id).status)
        self.assertEqual(1, len(self.driver.renames))

    def test_what_was_recorded_and_set_aside_is_one_look(self):
        statements = self.useFixture(db_base.Statements())
        self.manager._take_up = lambda task: None
        looks = statements.count(self.manager.resume)
        snapshot_id = self.set_aside()
        self.overdue()
        self.manager._take_up = lambda task: None
        # The row that was set aside is read and changed besides.
        self.assertEqual(looks + 3, statements.count(self.manager.resume))
        self.assertTrue(snapshots.has_reference(self.row(snapshot_id)))

    def test_what_cinders_worker_renamed_before_it_died_is_adopted(self):
        snapshot_id = self.set_aside()
        self.hold(self.volume_id, f'snapshot-{snapshot_id}')
        self.manager.resume()
        self.assertEqual('available', self.row(snapshot_id).status)
        self.assertEqual([], self.driver.renames)

    def test_what_was_too_long_to_be_set_aside_is_an_error(self):
        snapshot_id = self.set_aside('x' * 6000)
        self.manager.resume()
        self.assertEqual('error', self.row(snapshot_id).status)
        self.assertIn('too long', self.metadata(
            snapshot_id)[snapshots.ERROR_KEY])

    def test_more_than_can_wait_is_taken_up_in_turns(self):
        self.conf.set_override('adoption_backlog', 2, 'manageable_snapshots')
        ids = [self.set_aside() for _ in range(3)]
        left = []
        while statuses := [each for each in ids
                           if self.row(each).status == 'creating']:
            left.append(len(statuses))
            self.manager.resume()
        self.assertEqual([3, 1], left)

    def test_what_was_set_aside_just_now_is_left_to_its_message(self):
        self.hold(self.volume_id)
        snapshot_id = self.set_aside()
        self.change(snapshot_id, created_at=timeutils.utcnow())
        self.manager.resume()
        self.assertEqual('creating', self.row(snapshot_id).status)
        self.manage(snapshot_id)
        self.assertEqual('available', self.row(snapshot_id).status)

    def test_what_finds_no_room_waits_in_the_database(self):
        self.manager.stop(0)
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        self.manage(snapshot_id)
        self.assertEqual('creating', self.row(snapshot_id).status)
        self.assertIn('waits in the database', self.log.output)


class ListTest(ManagerTestCase):

    def test_entries_say_what_they_are(self):
        self.hold(self.volume_id, size=3)
        volume = f'volume-{self.volume_id}'
        self.assertEqual([{
            'reference': {'source-name': 'old', 'source-id': f'{volume}/old'},
            'source_reference': {'source-name': volume},
            'size': 3, 'safe_to_manage': True, 'reason_not_safe': None,
            'cinder_id': None, 'extra_info': None}], self.list())

    def test_objects_where_they_are_wanted(self):
        self.hold(self.volume_id)
        [entry] = self.list(want_objects=True)
        self.assertEqual('ManageableSnapshot', entry['versioned_object.name'])
        self.assertEqual(self.list(), [objects.plain(entry)])

    def test_managed_is_what_has_a_live_row_now(self):
        snapshot_id = self.accepted(self.volume_id)
        self.hold(self.volume_id, f'snapshot-{snapshot_id}')
        [entry] = self.list()
        self.assertEqual(
            (snapshot_id, False, 'already managed'),
            (entry['cinder_id'], entry['safe_to_manage'],
             entry['reason_not_safe']))
        with self.write() as session:
            snapshots.delete(session, snapshot_id)
        [entry] = self.list()
        self.assertEqual((None, True, None), (
            entry['cinder_id'], entry['safe_to_manage'],
            entry['reason_not_safe']))

    def test_another_volumes_snapshot_of_that_name_is_not_managed(self):
        snapshot_id = self.accepted(self.volume_id)
        name = f'snapshot-{snapshot_id}'
        self.hold(self.volume_id, name)
        self.driver.held['copy', name] = 1
        self.assertEqual(
            {f'volume-{self.volume_id}': snapshot_id, 'copy': None},
            self.owners())

    def test_a_migrated_volume_has_its_old_name(self):
        snapshot_id = self.accepted(self.volume_id)
        old_id = self.new_id()
        with self.write() as session:
            volumes.get(session, self.context, self.volume_id
                        )._name_id = old_id
        for volume_id in (self.volume_id, old_id):
            self.hold(volume_id, f'snapshot-{snapshot_id}')
        self.assertEqual(
            {f'volume-{old_id}': snapshot_id,
             f'volume-{self.volume_id}': None}, self.owners())

    def test_a_volume_of_which_the_driver_cannot_tell_may_be_the_rows(self):
        self.driver.knows_volumes = False
        snapshot_id = self.accepted(self.volume_id)
        self.driver.held['/vol/lun7', f'snapshot-{snapshot_id}'] = 1
        self.assertEqual({'/vol/lun7': snapshot_id}, self.owners())

    def test_what_the_driver_says_is_managed_is(self):
        snapshot_id = self.accepted(self.volume_id)
        entry = drivers_base.BackendSnapshot(
            reference={'source-name': 'x'}, size=1, cinder_id=snapshot_id,
            source_reference={'source-name': 'elsewhere'})
        with mock.patch.object(self.manager.inventory, '_scan',
                               return_value=[entry]):
            self.assertEqual({'elsewhere': snapshot_id}, self.owners())

    def test_the_driver_knows_what_a_managed_snapshot_is_called(self):
        self.driver.managed_name = lambda ref: ref['source-name'][1:]
        snapshot_id = self.accepted(self.volume_id)
        self.hold(self.volume_id, f'_snapshot-{snapshot_id}')
        self.assertEqual({f'volume-{self.volume_id}': snapshot_id},
                         self.owners())

    def test_a_page_is_marked_with_one_query(self):
        for number in range(3):
            snapshot_id = self.accepted(self.volume_id)
            self.hold(self.volume_id, f'snapshot-{snapshot_id}')
        queries = []
        sa.event.listen(self.database.engine, 'before_cursor_execute',
                        lambda *args: queries.append(args[2]))
        self.assertEqual(3, len(self.list()))
        # A connection may be tried first, which is no query.
        self.assertEqual(1, len([query for query in queries
                                 if 'FROM ' in query]), queries)

    def owners(self):
        return {entry['source_reference']['source-name']: entry['cinder_id']
                for entry in self.list()}

    def test_a_marker_may_be_json(self):
        self.hold(self.volume_id, 'a')
        self.hold(self.volume_id, 'b')
        first = self.list()[0]['reference']
        for marker in (first, json.dumps(first)):
            self.assertEqual(['b'], [
                entry['reference']['source-name']
                for entry in self.list(marker=marker)])

    def test_a_pool_leaves_out_what_is_in_others(self):
        self.hold(self.volume_id, 'a')
        self.driver.pool = 'one'
        self.assertEqual(1, len(self.list(pool='one')))
        self.assertEqual([], self.list(pool='two'))

    def test_names_may_be_those_that_begin_so(self):
        for name in ('night-1', 'night-2', 'noon'):
            self.hold(self.volume_id, name)
        self.assertEqual(2, len(self.list(source_name='night-')))

    def test_one_volumes_are_known_by_the_name_that_it_has(self):
        old_id = self.volume()
        with self.write() as session:
            volumes.get(session, self.context, self.volume_id
                        )._name_id = old_id
        self.hold(self.volume_id, 'a')
        self.hold(old_id, 'b')
        self.assertEqual(['b'], [
            entry['reference']['source-name']
            for entry in self.list(volume_id=old_id)])

    def test_a_driver_that_knows_no_volumes_cannot_tell_one_volumes(self):
        self.driver.knows_volumes = False
        error = self.assertRaises(exception.InvalidInput, self.list,
                                  volume_id=self.volume_id)
        self.assertIn('the driver fake does not tell snapshots by their '
                      'volumes', error.msg)

    def test_safe_is_what_is_free_now(self):
        snapshot_id = self.accepted(self.volume_id)
        managed = f'snapshot-{snapshot_id}'
        self.hold(self.volume_id, managed)
        self.hold(self.volume_id, 'free')

        def found(safe_to_manage):
            return [entry['reference']['source-name'] for entry
                    in self.list(limit=1, safe_to_manage=safe_to_manage)]

        self.assertEqual((['free'], [managed]), (found(True), found(False)))
        with self.write() as session:
            snapshots.delete(session, snapshot_id)
        self.assertEqual([], found(False))

    def test_a_marker_that_is_gone_does_with_its_size(self):
        self.hold(self.volume_id, 'b')
        marker = {'source-name': 'a'}
        self.assertRaises(exception.InvalidInput, self.list, marker=marker)
        self.assertEqual(1, len(self.list(marker=marker, marker_size=1)))

    def test_no_limit_is_the_largest(self):
        self.conf.set_override('osapi_max_limit', 1)
        self.hold(self.volume_id, 'a')
        self.hold(self.volume_id, 'b')
        self.assertEqual(1, len(self.list(limit=None)))

    def test_a_driver_that_cannot_list_is_named(self):
        self.driver.failure = NotImplementedError()
        error = self.assertRaises(exception.DriverCannot, self.list)
        self.assertEqual('The driver fake cannot list snapshots.', error.msg)


class NamesTest(test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.conf = base.project_conf.new()
        self.conf([], default_config_files=[])

    def test_a_template_reads_what_it_wrote(self):
        snapshot_id = base.WorkerTestCase.new_id()
        for template in ('snapshot-%s', '%s', 'a.b-%s.c'):
            self.conf.set_override('snapshot_name_template', template)
            name = names.snapshot_name(self.conf, snapshot_id)
            self.assertEqual(snapshot_id, names.snapshot_id(self.conf, name))

    def test_other_names_belong_to_no_row(self):
        for name in ('snapshot-1', 'snapshot-' + 36 * '-', 'snap', '',
                     'xsnapshot-73633d17-9c14-4ac7-86a8-c4c0e6a689c3'):
            self.assertIsNone(names.snapshot_id(self.conf, name))

    def test_a_migrated_volume_keeps_its_name(self):
        self.assertEqual('volume-old', names.volume_name(
            self.conf, 'new', 'old'))
