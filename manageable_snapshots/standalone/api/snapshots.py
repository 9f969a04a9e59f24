# SPDX-License-Identifier: Apache-2.0

"""Take, list, show, delete and unmanage snapshots."""

import dataclasses
from typing import Any

from oslo_log import log
from oslo_utils import strutils
from sqlalchemy import orm
import webob

from manageable_snapshots.api import adoption
from manageable_snapshots.api import backends
from manageable_snapshots.api import request
from manageable_snapshots.api import responses
from manageable_snapshots.api import targets
from manageable_snapshots.api import validation
from manageable_snapshots.api import views as core_views
from manageable_snapshots import context as request_context
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import quota
from manageable_snapshots.db import services
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volume_types
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots import hosts
from manageable_snapshots.i18n import _
from manageable_snapshots.policies import manageable_snapshots as own_rules
from manageable_snapshots.policies import volumes as rules
from manageable_snapshots import reference
from manageable_snapshots.rpc import objects
from manageable_snapshots.standalone.api import handover
from manageable_snapshots.standalone.api import links
from manageable_snapshots.standalone.api import query
from manageable_snapshots.standalone.api import schemas
from manageable_snapshots.standalone.api import views

LOG = log.getLogger(__name__)

_FILTERS = {'name': 'display_name', 'display_name': 'display_name',
            'status': 'status', 'volume_id': 'volume_id',
            'project_id': 'project_id'}
_DELETABLE = ('available', 'error')

#: from this version on a volume in use can be snapshotted without "force"
_IN_USE_VERSION = (3, 66)


@dataclasses.dataclass(frozen=True)
class _Message:
    """What is to be sent to a worker once the rows are written.

    :ivar queue: the worker's name
    :ivar parent: the snapshot's volume
    :ivar snapshot: the snapshot
    """

    queue: str
    parent: models.Volume
    snapshot: dict[str, Any]


def index(app: Any, req: request.Request) -> dict[str, Any]:
    """GET: the snapshots, in short."""
    return _list(app, req, is_detailed=False)


def detail(app: Any, req: request.Request) -> dict[str, Any]:
    """GET: the snapshots, with everything."""
    return _list(app, req, is_detailed=True)


def show(app: Any, req: request.Request, snapshot_id: str) -> dict[str, Any]:
    """GET: a snapshot."""
    with app.database.reader(req.context) as session:
        row = _get(session, req.context, snapshot_id)
        metadata = snapshots.metadata(session, snapshot_id)
        return {'snapshot': _view(req, row, metadata)}


def create(app: Any, req: request.Request) -> webob.Response:
    """POST: take a snapshot; a worker does it after this answers."""
    wanted = validation.body(req, schemas.SNAPSHOT)['snapshot']
    statuses = _snapshottable(req, wanted.get('force'))
    volume = _authorize(app, req.context, wanted['volume_id'])
    snapshot_id = models.new_id()

    def send(written: tuple[dict[str, Any], _Message]) -> None:
        _view, message = written
        with backends.shown_to(req.context, volume):
            app.volume_client.create_snapshot(
                req.context, message.queue, message.snapshot)

    view, _message = handover.hand_over(
        lambda: _insert(app, req, snapshot_id, wanted, statuses), send,
        lambda: _withdraw(app, req.context, volume.id, snapshot_id),
        left=_('The request failed. Snapshot %s may be left "creating".')
        % snapshot_id)
    LOG.info('Snapshot %(snapshot)s of volume %(volume)s is to be taken.',
             {'snapshot': view['id'], 'volume': view['volume_id']})
    return responses.accepted({'snapshot': view})


def delete(app: Any, req: request.Request,
           snapshot_id: str) -> webob.Response:
    """DELETE: a snapshot, from its backend too."""
    return _delete(app, req, snapshot_id, unmanage_only=False)


