# SPDX-License-Identifier: Apache-2.0

"""Options that are set and unknown."""

import io
import os
import re

import fixtures
from oslo_config import cfg
from oslo_config import generator
from oslotest import base

from manageable_snapshots import conf as configuration
from manageable_snapshots.conf import unknown
from manageable_snapshots.drivers import loader


class UnknownTestCase(base.BaseTestCase):

    IN_CINDER = False

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path

    def write(self, text, name='project.conf'):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(text)
        return path

    def read(self, *arguments):
        conf = configuration.new()
        conf(list(arguments), default_config_files=[])
        return unknown.options(conf, in_cinder=self.IN_CINDER)

    def found(self, text):
        """The sentences, without where the file is."""
        path = self.write(text)
        return [sentence.replace(path, 'FILE') for sentence in self.read(
            '--config-file', path)]

    def assertUnknown(self, text, option, section, advice=''):
        self.assertEqual(
            [f'Unknown option {option} in section [{section}] of FILE: it '
             f'is ignored.{advice}'], self.found(text))


class OwnSectionTest(UnknownTestCase):
    """[manageable_snapshots], which has the same options in Cinder."""

    def test_a_misspelt_option_has_its_right_name_beside_it(self):
        self.assertUnknown(
            '[manageable_snapshots]\nadoption_thread = 4\n',
            'adoption_thread', 'manageable_snapshots',
            ' Did you mean adoption_threads?')

    def test_dashes_and_capitals_are_not_read(self):
        for option in ('adoption-threads', 'Adoption_Threads'):
            self.assertUnknown(
                f'[manageable_snapshots]\n{option} = 4\n', option,
                'manageable_snapshots', ' Did you mean adoption_threads?')

    def test_one_like_no_other(self):
        self.assertUnknown('[manageable_snapshots]\nxyz = %(a)s $b\n',
                           'xyz', 'manageable_snapshots')

    def test_one_of_another_section(self):
        self.assertUnknown(
            '[manageable_snapshots]\nosapi_max_limit = 4\n',
            'osapi_max_limit', 'manageable_snapshots',
            ' It belongs in [DEFAULT].')
        self.assertUnknown(
            '[DEFAULT]\nadoption_threads = 4\n', 'adoption_threads',
            'DEFAULT', ' It belongs in [manageable_snapshots].')
        self.assertUnknown(
            '[DEFAULT]\nmanageable_snapshots_native = off\n',
            'manageable_snapshots_native', 'DEFAULT',
            ' It belongs in the section of a backend.')

    def test_the_sections_name_in_capitals_is_read(self):
        self.assertEqual([], self.found(
            '[Manageable_Snapshots]\nadoption_threads = 4\n'))
        self.assertUnknown(
            '[Manageable_Snapshots]\nadoption_thread = 4\n',
            'adoption_thread', 'Manageable_Snapshots',
            ' Did you mean adoption_threads?')

    def test_a_misspelt_section(self):
        for section in ('manageable_snapshot', 'manageable-snapshots'):
            self.assertEqual(
                [f'Unknown section [{section}] in FILE: it is ignored. Did '
                 'you mean [manageable_snapshots]?'],
                self.found(f'[{section}]\nadoption_threads = 4\n'))

    def test_each_file_is_looked_at(self):
        first = self.write('[manageable_snapshots]\na_b = 1\n')
        second = self.write('[manageable_snapshots]\nc_d = 1\n', 'x.conf')
        third = self.write('[manageable_snapshots]\ne_f = 1\n', 'd/1.conf')
        self.write('[manageable_snapshots]\ng_h = 1\n', 'd/not')
        self.assertEqual(
            [f'Unknown option {option} in section [manageable_snapshots] of '
             f'{path}: it is ignored.' for option, path in (
                 ('a_b', first), ('c_d', second), ('e_f', third))],
            self.read('--config-file', first, '--config-file', second,
                      '--config-dir', os.path.join(self.folder, 'd')))

    def test_the_environment_is_looked_at(self):
        for name, value in (
                ('OS_MANAGEABLE_SNAPSHOTS__ADOPTION_THREAD', '4'),
                ('OS_MANAGEABLE_SNAPSHOTS__ADOPTION_THREADS', '4'),
                ('OS_MANAGEABLE_SNAPSHOTS_CONFIG_FILES', 'x'),
                ('OS_DEFAULT__ADOPTION_THREADS', '4'),
                ('OS_DEFAULT__DEBUG', 'true'),
                ('OS_OTHERS__ADOPTION', '4')):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        self.assertEqual(
            ['Unknown option adoption_threads of section [DEFAULT] in the '
             'environment variable OS_DEFAULT__ADOPTION_THREADS: it is '
             'ignored. It belongs in [manageable_snapshots].',
             'Unknown option adoption_thread of section '
             '[manageable_snapshots] in the environment variable '
             'OS_MANAGEABLE_SNAPSHOTS__ADOPTION_THREAD: it is ignored. Did '
             'you mean adoption_threads?'], self.read())


