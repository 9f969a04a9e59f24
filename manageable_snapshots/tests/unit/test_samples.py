# SPDX-License-Identifier: Apache-2.0

"""The samples in etc/ are what the options and rules make them."""

import io
import os
import pathlib

import fixtures
from oslo_config import cfg
from oslo_config import generator as config_generator
from oslo_policy import generator as policy_generator
from oslotest import base

_FOLDER = pathlib.Path(__file__).parents[3] / 'etc' / 'manageable_snapshots'


class TestSamples(base.BaseTestCase):

    def sample(self, name):
        path = _FOLDER / name
        if not path.exists():
            self.skipTest('There is no source tree here.')
        return path.read_text()

    def test_the_configuration_is_fresh(self):
        """But for the libraries' options, which vary with their versions."""
        conf = cfg.ConfigOpts()
        config_generator.register_cli_opts(conf)
        conf(['--namespace', 'manageable_snapshots', '--wrap-width', '79'],
             default_config_files=[])
        output = io.StringIO()
        config_generator.generate(conf, output)
        sample = _options(self.sample('manageable_snapshots.conf.sample'))
        self.assertEqual(
            {}, {place: text for place, text
                 in _options(output.getvalue()).items()
                 if sample.get(place) != text},
            'Run tox -e genconfig.')

    def test_the_policy_is_fresh(self):
        path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'policy.yaml')
        policy_generator.generate_sample(
            ['--namespace', 'manageable_snapshots', '--output-file', path],
            conf=cfg.ConfigOpts())
        self.assertEqual(
            pathlib.Path(path).read_text(), self.sample('policy.yaml.sample'),
            'Run tox -e genpolicy.')


def _options(text):
    """(Section, option) → the lines about it, of a sample."""
    options = {}
    section = ''
    for paragraph in text.split('\n\n'):
        lines = paragraph.strip().splitlines()
        if not lines:
            continue
        if lines[0].startswith('['):
            section = lines[0]
        elif ' = ' in lines[-1]:
            name = lines[-1].lstrip('#').partition(' = ')[0]
            options[section, name] = lines
    return options
