# SPDX-License-Identifier: Apache-2.0

"""Accept the adoption of a snapshot: a row, its quota, and a message.

The row, the reference and the quota are one transaction. If the message is
lost, the reference is still recoverable from the row.
Where the worker is not known to be one of this project's, the reference is set
aside: Cinder's own must not come upon it.
"""

import dataclasses
import time
from typing import Any

from oslo_log import log
from sqlalchemy import orm

from manageable_snapshots.api import backends
from manageable_snapshots.api import targets
from manageable_snapshots.api import views
from manageable_snapshots import context as request_context
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import query
from manageable_snapshots.db import quota
from manageable_snapshots.db import services
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volume_types
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots import hosts
from manageable_snapshots.i18n import _
from manageable_snapshots import names
from manageable_snapshots.policies import manageable_snapshots as rules
from manageable_snapshots.policies import volumes as volume_rules
from manageable_snapshots import reference
from manageable_snapshots.rpc import objects

LOG = log.getLogger(__name__)

_ADOPTABLE = ('available', 'in-use')


@dataclasses.dataclass(frozen=True)
class _Accepted:
    """Values of the committed transaction, for the cast and the response.

    :ivar view: the snapshot, for the answer
    :ivar message: the snapshot, for the worker
    """

    view: dict[str, Any]
    message: dict[str, Any]


class TakenUp(Exception):
    """A worker has begun with the snapshot."""


@engine.retry
def authorize(app: Any, context: request_context.RequestContext,
              volume_id: str) -> tuple[models.Volume, models.Service]:
    """Return a volume whose snapshots the caller may adopt, and its service.

    The checks and their order are Cinder's (release 29): ``API.get``,
    ``SnapshotManageController.create``, ``API.manage_existing_snapshot`` and
    ``API._create_snapshot_in_db_validate``.

    :raises NotAuthorized: the caller is neither an administrator nor a
        member of a project
    :raises VolumeNotFound: the caller may see no such volume
    :raises PolicyNotAuthorized: the caller may not adopt or may not create
        snapshots of the volume
    :raises ServiceNotFound: the volume is on no known backend
    :raises ServiceUnavailable: the backend or the database is unavailable
    :raises InvalidVolume: the volume can have no new snapshot
    """
    if not (context.is_admin or context.project_id):
        raise exception.NotAuthorized()
    with app.database.reader(context) as session:
        volume = volumes.get(session, context, volume_id)
        target = targets.of_volume(
            volume, volumes.metadata(session, volume_id))
        if not context.may(volume_rules.VOLUME_GET, target):
            # A caller who may not see it must not learn that it exists.
            raise exception.VolumeNotFound(volume_id=volume_id)
        context.authorize(rules.MANAGE, target)
        with backends.shown_to(context, volume):
            service = volume.host and backends.ready(
                session, app.conf, host=hosts.backend(volume.host),
                cluster=hosts.backend(volume.cluster_name or ''))
        context.authorize(volume_rules.SNAPSHOT_CREATE, target)
        backends.check_state(volume)
        return volume, service


def accept(app: Any, context: request_context.RequestContext,
           volume: models.Volume, service: models.Service,
           ref: reference.Reference, *, name: str | None,
           description: str | None,
           metadata: dict[str, str]) -> dict[str, Any]:
    """Have a snapshot of a volume adopted.

    It belongs to the caller's project, whatever the volume's project is,
    unless ``snapshot_owner`` says otherwise.

    :param volume: from :func:`authorize`
    :param service: likewise
    :param ref: names the snapshot on the volume's backend
    :returns: the view of the snapshot, which is ``creating``
    :raises VolumeNotFound: the volume has just been deleted
    :raises ServiceUnavailable: the backend, the database or the broker is
        unavailable; nothing is left of the request
    :raises InvalidVolume: its state does not allow it
    :raises ManageExistingAlreadyManaged: the reference is another snapshot's
    :raises QuotaError: the project has no room for it
    :raises Invalid: it would be the caller's, who has no project
    """
    queue = services.queue(service)
    asked = time.monotonic()
    with backends.shown_to(context, volume):
        carries_on = app.volume_client.carries_on(queue)
    waited = time.monotonic() - asked
    # Chosen first: a commit that is not answered may have been done.
    snapshot_id = models.new_id()
    try:
        accepted = _record(app, context, service, snapshot_id, volume.id, ref,
                           carries_on, name, description, metadata)
    except engine.CommitLost:
        _withdraw_lost(app, context, volume.id, snapshot_id)
        raise
    try:
        with backends.shown_to(context, volume):
            app.volume_client.manage_existing_snapshot(
                context, queue, accepted.message, ref, waited)
    except Exception:
        if _withdraw(app, context, volume.id, snapshot_id):
            raise
    LOG.info('Accepted the adoption of %(ref)s of volume %(volume)s on '
             '%(queue)s as snapshot %(snapshot)s.',
             {'ref': reference.shown(ref), 'volume': volume.id,
              'queue': queue, 'snapshot': accepted.view['id']})
    return accepted.view


