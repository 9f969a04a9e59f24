# SPDX-License-Identifier: Apache-2.0

"""Finding the driver that a backend's section names."""

import os

import fixtures
from oslotest import base as test_base

from manageable_snapshots import conf as configuration
from manageable_snapshots.drivers import directory
from manageable_snapshots.drivers import loader
from manageable_snapshots import exception


class TestLoad(test_base.BaseTestCase):

    def load(self, name=None):
        conf = configuration.new()
        loader.register_options(conf, 'pictures')
        if name is not None:
            conf.set_override('volume_driver', name, 'pictures')
        conf([], default_config_files=[])
        return loader.load(conf, 'pictures')

    def test_by_default(self):
        driver = self.load()
        self.assertIs(directory.DirectoryDriver, type(driver))
        self.assertEqual('pictures', driver.backend)

    def test_by_the_name_of_an_entry_point_or_of_a_class(self):
        module = 'manageable_snapshots.drivers.directory'
        for name in ('directory', f'{module}.DirectoryDriver',
                     f'{module}:DirectoryDriver'):
            self.assertIs(directory.DirectoryDriver, type(self.load(name)))

    def test_what_cannot_be_loaded_is_named_in_one_line(self):
        for name, reason in (
                ('nope', 'cannot load nope: there is no driver of that '
                         'name, but '),
                ('no.such.module', "cannot load no.such.module: No module "
                                   "named 'no'"),
                ('os:Nope', "cannot load os:Nope: module 'os' has no "
                            "attribute 'Nope'"),
                ('not a name.at all', 'cannot load not a name.at all: '),
                ('os.path.join', 'os.path.join is not a driver of this '
                                 'service'),
                ('os:PathLike', 'os:PathLike is not a driver of this '
                                'service')):
            error = self.assertRaises(
                exception.ConfigurationError, self.load, name)
            self.assertNotIn('\n', error.msg)
            self.assertTrue(error.msg.startswith(
                f'Option volume_driver in section [pictures]: {reason}'),
                error.msg)

    def test_a_backend_without_a_section_is_named(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'conf')
        with open(path, 'w') as file:
            file.write('[DEFAULT]\nenabled_backends = pictures, films\n'
                       '[pictures]\n')
        conf = configuration.new()
        conf([], default_config_files=[path])
        self.assertIs(directory.DirectoryDriver,
                      type(loader.load(conf, 'pictures')))
        error = self.assertRaises(
            exception.ConfigurationError, loader.load, conf, 'films')
        self.assertEqual('Option enabled_backends in section [DEFAULT]: '
                         'there is no section [films]', error.msg)

    def test_options_of_two_backends_are_apart(self):
        conf = configuration.new()
        for backend in ('one', 'two'):
            loader.register_options(conf, backend)
            loader.register_options(conf, backend)
        conf.set_override('directory_path', '/srv/one', 'one')
        self.assertEqual('/srv/one', conf.one.directory_path)
        self.assertIsNone(conf.two.directory_path)


class TestNative(test_base.BaseTestCase):
    """Which backend of Cinder's gets a driver of ours."""

    CINDERS = type('LVMVolumeDriver', (), {
        '__module__': 'cinder.volume.drivers.lvm'})

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(loader, 'NATIVE', {
            'cinder.volume.drivers.lvm.LVMVolumeDriver': 'directory'}))

    def configured(self, *lines):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'conf')
        with open(path, 'w') as file:
            file.write('\n'.join(lines))
        conf = configuration.new()
        conf([], default_config_files=[path])
        return conf

    def native(self, cinders, *lines):
        return loader.native(self.configured(*lines), 'store', cinders)

    def by_options(self, *lines):
        return loader.native_by_options(self.configured(*lines), 'store')

    def test_one_of_the_same_storage_does(self):
        driver = self.native(
            self.CINDERS, '[store]', 'directory_path = /srv/store',
            'volume_driver = cinder.volume.drivers.lvm.LVMVolumeDriver')
        self.assertIs(directory.DirectoryDriver, type(driver))
        self.assertEqual('/srv/store', driver.conf.store.directory_path)

    def test_another_one_does_not(self):
        derived = type('MyDriver', (self.CINDERS,), {'__module__': 'mine'})
        for cinders in (derived, dict):
            self.assertIsNone(self.native(cinders))

    def test_it_can_be_switched_off(self):
        off = 'manageable_snapshots_native = false'
        self.assertIsNone(self.native(self.CINDERS, '[store]', off))
        self.assertIsNone(self.native(self.CINDERS, '[backend_defaults]', off))
        self.assertIsNotNone(self.native(
            self.CINDERS, '[backend_defaults]', off,
            '[store]', 'manageable_snapshots_native = true'))

    def test_what_a_section_does_not_say_is_shared(self):
        driver = self.native(
            self.CINDERS, '[backend_defaults]', 'directory_path = /srv/all')
        self.assertEqual('/srv/all', driver.conf.store.directory_path)

    def test_the_options_tell_where_there_is_no_cinder(self):
        option = 'volume_driver = cinder.volume.drivers.lvm.LVMVolumeDriver'
        other = 'volume_driver = cinder.volume.drivers.nfs.NfsDriver'
        self.assertIsNotNone(self.by_options('[store]', option))
        self.assertIsNotNone(self.by_options('[store]'))
        self.assertIsNotNone(self.by_options(
            '[backend_defaults]', other, '[store]', option))
        self.assertIsNone(self.by_options('[store]', other))
        self.assertIsNone(self.by_options(
            '[store]', '[backend_defaults]', other))
        self.assertRaisesRegex(
            exception.ConfigurationError, r'there is no section \[store\]',
            self.by_options, '[another]')
