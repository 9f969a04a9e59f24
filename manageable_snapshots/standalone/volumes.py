# SPDX-License-Identifier: Apache-2.0

"""What a volume service does besides, to be a backend of its own.

Volumes and snapshots are made and deleted by Cinder's RPC methods, just as
far as the clients of the extension need it. Inside Cinder these are Cinder's.
"""

from collections.abc import Callable
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
import oslo_messaging as messaging

from manageable_snapshots import context as request_context
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import quota
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volume_types
from manageable_snapshots.db import volumes
from manageable_snapshots.drivers import base
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots.rpc import objects
from manageable_snapshots.rpc import versions
from manageable_snapshots.volume import inventory
from manageable_snapshots.volume import rows

LOG = logging.getLogger(__name__)

# What Cinder's API makes of a volume that is to be deleted or unmanaged.
_DELETING = ('deleting', 'error_managing_deleting')
_UNMANAGING = ('unmanaging',)


class Volumes:
    """Makes and deletes the volumes and snapshots of one backend.

    :param conf: the configuration
    :param database: where the rows are
    :param driver: the backend
    :param stock: the inventory that is told of what changed
    :param publish: tells Cinder's schedulers what the backend offers
    """

    target = messaging.Target(version=versions.RPC_VERSION)

    def __init__(self, conf: cfg.ConfigOpts, database: engine.Database,
                 driver: base.VolumeDriver, stock: inventory.Inventory,
                 publish: Callable[[], None] = lambda: None) -> None:
        self._conf = conf
        self._database = database
        self._driver = driver
        self._inventory = stock
        self._publish = publish

    def create_volume(
            self, context: request_context.RequestContext,
            volume: dict[str, Any],
            request_spec: dict[str, Any] | None = None,
            filter_properties: dict[str, Any] | None = None,
            allow_reschedule: bool = True) -> str:
        """Make an empty volume.

        :param volume: Cinder's Volume object
        :returns: its id
        """
        volume_id = objects.identifier(volume, 'Volume')
        row = self._volume(context, volume_id)
        if row is None or not self._begin(
                context, volumes, volume_id, 'creating'):
            LOG.info('Volume %s is not waiting to be created; ignoring the '
                     'message.', volume_id)
            return volume_id
        try:
            if row.snapshot_id or row.source_volid:
                raise exception.DriverCannot(
                    driver=self._driver.NAME,
                    what=_('make a volume from a snapshot or a volume'))
            columns = self._driver.create_volume(
                rows.volume(self._conf, row)) or {}
        except Exception as error:
            LOG.error('Making volume %s failed.', volume_id, exc_info=error)
            self._update_volume(context, volume_id, status='error')
        else:
            self._update_volume(
                context, volume_id, status='available', **columns)
        return volume_id

    def delete_volume(
            self, context: request_context.RequestContext,
            volume: dict[str, Any], unmanage_only: bool = False,
            cascade: bool = False) -> bool:
        """Delete a volume.

        :param volume: Cinder's Volume object
        :param unmanage_only: leave it on the backend
        :param cascade: delete its snapshots first, all of which must be
            ``deleting``
        """
        volume_id = objects.identifier(volume, 'Volume')
        row = self._volume(context, volume_id)
        if row is None:
            return True
        statuses = _UNMANAGING if unmanage_only else _DELETING
        # Cinder deletes its temporary volumes whatever status they have.
        if row.use_quota is not False and not self._begin(
                context, volumes, volume_id, *statuses, again=True):
            LOG.info('Volume %s is not to be deleted; ignoring the message.',
                     volume_id)
            return True
        try:
            if cascade:
                self._delete_snapshots(context, volume_id)
            if not unmanage_only:
                self._driver.delete_volume(rows.volume(self._conf, row))
        except Exception as error:
            LOG.error('Deleting volume %s failed.', volume_id,
                      exc_info=error)
            self._update_volume(context, volume_id, status='error_deleting')
            return False
        self._forget_volume(context, volume_id)
        self._inventory.changed()
        return True

    def create_snapshot(self, context: request_context.RequestContext,
                        snapshot: dict[str, Any]) -> str:
        """Take a snapshot of a volume.

        :param snapshot: Cinder's Snapshot object
        :returns: its id
        """
        snapshot_id = objects.identifier(snapshot, 'Snapshot')
        view = self._snapshot(context, snapshot_id)
        if view is None or not self._begin(
                context, snapshots, snapshot_id, 'creating'):
            LOG.info('Snapshot %s is not waiting to be taken; ignoring the '
                     'message.', snapshot_id)
            return snapshot_id
        try:
            columns = self._driver.create_snapshot(view) or {}
        except Exception as error:
            LOG.error('Taking snapshot %s failed.', snapshot_id,
                      exc_info=error)
            self._end_snapshot(context, snapshot_id, error=_(
                'The driver %s could not take the snapshot.'
            ) % self._driver.NAME)
        else:
            self._end_snapshot(context, snapshot_id, columns=columns)
        self._inventory.changed()
        return snapshot_id

    def delete_snapshot(
            self, context: request_context.RequestContext,
            snapshot: dict[str, Any], unmanage_only: bool = False,
            handle_quota: bool = True) -> bool:
        """Delete or unmanage a snapshot.

        :param snapshot: Cinder's Snapshot object
        :param unmanage_only: leave it on the backend as it is
        :param handle_quota: give the quota back; false where the caller did
        """
        return self._delete_snapshot(
            context, objects.identifier(snapshot, 'Snapshot'), unmanage_only,
            handle_quota)

    def _delete_snapshots(self, context: request_context.RequestContext,
                          volume_id: str) -> None:
        """Delete the snapshots of a volume.

        :raises InvalidSnapshot: one is not ``deleting``, or is left
        """
        context = context.elevated()
        with self._database.reader(context) as session:
            statuses = {row.id: row.status for row in snapshots.list_snapshots(
                session, context, all_projects=True,
                filters={'volume_id': volume_id})}
        for snapshot_id, status in statuses.items():
            if status != 'deleting':
                raise exception.InvalidSnapshot(
                    reason=_('snapshot %(id)s is "%(status)s", not '
                             '"deleting"') % {'id': snapshot_id,
                                              'status': status})
        for snapshot_id in statuses:
            if not self._delete_snapshot(context, snapshot_id):
                raise exception.InvalidSnapshot(
                    reason=_('snapshot %s was not deleted') % snapshot_id)

    def _delete_snapshot(self, context: request_context.RequestContext,
                         snapshot_id: str, unmanage_only: bool = False,
                         handle_quota: bool = True) -> bool:
        view = self._snapshot(context, snapshot_id)
        if view is None:
            return True
        status = 'unmanaging' if unmanage_only else 'deleting'
        if not self._begin(context, snapshots, snapshot_id, status,
                           again=True):
            LOG.info('Snapshot %(id)s is not "%(status)s"; ignoring the '
                     'message.', {'id': snapshot_id, 'status': status})
            return True
        try:
            if unmanage_only:
                self._driver.unmanage_snapshot(view)
            else:
                self._driver.delete_snapshot(view)
        except Exception as error:
            LOG.error('%s snapshot %s failed.',
                      'Unmanaging' if unmanage_only else 'Deleting',
                      snapshot_id, exc_info=error)
            self._fail_deletion(context, snapshot_id)
            return False
        self._forget_snapshot(context, snapshot_id, handle_quota)
        LOG.info('%s %s', 'unmanaged' if unmanage_only else 'deleted',
                 snapshot_id)
        self._inventory.changed()
        return True

    def get_capabilities(self, context: request_context.RequestContext,
                         discover: bool) -> dict[str, Any]:
        """What the backend offers."""
        return self._driver.get_volume_stats(refresh=discover)

    def publish_service_capabilities(
            self, context: request_context.RequestContext) -> None:
        """Tell what it is; a scheduler that starts asks for it."""
        self._publish()

    def _volume(self, context: request_context.RequestContext,
                volume_id: str) -> models.Volume | None:
        with self._database.reader(context) as session:
            try:
                row = volumes.get(session, context.elevated(), volume_id)
            except exception.VolumeNotFound:
                return None
            context.require_right_to(row.project_id)
            return row

    def _snapshot(self, context: request_context.RequestContext,
                  snapshot_id: str) -> rows.Row | None:
        with self._database.reader(context) as session:
            try:
                row = snapshots.get(session, context.elevated(), snapshot_id)
            except exception.SnapshotNotFound:
                return None
            context.require_right_to(row.project_id)
            return rows.snapshot(
                self._conf, row, volumes.parent(session, row))

    @engine.retry
    def _begin(self, context: request_context.RequestContext, table: Any,
               row_id: str, *statuses: str, again: bool = False) -> bool:
        """Note that a request is being done, unless it was withdrawn.

        :param table: the module ``volumes`` or ``snapshots``
        """
        with self._database.writer(context) as session:
            return table.begin(session, row_id, *statuses, again=again)

    @engine.retry
    def _update_volume(self, context: request_context.RequestContext,
                       volume_id: str, **columns: Any) -> None:
        with self._database.writer(context) as session:
            volumes.update(session, volume_id, **columns)

    @engine.retry
    def _forget_volume(self, context: request_context.RequestContext,
                       volume_id: str) -> None:
        with self._database.writer(context) as session:
            try:
                row = volumes.get(session, context.elevated(), volume_id,
                                  for_update=True)
            except exception.VolumeNotFound:
                return
            if row.use_quota is not False:
                quota.charge(
                    session, self._conf, context, project_id=row.project_id,
                    volume_type=volume_types.get(session, row.volume_type_id),
                    volumes=-1, gigabytes=-row.size, size=row.size)
            volumes.delete(session, volume_id)

    @engine.retry
    def _end_snapshot(self, context: request_context.RequestContext,
                      snapshot_id: str, *,
                      columns: dict[str, Any] | None = None,
                      error: str | None = None) -> None:
        with self._database.writer(context) as session:
            if error is None:
                snapshots.make_available(
                    session, snapshot_id, **(columns or {}))
            else:
                snapshots.make_error(session, snapshot_id, error)

    @engine.retry
    def _fail_deletion(self, context: request_context.RequestContext,
                       snapshot_id: str) -> None:
        with self._database.writer(context) as session:
            snapshots.update(session, snapshot_id, status='error_deleting')

    @engine.retry
    def _forget_snapshot(self, context: request_context.RequestContext,
                         snapshot_id: str, handle_quota: bool) -> None:
        with self._database.writer(context) as session:
            try:
                row = snapshots.get(session, context.elevated(), snapshot_id,
                                    for_update=True)
            except exception.SnapshotNotFound:
                return
            if handle_quota and row.use_quota is not False:
                quota.charge(
                    session, self._conf, context, project_id=row.project_id,
                    volume_type=volume_types.get(
                        session, row.volume_type_id),
                    snapshots=-1, gigabytes=-quota.snapshot_gigabytes(
                        self._conf, row.volume_size), size=row.volume_size)
            snapshots.delete(session, snapshot_id)
