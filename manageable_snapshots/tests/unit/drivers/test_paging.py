# SPDX-License-Identifier: Apache-2.0

"""A page of a scan."""

import json

from oslotest import base as test_base

from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import paging
from manageable_snapshots import exception


def entry(name, source_id, size=1):
    return base.BackendSnapshot(
        reference={'source-name': name, 'source-id': source_id},
        source_reference={'source-name': 'volume'}, size=size)


A1, A2, B, C = (entry('a', '1', 3), entry('a', '2', None), entry('b', '3', 1),
                entry('c', '4', 3))


class TestPrefix(test_base.BaseTestCase):

    def test_a_volume_that_cannot_be_read_may_hold_any_name(self):
        unread = base.BackendSnapshot(
            reference={'source-id': 'image@'},
            source_reference={'source-name': 'image'}, size=None,
            safe_to_manage=False, is_unread=True)
        scan = paging.Scan([A1, B, unread])
        for prefix, names in (('a', [unread, A1]), ('b', [unread, B]),
                              ('image', [unread]), ('', [A1, B, unread])):
            with self.subTest(prefix=prefix):
                view = paging.View(('reference',), ('asc',),
                                   source_name=prefix)
                self.assertEqual(
                    sorted(str(each.reference) for each in names),
                    sorted(str(each.reference)
                           for each in scan.page(view, 0, 10)))
        named = paging.View(('reference',), ('asc',), source_name='a',
                            volume_name='volume')
        self.assertEqual([A1], scan.page(named, 0, 10))


class TestPage(test_base.BaseTestCase):

    def page(self, marker=None, limit=100, offset=None, keys=('reference',),
             dirs=('asc',)):
        return paging.page([C, A2, B, A1], marker, limit, offset, keys, dirs)

    def test_by_reference(self):
        self.assertEqual([A1, A2, B, C], self.page())
        self.assertEqual([C, B, A2, A1], self.page(dirs=('desc',)))

    def test_by_size_an_unknown_one_is_least(self):
        self.assertEqual([A2, B, A1, C], self.page(keys=('size',)))
        self.assertEqual([A1, C, B, A2],
                         self.page(keys=('size',), dirs=('desc',)))

    def test_by_two_keys(self):
        self.assertEqual(
            [C, A1, B, A2], self.page(keys=('size', 'reference'),
                                      dirs=('desc', 'desc')))

    def test_limit_and_offset(self):
        self.assertEqual([A1, A2], self.page(limit=2))
        self.assertEqual([A2, B], self.page(limit=2, offset=1))
        self.assertEqual([], self.page(limit=2, offset=9))
        self.assertEqual([], self.page(limit=0))

    def test_after_a_marker(self):
        self.assertEqual([B, C], self.page(marker=A2.reference))
        self.assertEqual([B, C], self.page(marker=json.dumps(A2.reference)))
        self.assertEqual([C], self.page(marker=A2.reference, offset=1))
        self.assertEqual([], self.page(marker=C.reference))

    def test_a_part_of_a_reference_that_no_other_has_is_a_marker(self):
        self.assertEqual([C], self.page(marker={'source-name': 'b'}))
        self.assertEqual([B, C], self.page(marker={'source-id': '2'}))

    def test_a_marker_that_several_have_is_refused(self):
        error = self.assertRaises(exception.InvalidInput, self.page,
                                  marker={'source-name': 'a'})
        self.assertIn("several snapshots, give the source-id as well: "
                      "{'source-name': 'a'}", error.msg)

    def test_a_marker_that_none_has_is_refused(self):
        error = self.assertRaises(exception.InvalidInput, self.page,
                                  marker={'source-name': 'z'})
        self.assertEqual("Invalid input received: marker not found: "
                         "{'source-name': 'z'}", error.msg)

    def test_unknown_keys_and_directions_are_refused(self):
        for keys, dirs, message in (
                (['name'], ['asc'], 'Invalid sort keys passed: name'),
                (['size', 'x', 'y'], ['asc'] * 3,
                 'Invalid sort keys passed: x, y'),
                (['size'], ['up'], 'Invalid sort dirs passed: up'),
                (['size', 'reference'], ['asc'],
                 'each sort key needs a sort direction')):
            error = self.assertRaises(exception.InvalidInput, self.page,
                                      keys=keys, dirs=dirs)
            self.assertIn(message, error.msg)
