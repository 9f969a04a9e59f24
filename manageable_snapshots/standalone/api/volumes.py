# SPDX-License-Identifier: Apache-2.0

"""Create, list, show and delete volumes.

Volumes are made empty: not from images, snapshots or other volumes.
"""

import dataclasses
from typing import Any

from oslo_log import log
from oslo_utils import strutils
from oslo_utils import timeutils
from oslo_utils import uuidutils
from sqlalchemy import orm
import webob

from manageable_snapshots.api import backends
from manageable_snapshots.api import request
from manageable_snapshots.api import responses
from manageable_snapshots.api import targets
from manageable_snapshots.api import validation
from manageable_snapshots import context as request_context
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import query as db_query
from manageable_snapshots.db import quota
from manageable_snapshots.db import services
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volume_types
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots import hosts
from manageable_snapshots.i18n import _
from manageable_snapshots.policies import volumes as rules
from manageable_snapshots import reference
from manageable_snapshots.rpc import objects
from manageable_snapshots.standalone.api import handover
from manageable_snapshots.standalone.api import links
from manageable_snapshots.standalone.api import placement
from manageable_snapshots.standalone.api import query
from manageable_snapshots.standalone.api import schemas
from manageable_snapshots.standalone.api import views

LOG = log.getLogger(__name__)

_FILTERS = {'name': 'display_name', 'display_name': 'display_name',
            'status': 'status', 'project_id': 'project_id'}
_SOURCES = ('snapshot_id', 'source_volid', 'consistencygroup_id', 'image_id',
            'imageRef', 'group_id', 'backup_id')
_DELETABLE = ('available', 'error', 'error_restoring', 'error_extending',
              'error_managing')
_MAX_SIZE = 0x7fffffff
_MAX_LENGTH = 255


@dataclasses.dataclass(frozen=True)
class _Message:
    """What is to be sent to a worker once the rows are written.

    :ivar queue: the worker's name
    :ivar row: the volume's
    :ivar volume: the volume, for the message
    """

    queue: str
    row: models.Volume
    volume: dict[str, Any]


def index(app: Any, req: request.Request) -> dict[str, Any]:
    """GET: the volumes, in short."""
    return _list(app, req, is_detailed=False)


def detail(app: Any, req: request.Request) -> dict[str, Any]:
    """GET: the volumes, with everything."""
    return _list(app, req, is_detailed=True)


def show(app: Any, req: request.Request, volume_id: str) -> dict[str, Any]:
    """GET: a volume."""
    with app.database.reader(req.context) as session:
        row = _get(session, req.context, volume_id)
        return {'volume': _views(app, req, session, [row])[0]}


def create(app: Any, req: request.Request) -> webob.Response:
    """POST: make an empty volume; a worker does it after this answers."""
    schema = (schemas.VOLUME_3_53 if req.api_version >= (3, 53)
              else schemas.VOLUME)
    body = validation.body(req, schema)
    wanted = body['volume']
    req.context.authorize(rules.VOLUME_CREATE)
    _refuse_sources(body)
    volume_id = models.new_id()

    def send(written: tuple[dict[str, Any], _Message]) -> None:
        _view, message = written
        with backends.shown_to(req.context, message.row):
            app.volume_client.create_volume(
                req.context, message.queue, message.volume)

    view, message = handover.hand_over(
        lambda: _insert(app, req, volume_id, wanted), send,
        lambda: _withdraw(app, req.context, volume_id),
        left=_('The request failed. Volume %s may be left "creating".')
        % volume_id)
    LOG.info('Volume %(volume)s is to be made on %(queue)s.',
             {'volume': view['id'], 'queue': message.queue})
    return responses.accepted({'volume': view})


def delete(app: Any, req: request.Request, volume_id: str) -> webob.Response:
    """DELETE: a volume that has no snapshots.

    ``cascade`` is known to clients, and of no use to a volume without
    snapshots.
    """
    query.boolean(req, 'cascade')
    volume = _deletable(app, req.context, volume_id)

    def send(message: _Message) -> None:
        with backends.shown_to(req.context, message.row):
            app.volume_client.delete_volume(
                req.context, message.queue, message.volume)

    handover.hand_over(
        lambda: _start_deletion(app, req.context, volume), send,
        lambda: _stop_deletion(app, req.context, volume),
        left=_('The request failed. Volume %s may be left "deleting".')
        % volume_id)
    LOG.info('Volume %s is to be deleted.', volume_id)
    return responses.accepted()


