# SPDX-License-Identifier: Apache-2.0

"""What the queries for several tables have in common."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

from oslo_utils import timeutils
import sqlalchemy as sa
from sqlalchemy import orm

from manageable_snapshots import context as request_context

# SQLite of old takes 999 parameters in a query.
_CHUNK = 500

Value = TypeVar('Value')


def live(model: Any) -> Any:
    """The condition that a row is not deleted."""
    return model.deleted == sa.false()


def get(session: orm.Session, model: Any,
        context: request_context.RequestContext, row_id: str, *,
        for_update: bool = False) -> Any:
    """Return a live row of the context's project, or of any for an admin.

    :param for_update: lock the row, once it is known to be the project's
    :returns: None if the project has no such row
    """
    def find(statement: Any) -> Any:
        row = session.scalars(statement).first()
        return row if row is not None and (
            context.is_admin or row.project_id == context.project_id) else None

    statement = sa.select(model).where(model.id == row_id, live(model))
    row = find(statement)
    if row is None or not for_update:
        return row
    # Without populate_existing the session returns the row that it read
    # before the lock.
    return find(statement.with_for_update().execution_options(
        populate_existing=True))


def page(session: orm.Session, model: Any,
         context: request_context.RequestContext, *, all_projects: bool,
         filters: Mapping[str, Any], limit: int | None,
         marker: Any) -> list[Any]:
    """Live rows, newest first, those of the project that asks.

    :param all_projects: every project's, if the context is an
        administrator's
    :param filters: column names with the value that a row has there, or a
        list of values of which it has one
    :param limit: how many at most
    :param marker: the row after which the page starts
    """
    query = sa.select(model).where(live(model))
    if not (all_projects and context.is_admin):
        query = query.where(model.project_id == context.project_id)
    for name, value in filters.items():
        column = getattr(model, name)
        if isinstance(value, (list, set, tuple)):
            query = query.where(column.in_(list(value)))
        else:
            query = query.where(column == value)
    if marker is not None:
        query = query.where(sa.or_(
            model.created_at < marker.created_at,
            sa.and_(model.created_at == marker.created_at,
                    model.id < marker.id)))
    query = query.order_by(model.created_at.desc(), model.id.desc())
    if limit is not None:
        query = query.limit(limit)
    return list(session.scalars(query))


def lock(session: orm.Session, model: Any, *conditions: Any) -> None:
    """Wait for transactions that change rows, and keep others from it.

    The next statement sees what they have committed, which a condition of an
    UPDATE does not on PostgreSQL.
    """
    session.execute(sa.select(model.id).where(*conditions).with_for_update())


def update(session: orm.Session, model: Any, *conditions: Any,
           **values: Any) -> int:
    """Change the live rows that meet the conditions.

    :returns: how many there were
    """
    result: Any = session.execute(
        sa.update(model).where(live(model), *conditions).values(**values))
    return result.rowcount


def delete(session: orm.Session, model: Any, *conditions: Any,
           **values: Any) -> int:
    """Mark the live rows that meet the conditions as deleted.

    :param values: columns to change besides
    :returns: how many there were
    """
    return update(session, model, *conditions, deleted=True,
                  deleted_at=timeutils.utcnow(), **values)


def chunks(values: Iterable[Value]) -> Iterator[list[Value]]:
    """The different values, so many at a time as one query takes."""
    different = list(dict.fromkeys(values))
    for start in range(0, len(different), _CHUNK):
        yield different[start:start + _CHUNK]


def metadata_of(session: orm.Session, model: Any, owner: str,
                ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """The live key-value pairs of volumes or snapshots, by their ids.

    :param owner: the column that has the id
    :param ids: of whom; one without any pair is left out
    """
    column = getattr(model, owner)
    found: dict[str, dict[str, str]] = {}
    for chunk in chunks(ids):
        rows = session.execute(
            sa.select(column, model.key, model.value).where(
                column.in_(chunk), live(model)))
        for owner_id, key, value in rows:
            found.setdefault(owner_id, {})[key] = value
    return found


def add_metadata(session: orm.Session, model: Any,
                 values: Mapping[str, str] | None, **owner: str) -> None:
    """Insert the key-value pairs of a new volume or snapshot."""
    session.add_all(model(key=key, value=value, **owner)
                    for key, value in (values or {}).items())
    session.flush()
