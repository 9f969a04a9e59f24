# SPDX-License-Identifier: Apache-2.0

import datetime
from unittest import mock

import hypothesis
from hypothesis import strategies
from oslo_utils import timeutils
from oslo_utils import uuidutils
import sqlalchemy as sa

from manageable_snapshots.db import models
from manageable_snapshots.db import query
from manageable_snapshots.db import snapshots
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.db import base

REFERENCE = {'source-name': 'a snapshot'}
COLUMNS = ('provider_id', 'provider_location', 'provider_auth')

# Three pairs of these fit, even if each character is escaped.
_texts = strategies.text(max_size=9)


class CreateTestCase(base.TestCase):

    def test_it_takes_after_its_volume_and_the_one_who_asks(self):
        volume = self.add_volume(size=3, encryption_key_id='a-key',
                                 project_id='another')
        with self.database.writer(self.context) as session:
            snapshot_id = snapshots.create(
                session, self.context, volume, name='a name',
                description='a description', metadata={'a': '1'}).id
            self.assertEqual({'a': '1'},
                             snapshots.metadata(session, snapshot_id))
        row = self.find(models.Snapshot, snapshot_id)
        self.assertEqual(
            ('creating', '0%', 3, 'a-key', volume.volume_type_id,
             base.PROJECT, base.USER, 'a name', 'a description'),
            (row.status, row.progress, row.volume_size,
             row.encryption_key_id, row.volume_type_id, row.project_id,
             row.user_id, row.display_name, row.display_description))
        self.assertIs(True, row.use_quota)
        self.assertIs(False, row.deleted)
        self.assertIsNone(row.provider_id)

    def test_no_metadata(self):
        volume = self.add_volume()
        with self.database.writer(self.context) as session:
            snapshot = snapshots.create(
                session, self.context, volume, name=None, description=None,
                metadata=None)
            self.assertEqual({}, snapshots.metadata(session, snapshot.id))


class GetTestCase(base.TestCase):

    def _get(self, context, snapshot_id):
        with self.database.reader(context) as session:
            return snapshots.get(session, context, snapshot_id)

    def test_ones_own(self):
        snapshot = self.add_snapshot()
        self.assertEqual('a name',
                         self._get(self.context, snapshot.id).display_name)

    def test_another_projects(self):
        snapshot = self.add_snapshot(project_id='another')
        self.assertRaises(exception.SnapshotNotFound, self._get,
                          self.context, snapshot.id)
        self.assertEqual(snapshot.id,
                         self._get(self.admin, snapshot.id).id)

    def test_a_deleted_one(self):
        snapshot = self.add_snapshot()
        with self.database.writer(self.context) as session:
            snapshots.delete(session, snapshot.id)
        self.assertRaises(exception.SnapshotNotFound, self._get,
                          self.admin, snapshot.id)

    def test_list_in_pages(self):
        volume = self.add_volume()
        rows = [self.add_snapshot(
            volume, created_at=datetime.datetime(2026, 1, day))
            for day in (1, 2, 3)]
        self.add_snapshot(project_id='another')
        ids = [row.id for row in reversed(rows)]
        with self.database.reader(self.context) as session:
            first = snapshots.list_snapshots(session, self.context, limit=2)
            second = snapshots.list_snapshots(
                session, self.context, limit=2, marker=first[-1].id,
                filters={'volume_id': volume.id})
        self.assertEqual(ids, [row.id for row in first + second])

    def test_metadata_of_several(self):
        volume = self.add_volume()
        with self.database.writer(self.context) as session:
            ids = [snapshots.create(
                session, self.context, volume, name=None, description=None,
                metadata={'number': str(number)}).id for number in range(600)]
            found = snapshots.metadata_of(session, ids)
        self.assertEqual({ids[number]: {'number': str(number)}
                          for number in range(600)}, found)


