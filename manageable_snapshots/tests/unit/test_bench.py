# SPDX-License-Identifier: Apache-2.0

"""What tools/bench says of what it has measured."""

import importlib
import pathlib

import fixtures
from oslotest import base

_TOOLS = pathlib.Path(__file__).parents[3] / 'tools'


class ResultsTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.PythonPathEntry(str(_TOOLS)))
        self.results = importlib.import_module('benchmarks.results')

    def row(self, stock, ours, **options):
        return self.results.Row('list', 'walk', 's', stock, ours, **options)

    def assertSays(self, verdict, row):
        line = self.results.table([row]).splitlines()[1]
        self.assertTrue(line.endswith(verdict), line)

    def test_how_many_times_as_fast(self):
        row = self.row([10, 30, 20], [1, 2, 4], least=10)
        self.assertEqual([10, 15, 5], row.ratios)
        self.assertSays('20 s   2 s   10     5 - 15  >= 10   reached', row)

    def test_more_of_a_rate_is_better(self):
        row = self.row([10], [30], least=4, more_is_better=True)
        self.assertEqual(3, row.ratio)
        self.assertSays('MISSED', row)
        self.assertIs(False, row.reached)

    def test_what_must_not_cost_more_than_something_else(self):
        for ours, reached in (1.1, True), (1.3, False):
            row = self.row([1], [ours], most=1.2)
            self.assertEqual(ours, row.ratio)
            self.assertIs(reached, row.reached)

    def test_a_figure_without_a_target(self):
        row = self.row([2], [1])
        self.assertIsNone(row.reached)
        self.assertSays('2 - 2', row)

    def test_what_is_beyond_the_limit_is_not_missed(self):
        row = self.row([4], [2], least=5, limit=4.5)
        self.assertIsNone(row.reached)
        self.assertSays('the limit is 4.5', row)
        self.assertSays('MISSED the limit is 6',
                        self.row([4], [2], least=5, limit=6))
        self.assertIs(True, self.row([12], [2], least=5, limit=6).reached)
