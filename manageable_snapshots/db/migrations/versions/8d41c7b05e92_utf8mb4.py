# SPDX-License-Identifier: Apache-2.0

"""Convert MariaDB's tables to utf8mb4, for names with characters of 4 bytes.

The first migration made them of utf8mb3. Other databases have no such limit.
"""

from alembic import op
import sqlalchemy as sa

revision = '8d41c7b05e92'
down_revision = '2f6c0a1d9b34'

_TABLES = (
    'services', 'clusters', 'volume_types', 'volumes', 'volume_metadata',
    'snapshots', 'snapshot_metadata', 'quotas', 'quota_classes',
    'quota_usages', 'reservations')

# Foreign keys of strings: name, table, column, and what it refers to.
_FOREIGN_KEYS = (
    (None, 'volumes', 'service_uuid', 'services', 'uuid'),
    (None, 'volume_metadata', 'volume_id', 'volumes', 'id'),
    ('snapshots_volume_id_fkey', 'snapshots', 'volume_id', 'volumes', 'id'),
    (None, 'snapshot_metadata', 'snapshot_id', 'snapshots', 'id'),
)

# utf8mb4_general_ci takes all characters of 4 bytes for the same one.
_COLLATION = 'utf8mb4_unicode_520_ci'


def upgrade() -> None:
    if op.get_bind().dialect.name != 'mysql':
        return
    # MariaDB converts no column of a foreign key. It commits each of these
    # statements, so an upgrade that was cut short begins anew.
    inspector = sa.inspect(op.get_bind())
    for _name, table, column, _referred, _key in _FOREIGN_KEYS:
        for found in inspector.get_foreign_keys(table):
            if found['constrained_columns'] == [column] and found['name']:
                op.drop_constraint(found['name'], table, type_='foreignkey')
    for table in _TABLES:
        # Indexes of two columns are longer than the older row formats take.
        op.execute(f'ALTER TABLE {table} ROW_FORMAT = DYNAMIC, CONVERT TO '
                   f'CHARACTER SET utf8mb4 COLLATE {_COLLATION}')
    for name, table, column, referred, key in _FOREIGN_KEYS:
        op.create_foreign_key(name, table, referred, [column], [key])