class ReferenceTestCase(base.TestCase):

    def test_with_the_row(self):
        for reference in (REFERENCE, 'a name', {}, ''):
            row = self.add_snapshot(reference=reference)
            self.assertEqual(reference, snapshots.recorded_reference(
                self.find(models.Snapshot, row.id)))

    def test_none(self):
        row = self.add_snapshot()
        self.assertFalse(snapshots.has_reference(row))
        self.assertIsNone(snapshots.recorded_reference(row))

    def test_a_drivers_columns_are_no_reference(self):
        row = self.add_snapshot(status='available', provider_id='x')
        self.assertIsNone(snapshots.recorded_reference(
            self.find(models.Snapshot, row.id)))

    @hypothesis.given(strategies.one_of(
        _texts, strategies.dictionaries(_texts, _texts, max_size=3)))
    def test_any_that_fits_comes_back(self, reference):
        session = mock.Mock()
        snapshot = snapshots.create(
            session, self.context, models.Volume(), name=None,
            description=None, metadata=None, reference=reference)
        self.assertTrue(snapshots.has_reference(snapshot))
        self.assertEqual(reference, snapshots.recorded_reference(snapshot))
        for column in COLUMNS:
            text = getattr(snapshot, column) or ''
            self.assertLessEqual(len(text), 255)
            # All that MariaDB's utf8mb3 holds.
            self.assertLessEqual(max(text, default=''), '\uffff')

    def test_too_long(self):
        row = self.add_snapshot(reference={'source-name': 'x' * 722})
        self.assertTrue(snapshots.has_reference(row))
        self.assertIsNone(snapshots.recorded_reference(row))

    def test_just_not_too_long(self):
        reference = {'source-name': 'x' * 721}
        row = self.add_snapshot(reference=reference)
        self.assertEqual(reference, snapshots.recorded_reference(
            self.find(models.Snapshot, row.id)))

    def test_set_aside(self):
        for reference in (REFERENCE, 'a name', {'source-name': '\u20ac' * 99},
                          {'source-name': 'x' * 721}):
            row = self.add_snapshot(reference=reference, aside=True)
            self.assertEqual((False, {}), (
                snapshots.has_reference(row), self._metadata(row.id)))
            self.assertTrue(self._fetch(row.id))
            row = self.find(models.Snapshot, row.id)
            self.assertEqual(reference, snapshots.recorded_reference(row))
            # A worker of Cinder's may have renamed it.
            self.assertTrue(snapshots.is_claimed(row))
            self.assertEqual({}, self._metadata(row.id))

    def test_metadata_of_the_user_are_not_what_was_set_aside(self):
        row = self.add_snapshot(reference=REFERENCE, aside=True)
        with self.database.writer(self.context) as session:
            query.add_metadata(
                session, models.SnapshotMetadata,
                {'manageable_snapshots_ref_99999': 'x'}, snapshot_id=row.id)
        self.assertTrue(self._fetch(row.id))
        self.assertEqual(REFERENCE, snapshots.recorded_reference(
            self.find(models.Snapshot, row.id)))

    def test_what_a_user_has_spoilt_is_lost_and_nothing_else(self):
        for text in 'x', '[' * 255:
            row = self.add_snapshot(reference=REFERENCE, aside=True)
            with self.database.writer(self.context) as session:
                session.add_all(models.SnapshotMetadata(
                    snapshot_id=row.id, value=text, deleted=True,
                    key=f'manageable_snapshots_ref_{number:03}')
                    for number in range(-500, 0))
            self.assertTrue(self._fetch(row.id))
            row = self.find(models.Snapshot, row.id)
            self.assertTrue(snapshots.is_claimed(row))
            self.assertIsNone(snapshots.recorded_reference(row))

    def test_too_long_to_be_set_aside(self):
        row = self.add_snapshot(reference='x' * 6000, aside=True)
        self.assertTrue(self._fetch(row.id))
        row = self.find(models.Snapshot, row.id)
        self.assertTrue(snapshots.is_claimed(row))
        self.assertIsNone(snapshots.recorded_reference(row))

    def test_what_a_message_said_is_not_fetched_again(self):
        row = self.add_snapshot(reference='old', aside=True)
        with self.database.writer(self.context) as session:
            snapshots.record_reference(session, row.id, REFERENCE)
        self.assertFalse(self._fetch(row.id))
        self.assertEqual(REFERENCE, snapshots.recorded_reference(
            self.find(models.Snapshot, row.id)))

    def _fetch(self, snapshot_id):
        with self.database.writer(self.context) as session:
            return snapshots.fetch_reference(session, snapshot_id)

    def _metadata(self, snapshot_id):
        with self.database.reader(self.context) as session:
            return snapshots.metadata(session, snapshot_id)

    def test_a_broken_one(self):
        row = self.add_snapshot(reference=REFERENCE, provider_location='{')
        self.assertIsNone(snapshots.recorded_reference(
            self.find(models.Snapshot, row.id)))

    def test_only_a_row_that_is_creating_takes_one(self):
        row = self.add_snapshot(status='available')
        with self.database.writer(self.context) as session:
            self.assertFalse(snapshots.record_reference(
                session, row.id, REFERENCE))
        self.assertIsNone(self.find(models.Snapshot, row.id).provider_id)

    def test_adopting(self):
        volume = self.add_volume()
        rows = [self.add_snapshot(
            volume, reference=REFERENCE,
            created_at=datetime.datetime(2026, 1, day)) for day in (2, 1)]
        self.add_snapshot(volume)
        self.add_snapshot(reference=REFERENCE)
        self.add_snapshot(volume, reference=REFERENCE, status='available')
        gone = self.add_snapshot(volume, reference=REFERENCE)
        with self.database.writer(self.context) as session:
            snapshots.delete(session, gone.id)
            found = snapshots.adopting(session, volume.id)
        self.assertEqual(
            [(rows[1].id, REFERENCE), (rows[0].id, REFERENCE)],
            [(row.id, recorded) for row, recorded in found])


