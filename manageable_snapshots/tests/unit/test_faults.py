# SPDX-License-Identifier: Apache-2.0

"""The points at which the fault tests kill are those of the code."""

import ast
import inspect
import os
import pkgutil

import fixtures
from oslotest import base

from manageable_snapshots.tests.integration.faults import points


def functions(module):
    """``module:name`` of each function of a module, and of its classes."""
    tree = ast.parse(inspect.getsource(pkgutil.resolve_name(module)))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield f'{module}:{node.name}'
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f'{module}:{node.name}.{inner.name}'


class TestPoints(base.BaseTestCase):

    def test_each_is_a_function(self):
        for step in points.STEPS:
            owner, name = points.found(step.target)
            self.assertTrue(callable(getattr(owner, name)), step)

    def test_each_function_of_an_adoption_is_a_step_or_is_said_to_be_none(
            self):
        listed = {step.target for step in points.STEPS}
        self.assertEqual(set(), listed & points.OTHERS)
        there = {name for module in points.MODULES
                 for name in functions(module)}
        self.assertEqual(set(), there - listed - points.OTHERS)
        self.assertEqual(set(), points.OTHERS - there)

    def test_names_differ(self):
        names = [step.name for step in points.STEPS]
        self.assertEqual(len(names), len(set(names)))

    def test_a_point_is_passed_once(self):
        folder = self.useFixture(fixtures.TempDir()).path
        step = points.CAST
        path = points.arm(folder, step, 'fail')
        self.assertTrue(points._is_armed(folder, step, 'fail'))
        self.assertFalse(os.path.exists(path))
        self.assertFalse(points._is_armed(folder, step, 'fail'))
