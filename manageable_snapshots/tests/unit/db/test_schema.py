# SPDX-License-Identifier: Apache-2.0

"""Databases that are and are not what the models name."""

import fixtures
import sqlalchemy as sa

from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import schema
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.db import base


class SchemaTestCase(base.TestCase):

    def change(self, *statements):
        with self.database.writer(self.admin) as session:
            for statement in statements:
                session.execute(sa.text(statement))

    def refused(self, **options):
        error = self.assertRaises(exception.ConfigurationError, schema.check,
                                  self.database, **options)
        self.assertNotIn('\n', error.msg)
        return error.msg.removeprefix(
            'Option connection in section [database]: ')

    def test_what_was_migrated_will_do(self):
        schema.check(self.database)

    def test_the_newest_models_are_what_a_worker_needs(self):
        schema.check(self.database, inserts=schema.WORKING)

    def test_columns_and_tables_that_nobody_knows_are_left_alone(self):
        self.change('ALTER TABLE snapshots ADD colour VARCHAR(255)',
                    'ALTER TABLE snapshots ADD taste INTEGER NOT NULL '
                    'DEFAULT 1',
                    'CREATE TABLE backups (id INTEGER)')
        schema.check(self.database)

    def test_a_column_that_lacks_is_named(self):
        self.change('ALTER TABLE snapshots DROP COLUMN use_quota')
        self.assertEqual(
            'the database lacks snapshots.use_quota: run '
            '"manageable-snapshots-manage db sync".', self.refused())

    def test_a_table_that_lacks_is_named(self):
        self.change('DROP TABLE reservations')
        self.assertEqual(
            'the database lacks reservations: run '
            '"manageable-snapshots-manage db sync".', self.refused())

    def test_in_a_database_of_cinders_its_own_command_is_named(self):
        self.change('ALTER TABLE snapshots DROP COLUMN use_quota',
                    'CREATE TABLE alembic_version (version_num VARCHAR(32))')
        self.assertEqual(
            "the database lacks snapshots.use_quota, which Cinder's have in "
            'releases 22 to 29 after "cinder-manage db sync".',
            self.refused())

    def test_in_cinder_an_empty_database_is_cinders(self):
        path = self.useFixture(fixtures.TempDir()).join('sqlite')
        self.conf.set_override('connection', f'sqlite:///{path}', 'database')
        self.database = engine.Database(self.conf)
        names = ', '.join(list(models.Base.metadata.tables)[:5])
        self.assertIn(
            f"the database lacks {names}, ..., which Cinder's have",
            self.refused(in_cinder=True))

    def make_again_with_a_colour(self, model):
        """A table as a later release may have it."""
        table = model.__table__
        table.drop(self.database.engine)
        sa.Table(
            table.name, sa.MetaData(),
            *(sa.Column(column.name, column.type,
                        primary_key=column.primary_key)
              for column in table.columns),
            sa.Column('colour', sa.String(9), nullable=False),
        ).create(self.database.engine)

    def test_what_a_row_cannot_do_without_is_named(self):
        self.make_again_with_a_colour(models.SnapshotMetadata)
        self.assertEqual(
            'the database has snapshot_metadata.colour, which every new row '
            'must have a value for, and this version of the package knows '
            'none.', self.refused())

    def test_where_nothing_is_inserted_nothing_is_needed(self):
        self.make_again_with_a_colour(models.VolumeType)
        schema.check(self.database)
        self.assertIn('volume_types.colour',
                      self.refused(inserts=['volume_types']))

    def away(self):
        self.conf.set_override('connection', 'sqlite:////nowhere/at/all',
                               'database')
        self.database = engine.Database(self.conf)

    def test_a_database_that_is_away_is_unavailable(self):
        self.away()
        self.assertRaises(exception.ServiceUnavailable, schema.check,
                          self.database)

    def test_some_can_start_before_their_database(self):
        log = self.useFixture(fixtures.FakeLogger())
        self.away()
        schema.check_if_there(self.database)
        self.assertIn('Database unreachable; skipping the schema check: ',
                      log.output)

    def test_a_database_that_will_not_do_stops_them(self):
        self.change('DROP TABLE reservations')
        self.assertRaises(exception.ConfigurationError,
                          schema.check_if_there, self.database)