def action(app: Any, req: request.Request,
           snapshot_id: str) -> webob.Response:
    """POST: ``os-unmanage``, the only action."""
    body = validation.body(req, schemas.ACTION)
    if not body:
        raise exception.MalformedRequestBody()
    if 'os-unmanage' not in body:
        raise exception.Invalid(
            _('There is no such action: %s. Verify the request body and '
              'Content-Type header and try again.')
            % reference.shown(next(iter(body))))
    validation.body(req, schemas.UNMANAGE)
    return _delete(app, req, snapshot_id, unmanage_only=True)


def _list(app: Any, req: request.Request, *,
          is_detailed: bool) -> dict[str, Any]:
    req.context.authorize(rules.SNAPSHOT_GET_ALL)
    page = query.page(req, app.conf, _FILTERS)
    with app.database.reader(req.context) as session:
        rows = snapshots.list_snapshots(
            session, req.context, all_projects=page.all_projects,
            filters=page.filters, limit=page.limit, marker=page.marker)
        metadata = snapshots.metadata_of(session, [row.id for row in rows])
    answer: dict[str, Any] = {'snapshots': [
        _view(req, row, metadata.get(row.id, {})) if is_detailed
        else core_views.snapshot(row, metadata.get(row.id, {}))
        for row in rows]}
    if rows and len(rows) >= page.limit:
        answer['snapshots_links'] = links.to_next(app.conf, req, rows[-1].id)
    return answer


def _get(session: orm.Session,
         context: request_context.RequestContext,
         snapshot_id: str) -> models.Snapshot:
    """A snapshot that the requester may see.

    :raises SnapshotNotFound: no such snapshot
    :raises PolicyNotAuthorized: the policy says no
    """
    row = snapshots.get(session, context, snapshot_id)
    context.authorize(rules.SNAPSHOT_GET, targets.of_snapshot(row))
    return row


def _view(req: request.Request, row: models.Snapshot,
          metadata: dict[str, str]) -> dict[str, Any]:
    """A snapshot with all that the requester may see of it."""
    view = views.snapshot(req, row, metadata)
    if req.context.may(rules.SNAPSHOT_EXTENDED, targets.of_snapshot(row)):
        view.update(views.snapshot_extended(row))
    return view


def _snapshottable(req: request.Request,
                   force: bool | str | None) -> tuple[str, ...]:
    """The statuses of volumes of which the request takes a snapshot."""
    forced = strutils.bool_from_string(force)
    if req.api_version >= _IN_USE_VERSION:
        if force is not None and not forced:
            raise exception.Invalid(
                _("Since microversion 3.66 the 'force' flag is invalid for "
                  "this request.  For backward compatability, however, when "
                  "the 'force' flag is passed with a value evaluating to "
                  "True, it is silently ignored."))
        forced = True
    return ('available', 'in-use') if forced else ('available',)


@engine.retry
def _authorize(app: Any, context: request_context.RequestContext,
               volume_id: str) -> models.Volume:
    """Return a volume that the caller may take snapshots of.

    :raises VolumeNotFound: the project has no such volume
    :raises PolicyNotAuthorized: the caller may not take a snapshot of it
    """
    with app.database.reader(context) as session:
        volume = volumes.get(session, context, volume_id)
        context.authorize(rules.SNAPSHOT_CREATE, targets.of_volume(volume))
        return volume


@engine.retry
def _insert(app: Any, req: request.Request, snapshot_id: str,
            wanted: dict[str, Any], statuses: tuple[str, ...],
            ) -> tuple[dict[str, Any], _Message]:
    context = req.context
    metadata = wanted.get('metadata') or {}
    with app.database.writer(context) as session:
        # With the volume locked, it is not deleted at the same time.
        volume = volumes.get(session, context, wanted['volume_id'],
                             for_update=True)
        backends.check_state(volume)
        backends.check_status(volume, statuses)
        with backends.shown_to(context, volume):
            service = backends.ready(
                session, app.conf, host=hosts.backend(volume.host or ''),
                cluster=hosts.backend(volume.cluster_name or ''))
        quota.charge(
            session, app.conf, context,
            project_id=context.require_project(),
            volume_type=volume_types.get(session, volume.volume_type_id),
            snapshots=1,
            gigabytes=quota.snapshot_gigabytes(app.conf, volume.size),
            size=volume.size)
        row = snapshots.create(
            session, context, volume,
            name=_stripped(wanted.get('name', wanted.get('display_name'))),
            description=_stripped(wanted.get('description')),
            metadata=metadata, snapshot_id=snapshot_id)
        return (
            views.snapshot(req, row, metadata),
            _Message(services.queue(service), volume, objects.snapshot(
                row, metadata, pin=service.object_current_version)))


