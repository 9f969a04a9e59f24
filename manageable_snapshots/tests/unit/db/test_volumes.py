# SPDX-License-Identifier: Apache-2.0

import datetime

from oslo_utils import uuidutils

from manageable_snapshots.db import models
from manageable_snapshots.db import volume_types
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.db import base


class GetTestCase(base.TestCase):

    def test_ones_own(self):
        volume = self.add_volume(display_name='mine')
        with self.database.writer(self.context) as session:
            for for_update in (False, True):
                found = volumes.get(session, self.context, volume.id,
                                    for_update=for_update)
                self.assertEqual('mine', found.display_name)

    def test_another_projects(self):
        volume = self.add_volume(project_id='another')
        with self.database.reader(self.context) as session:
            self.assertRaises(exception.VolumeNotFound, volumes.get, session,
                              self.context, volume.id)

    def test_another_projects_for_an_administrator(self):
        volume = self.add_volume()
        with self.database.reader(self.admin) as session:
            self.assertEqual(
                volume.id, volumes.get(session, self.admin, volume.id).id)

    def test_none_of_that_id(self):
        volume_id = uuidutils.generate_uuid()
        with self.database.reader(self.context) as session:
            error = self.assertRaises(
                exception.VolumeNotFound, volumes.get, session,
                self.context, volume_id)
        self.assertIn(volume_id, str(error))

    def test_a_deleted_one(self):
        volume = self.add_volume()
        with self.database.writer(self.context) as session:
            self.assertTrue(volumes.delete(session, volume.id))
            self.assertRaises(exception.VolumeNotFound, volumes.get, session,
                              self.context, volume.id)


class ListTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        # Two of them were made in the same second, as rows of MariaDB are.
        self.rows = [
            self.add_volume(
                id=f'{number}', display_name=f'{number % 2}',
                created_at=datetime.datetime(2026, 1, 1 + number // 2))
            for number in range(6)]
        self.other = self.add_volume(project_id='another')

    def _list(self, context=None, **arguments):
        context = context or self.context
        with self.database.reader(context) as session:
            return [row.id for row in volumes.list_volumes(
                session, context, **arguments)]

    def test_newest_first(self):
        self.assertEqual(['5', '4', '3', '2', '1', '0'], self._list())

    def test_pages(self):
        self.assertEqual(['5', '4', '3'], self._list(limit=3))
        self.assertEqual(['2', '1', '0'], self._list(limit=4, marker='3'))
        self.assertEqual([], self._list(limit=3, marker='0'))

    def test_a_marker_that_is_not_there(self):
        self.assertRaises(exception.VolumeNotFound, self._list, marker='9')
        self.assertRaises(exception.VolumeNotFound, self._list,
                          marker=self.other.id)

    def test_filters(self):
        self.assertEqual(['4', '2', '0'],
                         self._list(filters={'display_name': '0'}))
        self.assertEqual(['3', '1'],
                         self._list(filters={'id': ['1', '3'],
                                             'display_name': '1'}))

    def test_all_projects_are_an_administrators(self):
        self.assertNotIn(self.other.id, self._list(all_projects=True))
        self.assertEqual(7, len(self._list(self.admin, all_projects=True)))
        self.assertEqual([], self._list(self.admin))

    def test_deleted_ones_are_not_shown(self):
        with self.database.writer(self.context) as session:
            volumes.delete(session, '3')
        self.assertEqual(['5', '4', '2', '1', '0'], self._list())


class ChangeTestCase(base.TestCase):

    def test_columns_that_must_have_a_value_get_one(self):
        volume = self.find(models.Volume, self.add_volume().id)
        with self.database.reader(self.context) as session:
            default = volume_types.default(session)
        self.assertEqual(default.id, volume.volume_type_id)
        self.assertIs(True, volume.use_quota)
        self.assertIs(False, volume.deleted)
        self.assertIsNotNone(volume.created_at)

    def test_metadata(self):
        volume = self.add_volume(metadata={'a': '1', 'b': '2'})
        other = self.add_volume(metadata={'a': '3'})
        bare = self.add_volume()
        with self.database.reader(self.context) as session:
            self.assertEqual({'a': '1', 'b': '2'},
                             volumes.metadata(session, volume.id))
            self.assertEqual({}, volumes.metadata(session, bare.id))
            self.assertEqual(
                {volume.id: {'a': '1', 'b': '2'}, other.id: {'a': '3'}},
                volumes.metadata_of(
                    session, [volume.id, other.id, bare.id]))

    def test_update(self):
        volume = self.add_volume()
        with self.database.writer(self.context) as session:
            self.assertTrue(volumes.update(session, volume.id, size=7))
            self.assertFalse(volumes.update(session, 'nobody', size=7))
        self.assertEqual(7, self.find(models.Volume, volume.id).size)

    def test_delete_marks_the_row_and_its_metadata(self):
        volume = self.add_volume(metadata={'a': '1'})
        with self.database.writer(self.context) as session:
            self.assertTrue(volumes.delete(session, volume.id))
            self.assertFalse(volumes.delete(session, volume.id))
            self.assertEqual({}, volumes.metadata(session, volume.id))
        row = self.find(models.Volume, volume.id)
        self.assertIs(True, row.deleted)
        self.assertIsNotNone(row.deleted_at)
        self.assertEqual('deleted', row.status)

    def test_a_volume_that_was_migrated_has_its_old_name(self):
        volume = models.Volume(id='new')
        self.assertEqual('new', volume.name_id)
        volume._name_id = 'old'
        self.assertEqual('old', volume.name_id)

    def test_count_by_host(self):
        self.add_volume(host='a@b#x')
        self.add_volume(host='a@b#y')
        self.add_volume(host='c@d')
        gone = self.add_volume(host='c@d')
        with self.database.writer(self.admin) as session:
            volumes.delete(session, gone.id)
            self.assertEqual({'a@b': 2, 'c@d': 1},
                             volumes.count_by_host(session))


class VolumeTypeTestCase(base.TestCase):

    def test_get(self):
        row = self.add(models.VolumeType(name='fast'))
        with self.database.reader(self.context) as session:
            self.assertEqual('fast', volume_types.get(session, row.id).name)

    def test_there_is_none(self):
        with self.database.reader(self.context) as session:
            self.assertRaises(exception.VolumeTypeNotFound,
                              volume_types.get, session, 'nobody')

    def test_the_default_is_deleted(self):
        with self.database.writer(self.context) as session:
            volume_types.default(session).deleted = True
        with self.database.reader(self.context) as session:
            self.assertRaises(exception.VolumeTypeNotFound,
                              volume_types.default, session)