def _list(app: Any, req: request.Request, *,
          is_detailed: bool) -> dict[str, Any]:
    req.context.authorize(rules.VOLUME_GET_ALL)
    page = query.page(req, app.conf, _FILTERS)
    with app.database.reader(req.context) as session:
        rows = volumes.list_volumes(
            session, req.context, all_projects=page.all_projects,
            filters=page.filters, limit=page.limit, marker=page.marker)
        if is_detailed:
            entries = _views(app, req, session, rows)
        else:
            entries = [views.volume_summary(app.conf, req, row)
                       for row in rows]
    answer: dict[str, Any] = {'volumes': entries}
    if rows and len(rows) >= page.limit:
        answer['volumes_links'] = links.to_next(app.conf, req, rows[-1].id)
    return answer


def _get(session: orm.Session, context: request_context.RequestContext,
         volume_id: str) -> models.Volume:
    """A volume that the requester may see.

    :raises VolumeNotFound: no such volume
    """
    row = volumes.get(session, context, volume_id)
    if not context.may(rules.VOLUME_GET, targets.of_volume(row)):
        raise exception.VolumeNotFound(volume_id=volume_id)
    return row


def _views(app: Any, req: request.Request, session: orm.Session,
           rows: list[models.Volume]) -> list[dict[str, Any]]:
    """Volumes with all that the requester may see of them."""
    metadata = volumes.metadata_of(session, [row.id for row in rows])
    types = {type_id: volume_types.get(session, type_id)
             for type_id in {row.volume_type_id for row in rows}}
    entries = []
    for row in rows:
        target = targets.of_volume(row)
        entry = views.volume(app.conf, req, row, types[row.volume_type_id],
                             metadata.get(row.id, {}))
        for rule, extension in (
                (rules.VOLUME_PROJECT, views.volume_project),
                (rules.VOLUME_MIGRATION, views.volume_migration),
                (rules.VOLUME_HOST, views.volume_host)):
            if req.context.may(rule, target):
                entry.update(extension(row))
        entries.append(entry)
    return entries


def _refuse_sources(body: dict[str, Any]) -> None:
    """Refuse what would make anything else than a plain, empty volume."""
    wanted = body['volume']
    refused = [name for name in _SOURCES if wanted.get(name) is not None]
    if strutils.bool_from_string(wanted.get('multiattach')):
        refused.append('multiattach')
    if body.get('OS-SCH-HNT:scheduler_hints'):
        refused.append('OS-SCH-HNT:scheduler_hints')
    if refused:
        raise exception.InvalidInput(
            reason=_('volumes are made empty here, without %s')
            % ', '.join(refused))


def _size(wanted: int | str | None) -> int:
    """GiB, of what the schema lets pass."""
    try:
        size = int(wanted or 0)
    except ValueError:
        size = 0
    if not 0 < size <= _MAX_SIZE:
        raise exception.InvalidInput(
            reason=_("Volume size '%(size)s' must be an integer from 1 to "
                     "%(max)s") % {'size': reference.shown(wanted),
                                   'max': _MAX_SIZE})
    return size


def _text(wanted: dict[str, Any], name: str) -> str | None:
    """A name or description, under its new or its old key."""
    text = wanted.get(name, wanted.get('display_' + name))
    if text is None:
        return None
    text = text.strip()
    if len(text) > _MAX_LENGTH:
        raise exception.InvalidInput(
            reason=_('%(name)s has %(length)s characters, more than '
                     '%(max)s.') % {'name': name, 'length': len(text),
                                    'max': _MAX_LENGTH})
    return text


def _type(session: orm.Session, wanted: str | None) -> models.VolumeType:
    """Return the only volume type, by its name or id."""
    default = volume_types.default(session)
    if not wanted or wanted in (default.id, default.name):
        return default
    if uuidutils.is_uuid_like(wanted):
        raise exception.VolumeTypeNotFound(volume_type_id=wanted)
    raise exception.VolumeTypeNotFound(
        _('Volume type with name %s could not be found.') % wanted)


