# SPDX-License-Identifier: Apache-2.0

"""Views of volumes, snapshots and services: Cinder's, by microversion."""

from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from manageable_snapshots.api import request
from manageable_snapshots.api import views
from manageable_snapshots.db import models
from manageable_snapshots.db import services
from manageable_snapshots.standalone.api import links


def volume_summary(conf: cfg.ConfigOpts, req: request.Request,
                   row: models.Volume) -> dict[str, Any]:
    """A volume in a list without details."""
    return {
        'id': row.id,
        'name': row.display_name,
        'links': links.to_volume(conf, req, row.id),
    }


def volume(conf: cfg.ConfigOpts, req: request.Request, row: models.Volume,
           volume_type: models.VolumeType,
           metadata: Mapping[str, str]) -> dict[str, Any]:
    """A volume, without what only a policy shows."""
    is_admin = req.context.is_admin
    view = {
        'id': row.id,
        'status': row.status,
        'size': row.size,
        'availability_zone': row.availability_zone,
        'created_at': row.created_at,
        'updated_at': row.updated_at,
        'name': row.display_name,
        'description': row.display_description,
        'volume_type': volume_type.name,
        'snapshot_id': row.snapshot_id,
        'source_volid': row.source_volid,
        'metadata': dict(metadata),
        'links': links.to_volume(conf, req, row.id),
        'user_id': row.user_id,
        'bootable': str(bool(row.bootable)).lower(),
        'encrypted': row.encryption_key_id is not None,
        'replication_status': row.replication_status,
        'consistencygroup_id': row.consistencygroup_id,
        'multiattach': bool(row.multiattach),
        'attachments': [],
    }
    if is_admin:
        view['migration_status'] = row.migration_status
    if req.api_version >= (3, 13):
        view['group_id'] = row.group_id
    if req.api_version >= (3, 21) and is_admin:
        view['provider_id'] = row.provider_id
    if req.api_version >= (3, 48):
        view['shared_targets'] = row.shared_targets
        view['service_uuid'] = row.service_uuid
    if req.api_version >= (3, 61) and is_admin:
        view['cluster_name'] = row.cluster_name
    if req.api_version >= (3, 63):
        view['volume_type_id'] = row.volume_type_id
    if req.api_version >= (3, 65):
        view['consumes_quota'] = row.use_quota
    return view


def volume_project(row: models.Volume) -> dict[str, Any]:
    return {'os-vol-tenant-attr:tenant_id': row.project_id}


def volume_migration(row: models.Volume) -> dict[str, Any]:
    return {'os-vol-mig-status-attr:migstat': row.migration_status,
            'os-vol-mig-status-attr:name_id': row._name_id}


def volume_host(row: models.Volume) -> dict[str, Any]:
    return {'os-vol-host-attr:host': row.host}


def snapshot(req: request.Request, row: models.Snapshot,
             metadata: Mapping[str, str]) -> dict[str, Any]:
    """A snapshot, without what only a policy shows.

    In short it is what :func:`manageable_snapshots.api.views.snapshot` makes.
    """
    view = views.snapshot(row, metadata)
    if req.api_version >= (3, 14):
        view['group_snapshot_id'] = row.group_snapshot_id
    if req.api_version >= (3, 41):
        view['user_id'] = row.user_id
    if req.api_version >= (3, 65):
        view['consumes_quota'] = row.use_quota
    return view


def snapshot_extended(row: models.Snapshot) -> dict[str, Any]:
    return {'os-extended-snapshot-attributes:project_id': row.project_id,
            'os-extended-snapshot-attributes:progress': row.progress}


def service(req: request.Request, row: models.Service, *,
            up: bool) -> dict[str, Any]:
    """A service in the list of services."""
    changes = [time for time in (row.updated_at, row.modified_at) if time]
    view = {
        'binary': row.binary,
        'host': row.host,
        'zone': row.availability_zone,
        'status': 'disabled' if row.disabled else 'enabled',
        'state': 'up' if up else 'down',
        'updated_at': max(changes, default=None),
    }
    is_volume = row.binary == services.VOLUME_BINARY
    if req.api_version >= (3, 49) and is_volume:
        # Cinder has this from its scheduler, which calls a backend up as
        # long as the service reports and does not say otherwise.
        view['backend_state'] = view['state']
    if req.api_version >= (3, 7):
        view['cluster'] = row.cluster_name
    view['disabled_reason'] = row.disabled_reason
    if is_volume:
        view.update(replication_status=row.replication_status,
                    active_backend_id=row.active_backend_id,
                    frozen=bool(row.frozen))
    return view