class OwnSectionInCinderTest(OwnSectionTest):

    IN_CINDER = True


class OnItsOwnTest(UnknownTestCase):

    def test_the_sample_has_no_unknown_option(self):
        # With those that libraries register when they are first needed.
        conf = cfg.ConfigOpts()
        generator.register_cli_opts(conf)
        conf([f'--namespace={name}' for name in (
            'manageable_snapshots', *unknown._LIBRARIES)],
            default_config_files=[])
        output = io.StringIO()
        generator.generate(conf, output)
        text = re.sub(r'(?m)^#(?=\w+ = )', '', output.getvalue())
        self.assertIn('\ntransport_url = ', text)
        # Not what would be backends.
        text = re.sub(r'(?m)^enabled_backends = .*', '', text)
        self.assertEqual([], self.found(text))

    def test_a_misspelt_option_of_the_default_section(self):
        self.assertUnknown('[DEFAULT]\ntransport_ur = fake://\n',
                           'transport_ur', 'DEFAULT',
                           ' Did you mean transport_url?')

    def test_the_default_section_in_small_letters_is_not_read(self):
        self.assertEqual(
            ['Unknown section [default] in FILE: it is ignored. Did you mean '
             '[DEFAULT]?'], self.found('[default]\ndebug = true\n'))

    def test_deprecated_names_are_known(self):
        self.assertEqual([], self.found(
            '[DEFAULT]\nrpc_thread_pool_size = 4\n'))

    def test_coordination(self):
        self.assertUnknown('[coordination]\nbackend = file:///x\n',
                           'backend', 'coordination',
                           ' Did you mean backend_url?')

    def test_a_backends_section(self):
        for driver in ('', 'volume_driver = rbd\n', 'volume_driver = '
                       'manageable_snapshots.drivers.rbd:RBDDriver\n'):
            self.assertUnknown(
                '[DEFAULT]\nenabled_backends = Pool\n[Pool]\n'
                f'{driver}rbd_pol = x\nrbd_user = y\n', 'rbd_pol', 'Pool',
                ' Did you mean rbd_pool?')

    def test_a_backends_section_whose_driver_is_anothers(self):
        self.assertUnknown(
            '[DEFAULT]\nenabled_backends = x\n[x]\n'
            'volume_driver = example.Driver\nexample_pool = x\n'
            'manageable_snapshots_nativ = off\n',
            'manageable_snapshots_nativ', 'x',
            ' Did you mean manageable_snapshots_native?')

    def test_a_section_that_no_worker_here_serves(self):
        self.assertEqual([], self.found(
            '[DEFAULT]\nenabled_backends = x-1\n[x-1]\n[x-2]\n'
            'volume_driver = example.Driver\nexample_pool = x\n'))

    def test_defaults_of_backends_are_cinders(self):
        self.assertEqual(
            ['Section [backend_defaults] of FILE is ignored: only Cinder has '
             'defaults for all backends.'],
            self.found('[backend_defaults]\nrbd_user = x\n'))

    def test_the_drivers_are_those_of_this_project(self):
        self.assertEqual(
            unknown._DRIVERS,
            {point.name for point in unknown.metadata.entry_points(
                group=loader.NAMESPACE)})


class InCinderTest(UnknownTestCase):

    IN_CINDER = True

    def test_options_of_cinders_are_cinders(self):
        self.assertEqual([], self.found(
            '[DEFAULT]\nmy_ip = x\nrbd_pol = x\n'
            '[coordination]\nbackend = x\n'
            '[backend_defaults]\nrbd_user = x\nanything = x\n'
            '[x]\nrbd_pol = x\nmanageable_snapshots_native = off\n'))

    def test_ours_in_the_section_of_a_backend(self):
        for section in ('x', 'backend_defaults'):
            self.assertUnknown(
                f'[{section}]\nmanageable_snapshot_native = off\n',
                'manageable_snapshot_native', section,
                ' Did you mean manageable_snapshots_native?')
            self.assertUnknown(
                f'[{section}]\nadoption_threads = 8\n', 'adoption_threads',
                section, ' It belongs in [manageable_snapshots].')