@engine.retry
def _insert(app: Any, req: request.Request, volume_id: str,
            wanted: dict[str, Any]) -> tuple[dict[str, Any], _Message]:
    context = req.context
    size = _size(wanted.get('size'))
    metadata = wanted.get('metadata') or {}
    with app.database.writer(context) as session:
        service = placement.choose(
            session, app.conf, wanted.get('availability_zone'))
        volume_type = _type(session, wanted.get('volume_type'))
        quota.charge(
            session, app.conf, context,
            project_id=context.require_project(),
            volume_type=volume_type, volumes=1, gigabytes=size)
        row = volumes.create(session, {
            'id': volume_id,
            'user_id': context.user_id,
            'project_id': context.project_id,
            'host': service.host,
            'cluster_name': service.cluster_name,
            'service_uuid': service.uuid,
            'availability_zone': service.availability_zone,
            'size': size,
            'status': 'creating',
            'attach_status': 'detached',
            'display_name': _text(wanted, 'name'),
            'display_description': _text(wanted, 'description'),
            'volume_type_id': volume_type.id,
            'scheduled_at': timeutils.utcnow(),
            'shared_targets': False,
            'metadata': metadata,
        })
        return (
            views.volume(app.conf, req, row, volume_type, metadata),
            _Message(
                services.queue(row), row, objects.volume(
                    row, metadata, pin=service.object_current_version)))


@engine.retry
def _withdraw(app: Any, context: request_context.RequestContext,
              volume_id: str) -> bool:
    """Undo :func:`_insert`.

    :returns: False: a worker has begun
    """
    with app.database.writer(context) as session:
        # A commit that was not answered may still be under way. It holds the
        # project's usages until it is done.
        db_query.lock(session, models.QuotaUsage,
                      models.QuotaUsage.project_id == context.project_id)
        try:
            row = volumes.get(session, context, volume_id, for_update=True)
        except exception.VolumeNotFound:
            return True
        if not volumes.is_waiting(row):
            return False
        quota.charge(
            session, app.conf, context, project_id=row.project_id,
            volume_type=volume_types.get(session, row.volume_type_id),
            volumes=-1, gigabytes=-row.size)
        return volumes.delete(session, volume_id)


@engine.retry
def _deletable(app: Any, context: request_context.RequestContext,
               volume_id: str) -> models.Volume:
    """A volume that the requester may delete, as it is before that.

    :raises VolumeNotFound: the requester may see no such volume
    :raises PolicyNotAuthorized: the policy says no
    :raises InvalidVolume: its status does not allow it
    """
    with app.database.reader(context) as session:
        row = _get(session, context, volume_id)
        context.authorize(rules.VOLUME_DELETE, targets.of_volume(row))
        if row.status not in _DELETABLE:
            raise _undeletable()
        return row


def _undeletable() -> exception.InvalidVolume:
    return exception.InvalidVolume(reason=_(
        'Volume status must be %s and must not be migrating, attached, '
        'belong to a group, have snapshots, awaiting a transfer, or be '
        'disassociated from snapshots after volume transfer.')
        % ' or '.join(_DELETABLE))


@engine.retry
def _start_deletion(app: Any, context: request_context.RequestContext,
                    volume: models.Volume) -> _Message:
    """Turn a volume to ``deleting``.

    :param volume: from :func:`_deletable`
    :raises InvalidVolume: it has snapshots, or its status has changed
    """
    with app.database.writer(context) as session:
        # With the volume locked, no snapshot of it is made meanwhile.
        row = volumes.get(session, context, volume.id, for_update=True)
        if snapshots.list_snapshots(
                session, context.elevated(), all_projects=True,
                filters={'volume_id': row.id}, limit=1):
            raise _undeletable()
        service = services.get_volume_service(
            session, host=hosts.backend(row.host or ''),
            cluster=hosts.backend(row.cluster_name or ''))
        message = _Message(
            services.queue(row), row,
            objects.volume(row, volumes.metadata(session, row.id),
                           pin=service.object_current_version))
        if not volumes.start_deletion(session, volume):
            raise _undeletable()
        return message


@engine.retry
def _stop_deletion(app: Any, context: request_context.RequestContext,
                   volume: models.Volume) -> bool:
    """Undo :func:`_start_deletion`.

    :returns: False: a worker has begun
    """
    with app.database.writer(context) as session:
        return volumes.stop_deletion(session, volume)
