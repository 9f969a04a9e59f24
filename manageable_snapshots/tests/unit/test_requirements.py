# SPDX-License-Identifier: Apache-2.0

"""The lower bounds of what is required are those that tests run with."""

import configparser
import pathlib
import re

from oslotest import base

_ROOT = pathlib.Path(__file__).parents[3]


def _versions(lines, operator):
    """Name → version, of lines like ``name>=1.2 # a licence``."""
    pattern = re.compile(rf'([\w.-]+){operator}([\w.]+)')
    return {re.sub('[-_.]+', '-', match[1]).lower(): match[2]
            for match in map(pattern.match, lines) if match}


class TestRequirements(base.BaseTestCase):

    def read(self, name):
        path = _ROOT / name
        if not path.exists():
            self.skipTest('There is no source tree here.')
        return path.read_text().splitlines()

    def test_each_lower_bound_is_tested(self):
        bounds = _versions(self.read('requirements.txt'), '>=')
        extras = configparser.ConfigParser()
        extras.read(_ROOT / 'setup.cfg')
        for lines in extras['extras'].values():
            bounds.update(_versions(lines.split('\n'), '>='))
        tested = _versions(
            self.read('tools/constraints/cinder-22.txt'), '==')
        self.assertNotEqual({}, bounds)
        self.assertEqual(
            bounds, {name: tested.get(name) for name in bounds},
            'tools/constraints/cinder-22.txt')
