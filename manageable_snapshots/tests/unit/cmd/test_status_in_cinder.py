# SPDX-License-Identifier: Apache-2.0

"""manageable-snapshots-status with the configuration of a Cinder."""

from importlib import metadata
import json

import fixtures

from manageable_snapshots.cmd import status
from manageable_snapshots import context
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots.tests.unit.cmd import base
from manageable_snapshots.tests.unit.db import base as db_base

MANAGER = 'manageable_snapshots.volume.cinder.VolumeManager'

#: parts of the file that Cinder comes with
PASTE = """
[composite:osapi_volume]
use = call:cinder.api:root_app_factory
/v3: openstack_volume_api_v3

[composite:openstack_volume_api_v3]
use = call:cinder.api.middleware.auth:pipeline_factory
noauth = faultwrap noauth apiv3
noauth_include_project_id = faultwrap noauth_include_project_id apiv3
keystone = faultwrap authtoken keystonecontext {keystone}apiv3
keystone_nolimit = faultwrap authtoken keystonecontext {nolimit}apiv3

[app:apiv3]
paste.app_factory = cinder.api.v3.router:APIRouter.factory

[app:healthcheckapp]
paste.app_factory = oslo_middleware:Healthcheck.app_factory
disable_by_file_path = %(here)s/healthcheck_disable

[pipeline:healthcheck]
pipeline = request_id healthcheckapp
"""

FILTER = """
[filter:{name}]
paste.filter_factory = manageable_snapshots.api:filter_factory
"""


class InCinderTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.database = self.useFixture(db_base.DatabaseFixture())
        self.revision('9c74c1c6971f')
        self.cinder_is('29.0.0')
        self.configure(volume_manager=MANAGER)
        self.paste()

    def execute(self, *statements):
        with self.database.database.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def revision(self, revision):
        self.execute(
            'CREATE TABLE IF NOT EXISTS alembic_version (version_num CHAR)',
            'DELETE FROM alembic_version',
            f"INSERT INTO alembic_version VALUES ('{revision}')")

    def cinder_is(self, version):
        def installed(name):
            if name != 'cinder':
                return found(name)
            if version is None:
                raise metadata.PackageNotFoundError(name)
            return version

        found = metadata.version
        self.useFixture(fixtures.MonkeyPatch(
            'importlib.metadata.version', installed))

    def configure(self, connection=None, **options):
        lines = [f'{name} = {value}' for name, value in options.items()]
        connection = connection or self.database.conf.database.connection
        self.path = self.write('\n'.join(
            ['[DEFAULT]', *lines, '[database]', f'connection = {connection}',
             '[keystone_authtoken]', 'username = cinder', '']), 'cinder.conf')

    def paste(self, name='manageable_snapshots', **pipelines):
        words = {'keystone': f'{name} ', 'nolimit': f'{name} ', **pipelines}
        self.write(PASTE.format(**words) + FILTER.format(name=name),
                   'api-paste.ini')

    def check(self):
        code, out, _err = self.call(
            status.main, 'upgrade', 'check', '--config-file', self.path,
            '--json')
        return code, {each['check']: (each['result'], each['details'])
                      for each in json.loads(out)['checks']}

    def assertFound(self, code, check, *words):
        worst, checks = self.check()
        self.assertEqual({check: code}, {
            name: result for name, (result, _details) in checks.items()
            if result})
        self.assertEqual(code, worst)
        for word in words:
            self.assertIn(word, checks[check][1])

    def test_all_is_well(self):
        self.assertEqual((0, {
            'Configuration': (0, None),
            'Policy': (0, None),
            'Secrets': (0, None),
            'Filter in cinder-api': (0, f'{self.folder}/api-paste.ini'),
            'Manager in cinder-volume': (0, None),
            'Release of Cinder': (0, 'Cinder 29.0.0'),
            'Database': (0, 'Revision 9c74c1c6971f'),
            'Adoptions': (0, None)}), self.check())

    def test_the_file_may_be_named_first(self):
        code, _out, _err = self.call(
            status.main, '--config-file', self.path, 'upgrade', 'check')
        self.assertEqual(0, code)

    def test_what_is_wrong_is_in_the_table_too(self):
        self.configure()
        code, out, _err = self.call(
            status.main, 'upgrade', 'check', '--config-file', self.path)
        self.assertEqual(1, code)
        self.assertIn('| Check: Manager in cinder-volume ', out)
        self.assertIn('| Result: Warning ', out)

    def test_a_folder_of_files_will_do(self):
        folder = self.useFixture(fixtures.TempDir(self.folder)).path
        self.path = self.write(
            open(self.path).read(), f'{folder}/cinder-more.conf')
        code, out, _err = self.call(
            status.main, 'upgrade', 'check', '--config-dir', folder,
            '--config-file', self.write('', 'cinder.conf'), '--json')
        self.assertEqual(0, code, out)

    def test_a_value_that_cannot_be(self):
        self.configure(volume_manager=MANAGER, quota_snapshots='many')
        self.assertFound(2, 'Configuration', 'quota_snapshots')

    def test_an_option_that_there_is_not(self):
        self.configure(volume_manager=MANAGER, my_own='x', list_timeout=3)
        self.assertFound(1, 'Configuration', 'Unknown option list_timeout',
                         'It belongs in [manageable_snapshots].')

    def test_a_rule_that_there_is_not(self):
        self.write('"backup:creat": "@"\n"snapshot_extension:manage": "@"\n',
                   'policy.yaml')
        self.assertFound(
            1, 'Policy', 'Policy rule snapshot_extension:manage in',
            'is unknown', 'Did you mean snapshot_extension:snapshot_manage?')

    def test_a_policy_file_that_is_not_there(self):
        with open(self.path, 'a') as file:
            file.write('[oslo_policy]\npolicy_file = none.yaml\n')
        self.assertFound(1, 'Policy', 'none.yaml', 'does not exist')

    def test_a_value_that_only_cinder_can_have(self):
        self.configure(
            volume_manager=MANAGER, report_interval=0,
            auth_strategy='noauth_include_project_id')
        self.write(PASTE.format(keystone='', nolimit='')
                   .replace('apiv3\n', 'ours apiv3\n')
                   + FILTER.format(name='ours'), 'api-paste.ini')
        self.assertEqual(0, self.check()[0])

    def test_no_filter(self):
        self.paste(keystone='', nolimit='')
        self.assertFound(1, 'Filter in cinder-api',
                         '"keystone" of [composite:openstack_volume_api_v3]',
                         '"keystone_nolimit" of', 'answers as without it')

    def test_the_filter_in_some_pipelines(self):
        self.paste(nolimit='')
        self.assertFound(1, 'Filter in cinder-api', '"keystone_nolimit" of')

    def test_a_pipeline_of_another_strategy_does_not_matter(self):
        self.configure(volume_manager=MANAGER, auth_strategy='noauth')
        self.assertFound(1, 'Filter in cinder-api', '"noauth" of')

    def test_a_filter_that_is_not_this_one(self):
        self.paste()
        self.write(PASTE.format(keystone='manageable_snapshots ',
                                nolimit='manageable_snapshots '),
                   'api-paste.ini')
        self.assertFound(1, 'Filter in cinder-api', '"keystone" of')

    def test_the_filter_by_another_name(self):
        self.paste(name='extension')
        self.assertEqual(0, self.check()[0])

    def test_the_filter_at_a_wrong_place(self):
        self.paste(keystone='manageable_snapshots other ')
        self.assertFound(2, 'Filter in cinder-api', 'just before',
                         '"keystone" of [composite:openstack_volume_api_v3]')

    def test_a_file_that_is_none(self):
        self.write('apiv3', 'api-paste.ini')
        self.assertFound(2, 'Filter in cinder-api',
                         f'{self.folder}/api-paste.ini: ')

    def test_a_node_without_an_api(self):
        for paste in ('nothing.ini', f'{self.folder}/nothing.ini'):
            with self.subTest(paste=paste):
                self.configure(volume_manager=MANAGER, api_paste_config=paste)
                self.assertFound(1, 'Filter in cinder-api', 'nothing.ini')

    def test_no_manager(self):
        self.configure()
        self.assertFound(1, 'Manager in cinder-volume',
                         'cinder.volume.manager.VolumeManager', MANAGER)

    def test_no_cinder(self):
        self.cinder_is(None)
        self.assertFound(1, 'Release of Cinder', 'not installed')

    def test_a_release_that_nobody_has_tried(self):
        self.cinder_is('30.1.0')
        self.assertFound(1, 'Release of Cinder', '30.1.0',
                         '22, 24, 26, 28, 29')

    def test_a_revision_that_nobody_knows(self):
        self.revision('abcdef')
        self.assertFound(1, 'Database', 'abcdef', 'are there')

    def test_the_database_of_the_oldest_release(self):
        self.revision('daa98075b90d')
        self.assertEqual(0, self.check()[0])

    def test_a_database_that_is_not_cinders(self):
        self.execute('DROP TABLE alembic_version')
        self.assertFound(2, 'Database', 'cinder-manage')

    def assertDatabaseFails(self, *words):
        code, checks = self.check()
        self.assertEqual(2, code)
        for check in ('Database', 'Adoptions'):
            self.assertEqual(2, checks[check][0])
            for word in words:
                self.assertIn(word, checks[check][1])

    def test_a_database_that_lacks_a_column(self):
        self.execute('ALTER TABLE snapshots DROP COLUMN use_quota')
        self.assertDatabaseFails('snapshots.use_quota')

    def test_a_database_that_is_away(self):
        self.configure(f'sqlite:///{self.folder}/no/db',
                       volume_manager=MANAGER)
        self.assertDatabaseFails('unavailable')

    def test_adoptions_that_are_unfinished(self):
        admin = context.get_admin_context()
        with self.database.database.writer(admin) as session:
            volume = volumes.create(session, {'size': 1})
            for ref in ({'source-name': 'one'}, {'source-name': 'two'}, None):
                snapshots.create(session, admin, volume, name='s',
                                 description=None, metadata={}, reference=ref)
        self.assertFound(1, 'Adoptions', '2 unfinished, the oldest from 20',
                         'UTC')
