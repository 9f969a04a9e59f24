# SPDX-License-Identifier: Apache-2.0

"""What the tests of the database have in common."""

from collections.abc import Callable
import pathlib
from typing import Any

from alembic import autogenerate
from alembic import migration as alembic_migration
import fixtures
from oslotest import base
import sqlalchemy as sa

from manageable_snapshots import conf as configuration
from manageable_snapshots import context as request_context
from manageable_snapshots.db import engine
from manageable_snapshots.db import migration
from manageable_snapshots.db import models
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes

PROJECT = 'a-project'
USER = 'a-user'
BACKEND = 'node@store'


class DatabaseFixture(fixtures.Fixture):
    """A database of the newest version, empty.

    :ivar conf: the configuration
    :ivar database: the database
    """

    # A migrated file, made once a process.
    _template: bytes | None = None

    def __init__(self, url: str | None = None) -> None:
        """:param url: of a database without tables; None: SQLite, a file"""
        super().__init__()
        self._url = url

    def _setUp(self) -> None:
        self.conf = configuration.new()
        self.conf([], default_config_files=[])
        if self._url is None:
            self._make_sqlite()
        else:
            self._set_url(self._url)
            migration.sync(self.conf)
        self.database = engine.Database(self.conf)
        self.addCleanup(self.database.dispose)

    def _make_sqlite(self) -> None:
        path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'sqlite')
        self._set_url(f'sqlite:///{path}')
        if DatabaseFixture._template is None:
            migration.sync(self.conf)
            DatabaseFixture._template = path.read_bytes()
        else:
            path.write_bytes(DatabaseFixture._template)

    def _set_url(self, url: str) -> None:
        self.conf.set_override('connection', url, group='database')


class Statements(fixtures.Fixture):
    """Records what all engines execute, but for the pings of connections.

    :ivar seen: statements with their parameters
    """

    def _setUp(self) -> None:
        self.seen: list[tuple[str, Any]] = []
        listener = (sa.engine.Engine, 'before_cursor_execute', self._note)
        sa.event.listen(*listener)
        self.addCleanup(sa.event.remove, *listener)

    def _note(self, _connection: Any, _cursor: Any, statement: str,
              parameters: Any, *_rest: Any) -> None:
        if statement.startswith(('SELECT', 'INSERT', 'UPDATE')) and (
                'FROM' in statement or not statement.startswith('SELECT')):
            self.seen.append((statement, parameters))

    def count(self, function: Callable[..., Any], *arguments: Any) -> int:
        """Call a function and return the number of its statements."""
        del self.seen[:]
        function(*arguments)
        return len(self.seen)


class TestCase(base.BaseTestCase):
    """A test with a database of its own.

    :ivar context: of a user of :data:`PROJECT`
    :ivar admin: of an administrator, of another project
    """

    def setUp(self) -> None:
        super().setUp()
        fixture = self.useFixture(DatabaseFixture(self.new_database()))
        self.conf = fixture.conf
        self.database = fixture.database
        self.context = request_context.RequestContext(
            user_id=USER, project_id=PROJECT, is_admin=False,
            overwrite=False)
        self.admin = request_context.RequestContext(
            user_id='an-admin', project_id='admin', is_admin=True,
            overwrite=False)

    def new_database(self) -> str | None:
        """The URL of a database without tables; None: SQLite, a file."""
        return None

    def add(self, row: models.Base) -> models.Base:
        with self.database.writer(self.admin) as session:
            session.add(row)
        return row

    def add_volume(self, **values: Any) -> models.Volume:
        with self.database.writer(self.admin) as session:
            return volumes.create(session, {
                'project_id': PROJECT, 'user_id': USER, 'size': 1,
                'status': 'available', 'host': BACKEND + '#pool', **values})

    def add_snapshot(self, volume: models.Volume | None = None,
                     reference: Any = None, aside: bool = False,
                     **values: Any) -> models.Snapshot:
        volume = volume or self.add_volume()
        with self.database.writer(self.context) as session:
            snapshot = snapshots.create(
                session, self.context, volume, name='a name',
                description='a description', metadata={},
                reference=reference, aside=aside)
            if values:
                snapshots.update(session, snapshot.id, **values)
        return snapshot

    def find(self, model: Any, row_id: Any) -> Any:
        """A row as it is now, deleted or not."""
        with self.database.reader(self.admin) as session:
            return session.get(model, row_id)


def differences(database: engine.Database) -> list[Any]:
    """In what a database differs from the models, as Alembic puts it."""
    with database.engine.connect() as connection:
        return autogenerate.compare_metadata(
            alembic_migration.MigrationContext.configure(
                connection, opts={
                    'compare_type': True,
                    'compare_server_default': False,
                    'version_table': migration.VERSION_TABLE}),
            models.Base.metadata)


def tables(database: engine.Database) -> set[str]:
    return set(sa.inspect(database.engine).get_table_names())