class BackendTestCase(base.TestCase):
    """Which rows are a backend's."""

    def _managed(self, ids, queue=base.BACKEND):
        with self.database.reader(self.admin) as session:
            return snapshots.managed_ids(session, ids, queue)

    def _creating(self, queue=base.BACKEND, **arguments):
        with self.database.reader(self.admin) as session:
            return [row.id for row in snapshots.creating_on(
                session, queue, **arguments)]

    def test_managed_ids(self):
        here = self.add_snapshot(self.add_volume(host='node@store#pool'))
        poolless = self.add_snapshot(self.add_volume(host='node@store'))
        clustered = self.add_snapshot(self.add_volume(
            host='other@store', cluster_name='node@store#pool'))
        deleted = self.add_snapshot()
        with self.database.writer(self.admin) as session:
            snapshots.delete(session, deleted.id)
        elsewhere = [
            self.add_snapshot(self.add_volume(host=host))
            for host in ('node@store2#pool', 'node', 'node@stor_',
                         'NODE@STORE#pool', 'node@%', None)]
        nobody = uuidutils.generate_uuid()
        self.assertEqual(
            {row.id: row.volume_id for row in (here, poolless, clustered)},
            self._managed([here.id, here.id, poolless.id, clustered.id,
                           deleted.id, nobody,
                           *(row.id for row in elsewhere)]))
        self.assertEqual({}, self._managed([here.id], 'node@%'))
        self.assertEqual({}, self._managed([]))

    def test_managed_ids_of_a_migrated_volume(self):
        row = self.add_snapshot(self.add_volume(_name_id='old'))
        self.assertEqual({row.id: 'old'}, self._managed([row.id]))

    def test_more_ids_than_a_query_takes(self):
        row = self.add_snapshot()
        ids = [uuidutils.generate_uuid() for _ in range(1200)]
        self.assertEqual([row.id], list(self._managed([*ids, row.id])))

    def test_creating_on(self):
        def add(day, **volume):
            return self.add_snapshot(
                self.add_volume(**volume), reference=REFERENCE,
                created_at=datetime.datetime(2026, 1, day)).id

        second = add(2, host='node@store#pool')
        first = add(1, host='node@store')
        self.add(models.Cluster(name='node@store', binary='cinder-volume'))
        third = add(3, host='other@store', cluster_name='node@store')
        for host in ('node@store2#pool', 'node@stor_#pool', 'NODE@store#pool',
                     'node'):
            add(4, host=host)
        self.add_snapshot(self.add_volume(host='node@store'))
        self.add_snapshot(self.add_volume(host='node@store'),
                          reference=REFERENCE, status='error')
        self.assertEqual([first, second, third], self._creating())
        self.assertEqual([], self._creating('node@%'))
        self.assertEqual([], self._creating('node@store#pool2'))

    def test_a_look_begins_with_the_volumes_of_the_backend(self):
        statements = self.useFixture(base.Statements())
        self.assertEqual(2, statements.count(self._creating))
        for number in range(3):
            self.add_snapshot(reference=REFERENCE, aside=number == 1)
            self.add_snapshot(self.add_volume(host='node@other'),
                              reference=REFERENCE)
        # Of clusters, volumes, and the snapshots of these.
        self.assertEqual(3, statements.count(self._creating))
        self.assertNotIn('cluster_name =', statements.seen[1][0])
        self.assertNotIn('JOIN', statements.seen[2][0])
        self.assertNotIn('FOR UPDATE', str(statements.seen))

    def test_more_volumes_than_a_statement_takes(self):
        with self.database.writer(self.admin) as session:
            session.execute(sa.insert(models.Volume), [
                {'id': uuidutils.generate_uuid(), 'host': base.BACKEND,
                 'volume_type_id': 't', 'use_quota': True, 'deleted': False}
                for _ in range(1100)])
        ids = [self.add_snapshot(reference=REFERENCE).id for _ in range(2)]
        self.assertEqual(set(ids), set(self._creating()))

    def test_creating_for_some_time(self):
        now = timeutils.utcnow()
        old = self.add_snapshot(
            reference=REFERENCE,
            created_at=now - datetime.timedelta(seconds=61))
        self.add_snapshot(
            reference=REFERENCE,
            created_at=now - datetime.timedelta(seconds=30))
        self.assertEqual([old.id], self._creating(older_than=60))

    def test_those_whose_reference_was_set_aside(self):
        self.add_snapshot()
        row = self.add_snapshot(reference=REFERENCE, aside=True)
        self.assertEqual([row.id], self._creating())
        self.assertTrue(snapshots.is_aside(row))
        self.assertEqual(1, self._unfinished())
        with self.database.writer(self.admin) as session:
            self.assertTrue(snapshots.fetch_reference(session, row.id))
        self.assertEqual([row.id], self._creating())
        self.assertFalse(snapshots.is_aside(
            self.find(models.Snapshot, row.id)))
        self.assertEqual(1, self._unfinished())

    def _unfinished(self):
        with self.database.reader(self.admin) as session:
            return snapshots.unfinished(session)[0]