@engine.retry
def _record(app: Any, context: request_context.RequestContext,
            service: models.Service, snapshot_id: str, volume_id: str,
            ref: reference.Reference, carries_on: bool, name: str | None,
            description: str | None, metadata: dict[str, str]) -> _Accepted:
    is_volumes = app.conf.manageable_snapshots.snapshot_owner == 'volume'
    if not is_volumes:
        context.require_project()
    with app.database.writer(context) as session:
        # With the volume locked, requests for its snapshots come one by one.
        volume = volumes.get(session, context, volume_id, for_update=True)
        owner: Any = volume if is_volumes else context
        backends.check_state(volume)
        backends.check_status(volume, _ADOPTABLE)
        _refuse_managed(app, session, context, service, volume, ref,
                        knows_volumes=carries_on)
        volume_type = volume.volume_type_id and volume_types.get(
            session, volume.volume_type_id)
        quota.charge(
            session, app.conf, context, project_id=owner.project_id,
            volume_type=volume_type, snapshots=1,
            gigabytes=quota.snapshot_gigabytes(app.conf, volume.size))
        snapshot = snapshots.create(
            session, owner, volume, name=name, description=description,
            metadata=metadata, reference=ref, aside=not carries_on,
            snapshot_id=snapshot_id)
        return _Accepted(
            view=views.snapshot(snapshot, metadata),
            message=objects.snapshot(
                snapshot, metadata, pin=service.object_current_version))


def _refuse_managed(app: Any, session: orm.Session,
                    context: request_context.RequestContext,
                    service: models.Service, volume: models.Volume,
                    ref: reference.Reference, knows_volumes: bool) -> None:
    """Refuse a reference that is another row's, as far as rows tell.

    The worker looks at the backend as well.

    A name alone is refused for every volume. With an id beside it, it may
    name a copy that another volume has.

    :param knows_volumes: the worker tells the two apart
    """
    shown = reference.shown(ref)
    owner = names.snapshot_id(
        app.conf, ref.get('source-name') or ref.get('name') or '')
    managed = snapshots.managed_ids(
        session, [owner] if owner else [], services.queue(service))
    if volume.name_id in managed.values() or (
            managed and not (knows_volumes and 'source-id' in ref)):
        if any(snapshots.is_visible(session, context, each)
               for each in managed):
            raise exception.ManageExistingAlreadyManaged(
                _('Unable to manage existing snapshot. Snapshot %(ref)s is '
                  'already managed as %(id)s.') % {
                      'ref': shown, 'id': ', '.join(managed)})
        raise exception.ManageExistingAlreadyManaged(
            _('Unable to manage existing snapshot. Snapshot %s is already '
              'managed.') % shown)
    for row, recorded in snapshots.adopting(session, volume.id):
        if isinstance(recorded, str):
            recorded = reference.parse(recorded)
        if recorded is None or not (reference.matches(ref, recorded)
                                    or reference.matches(recorded, ref)):
            continue
        if context.is_admin or row.project_id == context.project_id:
            raise exception.ManageExistingAlreadyManaged(
                _('Unable to manage existing snapshot. Snapshot %(ref)s is '
                  'being managed as %(id)s.') % {'ref': shown,
                                                 'id': row.id})
        raise exception.ManageExistingAlreadyManaged(
            _('Unable to manage existing snapshot. Snapshot %s is being '
              'managed.') % shown)


def _withdraw(app: Any, context: request_context.RequestContext,
              volume_id: str, snapshot_id: str) -> bool:
    """Undo :func:`_record`.

    :returns: False: the row is still there, and will be adopted
    """
    try:
        undo(app, context, volume_id, snapshot_id)
    except (TakenUp, exception.SnapshotNotFound):
        # The message has arrived, only the broker's word for it has not.
        LOG.info('Snapshot %s reached a worker although the cast failed; not '
                 'withdrawing it.', snapshot_id)
        return False
    except engine.CommitLost as error:
        raise _may_go_on(snapshot_id) from error
    except exception.ServiceUnavailable as error:
        # The worker looks for rows that no message told it of.
        LOG.warning('Cannot withdraw snapshot %(id)s, which stays accepted: '
                    '%(error)s',
                    {'id': snapshot_id, 'error': error})
        return False
    return True


def _withdraw_lost(app: Any, context: request_context.RequestContext,
                   volume_id: str, snapshot_id: str) -> None:
    """Undo :func:`_record` when the database did not answer its commit.

    :raises ServiceUnavailable: that failed, so the adoption may go on
    """
    try:
        undo(app, context, volume_id, snapshot_id)
    except exception.SnapshotNotFound:
        pass
    except (TakenUp, exception.ServiceUnavailable) as error:
        raise _may_go_on(snapshot_id) from error


def _may_go_on(snapshot_id: str) -> exception.ServiceUnavailable:
    return exception.ServiceUnavailable(
        _('The request failed. Snapshot %s may be adopted all the same.')
        % snapshot_id)


@engine.retry
def undo(app: Any, context: request_context.RequestContext,
         volume_id: str, snapshot_id: str) -> None:
    """Delete the row of a snapshot that no worker has, and free its quota.

    :raises SnapshotNotFound: the row was not committed, or is deleted
    :raises TakenUp: a worker has begun, so the row stays
    """
    with app.database.writer(context) as session:
        # A commit that was not answered may still be under way. It holds the
        # volume until it is done.
        query.lock(session, models.Volume, models.Volume.id == volume_id)
        row = snapshots.get(session, context, snapshot_id)
        # First, as the count of rows that a missing usage is made from must
        # still have this one in it.
        quota.charge(
            session, app.conf, context, project_id=row.project_id,
            volume_type=row.volume_type_id and volume_types.get(
                session, row.volume_type_id),
            snapshots=-1,
            gigabytes=-quota.snapshot_gigabytes(app.conf, row.volume_size))
        if not snapshots.withdraw(session, context, snapshot_id):
            raise TakenUp()