def _stripped(text: str | None) -> str | None:
    return text and text.strip()


def _withdraw(app: Any, context: request_context.RequestContext,
              volume_id: str, snapshot_id: str) -> bool:
    """Undo :func:`_insert`.

    :returns: False: a worker has begun
    """
    try:
        adoption.undo(app, context, volume_id, snapshot_id)
    except exception.SnapshotNotFound:
        pass
    except adoption.TakenUp:
        return False
    return True


def _delete(app: Any, req: request.Request, snapshot_id: str, *,
            unmanage_only: bool) -> webob.Response:
    status = 'unmanaging' if unmanage_only else 'deleting'
    row = _deletable(app, req.context, snapshot_id,
                     unmanage_only=unmanage_only)

    def send(message: _Message) -> None:
        with backends.shown_to(req.context, message.parent):
            app.volume_client.delete_snapshot(
                req.context, message.queue, message.snapshot,
                unmanage_only=unmanage_only)

    handover.hand_over(
        lambda: _start_deletion(app, req.context, row, status), send,
        lambda: _stop_deletion(app, req.context, row),
        left=_('The request failed. Snapshot %(id)s may be left '
               '"%(status)s".') % {'id': snapshot_id, 'status': status})
    LOG.info('Snapshot %(snapshot)s is to be %(done)s.',
             {'snapshot': snapshot_id,
              'done': 'unmanaged' if unmanage_only else 'deleted'})
    return responses.accepted()


@engine.retry
def _deletable(app: Any, context: request_context.RequestContext,
               snapshot_id: str, *, unmanage_only: bool) -> models.Snapshot:
    """A snapshot that the requester may delete, as it is before that.

    :raises SnapshotNotFound: the project has no such snapshot
    :raises PolicyNotAuthorized: the policy says no
    :raises InvalidSnapshot: its status does not allow it
    """
    with app.database.reader(context) as session:
        row = _get(session, context, snapshot_id)
        if unmanage_only:
            context.authorize(own_rules.UNMANAGE, targets.of_snapshot(row))
        context.authorize(rules.SNAPSHOT_DELETE, targets.of_snapshot(row))
        if row.status not in _DELETABLE:
            raise _undeletable()
        return row


def _undeletable() -> exception.InvalidSnapshot:
    return exception.InvalidSnapshot(reason=_(
        'Snapshot status must be %s and must not be part of a group.')
        % ' or '.join(_DELETABLE))


@engine.retry
def _start_deletion(app: Any, context: request_context.RequestContext,
                    row: models.Snapshot, status: str) -> _Message:
    """Turn a snapshot to ``deleting`` or ``unmanaging``.

    :param row: from :func:`_deletable`
    :raises InvalidSnapshot: its status has changed
    """
    with app.database.writer(context) as session:
        volume = volumes.parent(session, row)
        service = services.get_volume_service(
            session, host=hosts.backend(volume.host or ''),
            cluster=hosts.backend(volume.cluster_name or ''))
        if not snapshots.start_deletion(session, row, status):
            raise _undeletable()
        return _Message(
            services.queue(service), volume,
            objects.snapshot(row, snapshots.metadata(session, row.id),
                             pin=service.object_current_version))


@engine.retry
def _stop_deletion(app: Any, context: request_context.RequestContext,
                   row: models.Snapshot) -> bool:
    """Undo :func:`_start_deletion`.

    :returns: False: a worker has begun
    """
    with app.database.writer(context) as session:
        return snapshots.stop_deletion(session, row)
