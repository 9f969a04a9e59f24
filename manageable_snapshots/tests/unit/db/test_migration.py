# SPDX-License-Identifier: Apache-2.0

import os
import socket

import fixtures
import sqlalchemy as sa

from manageable_snapshots.db import engine
from manageable_snapshots.db import migration
from manageable_snapshots.db import models
from manageable_snapshots.db import volume_types
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.db import base


class MigrationTestCase(base.TestCase):

    def test_models_equal_the_migrated_schema(self):
        self.assertEqual([], base.differences(self.database))

    def test_a_new_database_has_the_newest_version(self):
        self.assertEqual(migration.head(), migration.version(self.conf))

    def test_syncing_again_changes_nothing(self):
        before = base.tables(self.database)
        migration.sync(self.conf)
        self.assertEqual(before, base.tables(self.database))

    def test_a_later_releases_database_is_left_alone(self):
        with self.database.writer(self.admin) as session:
            session.execute(sa.text(
                f"UPDATE {migration.VERSION_TABLE} SET version_num = 'later'"))
        error = self.assertRaises(exception.ConfigurationError,
                                  migration.sync, self.conf)
        self.assertIn('later', str(error))
        self.assertEqual('later', migration.version(self.conf))

    def test_a_new_database_has_the_default_volume_type(self):
        with self.database.reader(self.admin) as session:
            volume_type = volume_types.default(session)
        self.assertEqual('__DEFAULT__', volume_type.name)
        self.assertTrue(volume_type.is_public)


class ForeignDatabaseTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'sqlite')
        self.conf.set_override('connection', f'sqlite:///{path}',
                               group='database')
        self.database = engine.Database(self.conf)

    def test_no_version_where_nothing_was_migrated(self):
        self.assertIsNone(migration.version(self.conf))

    def test_a_database_of_cinders_is_left_alone(self):
        with self.database.writer(self.admin) as session:
            for table in (models.Volume.__table__, models.Service.__table__):
                table.create(session.connection())
            session.execute(sa.text(
                'CREATE TABLE alembic_version (version_num VARCHAR(32))'))
        before = base.tables(self.database)

        error = self.assertRaises(exception.ConfigurationError,
                                  migration.sync, self.conf)

        self.assertIn('alembic_version', str(error))
        self.assertIn('connection', str(error))
        self.assertEqual(before, base.tables(self.database))

    def test_a_database_that_is_away_is_not_waited_for(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            self.conf.set_override(
                'connection', 'mysql+pymysql://u:p@127.0.0.1:%s/d'
                % server.getsockname()[1], group='database')
            self.conf.set_override('db_timeout', 2,
                                   group='manageable_snapshots')
            self.assertRaises(exception.ServiceUnavailable,
                              migration.sync, self.conf)

    def test_a_database_of_sqlalchemy_migrate_is_left_alone(self):
        with self.database.writer(self.admin) as session:
            session.execute(sa.text(
                'CREATE TABLE migrate_version (version INTEGER)'))
        self.assertRaises(exception.ConfigurationError,
                          migration.sync, self.conf)
        self.assertEqual({'migrate_version'}, base.tables(self.database))
