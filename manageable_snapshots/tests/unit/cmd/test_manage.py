# SPDX-License-Identifier: Apache-2.0

"""manageable-snapshots-manage and manageable-snapshots-status."""

import json
import subprocess
import sys
from unittest import mock

from manageable_snapshots.cmd import manage
from manageable_snapshots.cmd import status
from manageable_snapshots import conf as config
from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import migration
from manageable_snapshots.db import services
from manageable_snapshots.tests.unit.cmd import base


class TestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.path = self.write(f'[DEFAULT]\nstate_path = {self.folder}\n')

    def manage(self, *arguments):
        return self.call(
            manage.main, '--config-file', self.path, *arguments)


class TestDatabase(TestCase):

    def test_a_database_has_the_version_that_it_is_brought_to(self):
        self.assertEqual((0, 'none: run "db sync"\n', ''),
                         self.manage('db', 'version'))
        self.assertEqual((0, f'{migration.head()}\n', ''),
                         self.manage('db', 'sync'))
        self.assertEqual((0, f'{migration.head()}\n', ''),
                         self.manage('db', 'version'))

    def test_a_database_of_cinder_is_left_alone(self):
        conf = config.load(['--config-file', self.path])
        database = engine.Database(conf)
        with database.writer(context.get_admin_context()) as session:
            session.connection().exec_driver_sql(
                'CREATE TABLE attachment_specs (id INTEGER)')
        database.dispose()
        code, out, err = self.manage('db', 'sync')
        self.assertEqual((1, ''), (code, out))
        self.assertIn('Option connection in section [database]', err)

    def test_a_database_that_is_away_is_no_traceback(self):
        self.write(f'[database]\nconnection = sqlite:///{self.folder}/no/db')
        code, out, err = self.manage('db', 'version')
        self.assertEqual((1, ''), (code, out))
        self.assertTrue(err.endswith(
            'the-command: The database is unavailable at this time.\n'), err)
        self.assertNotIn('Traceback', err)

    def test_a_command_that_there_is_not_is_a_wrong_usage(self):
        self.assertEqual(2, self.manage('db', 'drop')[0])
        self.assertEqual(2, self.manage('db')[0])
        self.assertEqual(2, self.manage()[0])


class TestServices(TestCase):

    def test_each_service_is_a_line(self):
        self.manage('db', 'sync')
        conf = config.load(['--config-file', self.path])
        database = engine.Database(conf)
        with database.writer(context.get_admin_context()) as session:
            services.report(
                session, host='node@store', cluster=None,
                availability_zone='nova', rpc_version='3.20',
                object_version='1.39')
            services.report(
                session, host='other@store', cluster=None,
                availability_zone='nova', rpc_version='3.20',
                object_version='1.39').disabled = True
        database.dispose()
        code, out, _err = self.manage('service', 'list')
        self.assertEqual(0, code)
        lines = [line.split()[:5] for line in out.splitlines()]
        self.assertEqual(
            ['cinder-volume', 'node@store', 'nova', 'enabled', 'up'],
            lines[1])
        self.assertEqual(
            ['cinder-volume', 'other@store', 'nova', 'disabled', 'up'],
            lines[2])


class TestUpgradeCheck(TestCase):

    def check(self):
        code, out, _err = self.call(
            status.main, '--config-file', self.path, 'upgrade', 'check',
            '--json')
        return code, {each['check']: (each['result'], each['details'])
                      for each in json.loads(out)['checks']}

    def test_ready(self):
        self.manage('db', 'sync')
        self.assertEqual(
            (0, {'Configuration': (0, None), 'Policy': (0, None),
                 'Secrets': (0, None), 'Database': (0, None)}),
            self.check())

    def test_unknown_options_are_a_warning(self):
        self.manage('db', 'sync')
        with open(self.path, 'a') as file:
            file.write('[manageable_snapshots]\nadoption_thread = 4\n'
                       'rpc_timeuot = 3\n')
        code, checks = self.check()
        self.assertEqual((1, 1), (code, checks['Configuration'][0]))
        for word in ('Unknown option adoption_thread in', self.path,
                     'Did you mean adoption_threads?', 'rpc_timeuot'):
            self.assertIn(word, checks['Configuration'][1])

    def test_unknown_rules_are_a_warning(self):
        self.manage('db', 'sync')
        self.write('"volume:creat": "@"\n', 'policy.yaml')
        code, checks = self.check()
        self.assertEqual((1, 1), (code, checks['Policy'][0]))
        self.assertIn('Did you mean volume:create?', checks['Policy'][1])

    def test_a_policy_file_that_cannot_be_used(self):
        self.manage('db', 'sync')
        self.write('- a\n', 'policy.yaml')
        code, checks = self.check()
        self.assertEqual((2, 2), (code, checks['Policy'][0]))
        self.assertIn('policy.yaml: it does not consist',
                      checks['Policy'][1])

    def test_a_rule_that_cannot_be_parsed_is_told_in_the_table_only(self):
        self.manage('db', 'sync')
        self.write('"volume:create": "member"\n', 'policy.yaml')
        done = subprocess.run(
            [sys.executable, '-c', 'from manageable_snapshots.cmd import '
             'status\nraise SystemExit(status.main())', '--config-file',
             self.path, 'upgrade', 'check'], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60)
        self.assertEqual((1, ''), (done.returncode, done.stderr))
        self.assertIn('Policy rule volume:create in', done.stdout)

    def test_a_password_that_everybody_may_read(self):
        self.manage('db', 'sync')
        with mock.patch('manageable_snapshots.conf.secrecy.exposed',
                        return_value=[self.path]):
            code, checks = self.check()
        self.assertEqual((1, 1), (code, checks['Secrets'][0]))
        self.assertIn(self.path, checks['Secrets'][1])

    def test_without_tables(self):
        code, checks = self.check()
        self.assertEqual(2, code)
        self.assertEqual(2, checks['Database'][0])
        self.assertIn('db sync', checks['Database'][1])

    def test_beside_cinder_its_database_will_do(self):
        self.manage('db', 'sync')
        conf = config.load(['--config-file', self.path])
        database = engine.Database(conf)
        self.addCleanup(database.dispose)

        def execute(*statements):
            with database.engine.begin() as connection:
                for statement in statements:
                    connection.exec_driver_sql(statement)

        execute(f'DROP TABLE {migration.VERSION_TABLE}',
                'CREATE TABLE alembic_version (version_num CHAR)',
                "INSERT INTO alembic_version VALUES ('9c74c1c6971f')")
        self.assertEqual((0, None), self.check()[1]['Database'])
        execute('DROP TABLE services')
        code, checks = self.check()
        self.assertEqual(2, code)
        self.assertIn('lacks services', checks['Database'][1])

    def test_with_a_database_that_is_away(self):
        self.write(f'[database]\nconnection = sqlite:///{self.folder}/no/db')
        code, checks = self.check()
        self.assertEqual(2, code)
        self.assertEqual(2, checks['Database'][0])

    def test_with_a_wrong_option(self):
        self.manage('db', 'sync')
        self.write(f'[DEFAULT]\nstate_path = {self.folder}\n'
                   'osapi_max_limit = many\n')
        code, checks = self.check()
        self.assertEqual(2, code)
        self.assertIn('osapi_max_limit', checks['Configuration'][1])
