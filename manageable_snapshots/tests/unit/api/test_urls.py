# SPDX-License-Identifier: Apache-2.0

"""Which row of the table a path belongs to."""

from oslotest import base

from manageable_snapshots.api import urls
from manageable_snapshots.standalone.api import urls as standalone_urls

PROJECT_ID = r'[0-9a-f\-]+'


class RouterTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.rows = [
            ('/', {'GET': 1}),
            ('/things', {'GET': 2, 'POST': 3}),
            ('/things/detail', {'GET': 4}),
            ('/things/{thing_id}', {'GET': 5, 'DELETE': 6}),
            ('/gone/{id}', {'GET': None}),
        ]
        self.router = urls.Router(self.rows, PROJECT_ID)

    def _match(self, path, method='GET'):
        match = self.router.match(path, method)
        return match and (match[0].get(method), match[1])

    def test_with_and_without_a_project(self):
        self.assertEqual((2, {}), self._match('/things'))
        self.assertEqual((2, {'project_id': 'ab-1'}),
                         self._match('/ab-1/things'))

    def test_what_is_remembered_of_a_path_is_not_the_callers(self):
        for _time in range(2):
            _methods, arguments = self.router.match('/things/x', 'GET')
            self.assertEqual({'thing_id': 'x'}, arguments)
            arguments.clear()

    def test_what_cannot_be_a_project(self):
        self.assertIsNone(self._match('/xyz/things'))

    def test_with_and_without_a_format(self):
        self.assertEqual((2, {}), self._match('/things.json'))
        self.assertEqual((5, {'thing_id': 'a'}),
                         self._match('/things/a.json'))
        self.assertIsNone(self._match('/things.xml'))

    def test_rows_in_their_order(self):
        self.assertEqual((4, {}), self._match('/things/detail'))
        self.assertEqual((5, {'thing_id': 'details'}),
                         self._match('/things/details'))

    def test_the_root_has_no_project(self):
        self.assertEqual((1, {}), self._match('/'))
        self.assertIsNone(self._match('/ab-1/'))
        self.assertIsNone(self._match('/ab-1'))

    def test_a_method_that_the_row_does_not_have(self):
        self.assertEqual((None, {}), self._match('/things', 'PUT'))

    def test_a_row_of_nothing(self):
        self.assertEqual((None, {'id': 'a'}), self._match('/gone/a'))
        self.assertIsNone(self._match('/gone/a', 'POST'))

    def test_what_is_not_there(self):
        for path in ('/thing', '/things/', '//things', '/things/a/b', '/ab'):
            self.assertIsNone(self._match(path))


class TableTest(base.BaseTestCase):

    def test_no_path_has_two_rows(self):
        paths = [path for path, _methods in (
            *standalone_urls.VERSION, *urls.MANAGEABLE_SNAPSHOTS)]
        self.assertEqual(len(paths), len(set(paths)))