class LeaveCreatingTestCase(base.TestCase):

    def _call(self, function, *arguments, **keywords):
        with self.database.writer(self.context) as session:
            return function(session, *arguments, **keywords)

    def test_make_available(self):
        row = self.add_snapshot(reference='x' * 600)
        self.assertTrue(self._call(
            snapshots.make_available, row.id, provider_id='a driver\'s'))
        row = self.find(models.Snapshot, row.id)
        self.assertEqual(('available', '100%', 'a driver\'s', None, None),
                         (row.status, row.progress, row.provider_id,
                          row.provider_location, row.provider_auth))
        self.assertIsNotNone(row.updated_at)

    def test_what_a_driver_adds(self):
        named = self.add_snapshot(reference=REFERENCE)
        self._call(query.add_metadata, models.SnapshotMetadata,
                   {'k': 'v', 'shelf': '1'}, snapshot_id=named.id)
        bare = self.add_snapshot(reference=REFERENCE, display_name=None)
        for row in named, bare:
            self.assertTrue(self._call(
                snapshots.make_available, row.id, display_name='nightly',
                metadata={'shelf': 7, 'none': None,
                          'note': '\U0001f600' + 'x' * 300}))
        note = '\ufffd' + 'x' * 251 + '...'
        self.assertEqual(
            'a name', self.find(models.Snapshot, named.id).display_name)
        self.assertEqual({'k': 'v', 'shelf': '7', 'note': note},
                         self._call(snapshots.metadata, named.id))
        self.assertEqual(
            'nightly', self.find(models.Snapshot, bare.id).display_name)
        self.assertEqual({'shelf': '7', 'note': note},
                         self._call(snapshots.metadata, bare.id))

    def test_make_error(self):
        row = self.add_snapshot(reference='x' * 600)
        self.assertTrue(self._call(snapshots.make_error, row.id, 'no such'))
        row = self.find(models.Snapshot, row.id)
        self.assertEqual(('error', None, None, None),
                         (row.status, row.provider_id, row.provider_location,
                          row.provider_auth))
        self.assertEqual({'manage_error': 'no such'},
                         self._call(snapshots.metadata, row.id))

    def test_a_reason_takes_the_place_of_an_earlier_one(self):
        row = self.add_snapshot()
        self._call(snapshots.make_error, row.id, 'the first')
        self._call(snapshots.update, row.id, status='creating')
        self._call(snapshots.make_error, row.id, 'the second')
        self.assertEqual({'manage_error': 'the second'},
                         self._call(snapshots.metadata, row.id))

    def test_a_reason_that_no_column_could_hold(self):
        row = self.add_snapshot()
        self._call(snapshots.make_error, row.id,
                   'a\0b \U0001f600 \ud800 ' + 'x' * 300)
        reason = self._call(snapshots.metadata, row.id)['manage_error']
        self.assertTrue(reason.startswith('ab \ufffd \ufffd xxx'), reason)
        self.assertTrue(reason.endswith('x...'), reason)
        self.assertEqual(255, len(reason))

    def test_what_was_set_aside_can_be_withdrawn(self):
        row = self.add_snapshot(reference=REFERENCE, aside=True)
        self.assertTrue(self._call(
            snapshots.withdraw, self.context, row.id))

    def test_once_only(self):
        row = self.add_snapshot(reference=REFERENCE)
        self.assertTrue(self._call(snapshots.make_available, row.id,
                                   provider_id='kept'))
        self.assertFalse(self._call(snapshots.make_available, row.id))
        self.assertFalse(self._call(snapshots.make_error, row.id, 'late'))
        self.assertFalse(self._call(snapshots.claim, row.id))
        self.assertFalse(self._call(
            snapshots.withdraw, self.context, row.id))
        row = self.find(models.Snapshot, row.id)
        self.assertEqual(('available', 'kept', 1),
                         (row.status, row.provider_id, row.volume_size))
        self.assertEqual({}, self._call(snapshots.metadata, row.id))

    def test_withdraw(self):
        row = self.add_snapshot(reference=REFERENCE)
        self.assertTrue(self._call(snapshots.withdraw, self.context, row.id))
        row = self.find(models.Snapshot, row.id)
        self.assertIs(True, row.deleted)
        self.assertFalse(self._call(snapshots.make_available, row.id))
        self.assertRaises(
            exception.SnapshotNotFound, self._call, snapshots.withdraw,
            self.context, row.id)

    def test_what_a_worker_has_claimed_is_not_withdrawn(self):
        row = self.add_snapshot(reference=REFERENCE)
        self.assertFalse(snapshots.is_claimed(row))
        self.assertTrue(self._call(snapshots.claim, row.id))
        self.assertFalse(self._call(snapshots.withdraw, self.context, row.id))
        row = self.find(models.Snapshot, row.id)
        self.assertTrue(snapshots.is_claimed(row))
        self.assertEqual((False, 'creating'),
                         (row.deleted, row.status))
        self.assertEqual(REFERENCE, snapshots.recorded_reference(row))

    def test_what_a_worker_has_claimed_is_not_given_up(self):
        row = self.add_snapshot(reference=REFERENCE)
        self._call(snapshots.claim, row.id)
        self.assertFalse(self._call(snapshots.give_up, row.id, 'too late'))
        self.assertEqual('creating',
                         self.find(models.Snapshot, row.id).status)

    def test_what_it_put_off_is_given_up_and_not_withdrawn(self):
        row = self.add_snapshot(reference=REFERENCE)
        self._call(snapshots.claim, row.id)
        self.assertTrue(self._call(snapshots.put_off, row.id))
        self.assertFalse(snapshots.is_claimed(
            self.find(models.Snapshot, row.id)))
        self.assertFalse(self._call(snapshots.withdraw, self.context, row.id))
        self.assertTrue(self._call(snapshots.give_up, row.id, 'too late'))
        self.assertEqual({'manage_error': 'too late'},
                         self._call(snapshots.metadata, row.id))

    def test_what_nobody_has_looked_at_is_given_up(self):
        row = self.add_snapshot(reference=REFERENCE)
        self.assertTrue(self._call(snapshots.give_up, row.id, 'too late'))

    def test_another_projects_row_is_not_withdrawn(self):
        row = self.add_snapshot(project_id='another')
        self.assertRaises(
            exception.SnapshotNotFound, self._call, snapshots.withdraw,
            self.context, row.id)

    def test_update(self):
        row = self.add_snapshot()
        self.assertTrue(self._call(snapshots.update, row.id, volume_size=9))
        self.assertFalse(self._call(snapshots.update, 'nobody', status='x'))
        self.assertEqual(9, self.find(models.Snapshot, row.id).volume_size)

    def test_delete_marks_the_row_and_its_metadata(self):
        row = self.add_snapshot()
        self._call(snapshots.make_error, row.id, 'no')
        self.assertTrue(self._call(snapshots.delete, row.id))
        self.assertFalse(self._call(snapshots.delete, row.id))
        self.assertEqual({}, self._call(snapshots.metadata, row.id))
        row = self.find(models.Snapshot, row.id)
        self.assertEqual((True, 'deleted'), (row.deleted, row.status))
        self.assertIsNotNone(row.deleted_at)
