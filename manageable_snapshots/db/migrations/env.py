# SPDX-License-Identifier: Apache-2.0

"""Where Alembic runs migrations: in the transaction that it was handed."""

from alembic import context

from manageable_snapshots.db import migration
from manageable_snapshots.db import models

context.configure(
    connection=context.config.attributes['connection'],
    target_metadata=models.Base.metadata,
    version_table=migration.VERSION_TABLE)
context.run_migrations()
