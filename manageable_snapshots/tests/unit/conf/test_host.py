# SPDX-License-Identifier: Apache-2.0

"""The configuration of a Cinder, read again."""

import os

import fixtures
from oslo_config import cfg
from oslo_policy import opts as policy_opts
from oslotest import base

from manageable_snapshots.conf import host
from manageable_snapshots import exception

OPTIONS = [
    cfg.StrOpt('state_path', default='/var/lib/cinder'),
    cfg.StrOpt('auth_strategy', default='keystone'),
    cfg.IntOpt('quota_snapshots', default=10),
    cfg.IntOpt('report_interval', default=10),
    cfg.StrOpt('storage_availability_zone', default='nova'),
    cfg.ListOpt('enabled_backends'),
]
COORDINATION = [cfg.StrOpt('backend_url', default='file://$state_path')]


class HostTestCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path

    def write(self, text, name='cinder.conf'):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as file:
            file.write(text)
        return path


class LoadTest(HostTestCase):

    def cinder(self, *arguments):
        """What ``cinder.cfg.CONF`` is in Cinder."""
        conf = cfg.ConfigOpts()
        conf.register_cli_opts(OPTIONS)
        conf.register_opts(COORDINATION, group='coordination')
        conf(list(arguments), project='cinder', default_config_files=[])
        return conf

    def test_what_the_files_say(self):
        conf = host.load(self.cinder('--config-file', self.write(
            '[DEFAULT]\nquota_snapshots = 3\n'
            '[coordination]\nbackend_url = etcd3://x\n'
            '[database]\nconnection = mysql+pymysql://db/cinder\n'
            '[manageable_snapshots]\nrpc_timeout = 4\n')))
        self.assertEqual(
            (3, 'etcd3://x', 'mysql+pymysql://db/cinder', 4),
            (conf.quota_snapshots, conf.coordination.backend_url,
             conf.database.connection, conf.manageable_snapshots.rpc_timeout))

    def test_a_later_file_and_a_folder_count_as_they_do_in_cinder(self):
        os.mkdir(os.path.join(self.folder, 'more.d'))
        self.write('[DEFAULT]\nquota_snapshots = 5\n', 'more.d/a.conf')
        cinder = self.cinder(
            '--config-file', self.write(
                '[DEFAULT]\nquota_snapshots = 3\nstate_path = /one\n'),
            '--config-file', self.write(
                '[DEFAULT]\nstate_path = /two\n', 'b.conf'),
            '--config-dir', os.path.join(self.folder, 'more.d'))
        conf = host.load(cinder)
        self.assertEqual((5, '/two'), (conf.quota_snapshots, conf.state_path))
        self.assertEqual((cinder.quota_snapshots, cinder.state_path),
                         (conf.quota_snapshots, conf.state_path))

    def test_what_it_was_told_by_other_means(self):
        cinder = self.cinder('--quota_snapshots', '7')
        cinder.set_override('storage_availability_zone', 'here')
        conf = host.load(cinder)
        self.assertEqual((7, 'here'), (
            conf.quota_snapshots, conf.storage_availability_zone))

    def test_its_defaults_are_the_defaults(self):
        conf = host.load(self.cinder())
        self.assertEqual(('/var/lib/cinder', 'file:///var/lib/cinder'), (
            conf.state_path, conf.coordination.backend_url))

    def test_so_are_those_that_it_gave_a_library(self):
        cinder = self.cinder()
        for group, options in policy_opts.list_opts():
            cinder.register_opts(options, group=group)
        for value in (True, False):
            cinder.set_default('enforce_new_defaults', value, 'oslo_policy')
            self.assertIs(
                value, host.load(cinder).oslo_policy.enforce_new_defaults)

    def test_what_it_does_not_have_is_ours(self):
        conf = host.load(self.cinder())
        self.assertEqual(10, conf.manageable_snapshots.rpc_timeout)

    def test_it_gets_nothing_of_ours(self):
        cinder = self.cinder()
        before = set(cinder)
        host.load(cinder)
        self.assertEqual(before, set(cinder))

    def test_what_only_cinder_can_have_and_nothing_here_needs(self):
        host.load(self.cinder('--config-file', self.write(
            '[DEFAULT]\nauth_strategy = noauth_include_project_id\n'
            'report_interval = 0\n')))

    def test_a_value_that_cannot_be_is_found_at_once(self):
        cinder = self.cinder('--config-file', self.write(
            '[manageable_snapshots]\nrpc_timeout = soon\n'))
        error = self.assertRaises(exception.ConfigurationError, host.load,
                                  cinder)
        self.assertIn('Option rpc_timeout in section [manageable_snapshots]',
                      error.msg)

    def test_its_files_are_looked_for_where_cinders_are(self):
        path = self.write('{}', 'policy.yaml')
        conf = host.load(self.cinder('--config-file', self.write('')))
        self.assertEqual(path, conf.find_file('policy.yaml'))


class IsHostsTest(HostTestCase):

    def read(self, *arguments):
        conf = cfg.ConfigOpts()
        conf(list(arguments), default_config_files=[])
        return host.is_hosts(conf)

    def test_a_file_of_cinders(self):
        self.assertTrue(self.read('--config-file', self.write('')))

    def test_a_folder_of_cinders(self):
        folder = os.path.join(self.folder, 'cinder.conf.d')
        os.mkdir(folder)
        self.assertTrue(self.read('--config-dir', folder))

    def test_a_file_of_ours(self):
        self.assertFalse(self.read('--config-file', self.write(
            '', 'manageable_snapshots.conf')))

    def test_no_file(self):
        self.assertFalse(self.read())
