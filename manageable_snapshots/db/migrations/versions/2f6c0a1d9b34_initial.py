# SPDX-License-Identifier: Apache-2.0

"""The tables as Cinder 29 has them, and the volume type of last resort."""

import datetime
import uuid

from alembic import op
import sqlalchemy as sa

revision = '2f6c0a1d9b34'
down_revision = None


def _create(name: str, *items: sa.schema.SchemaItem) -> sa.Table:
    return op.create_table(
        name,
        sa.Column('created_at', sa.DateTime),
        sa.Column('updated_at', sa.DateTime),
        sa.Column('deleted_at', sa.DateTime),
        sa.Column('deleted', sa.Boolean),
        *items,
        mysql_engine='InnoDB',
        mysql_charset='utf8')


def upgrade() -> None:
    _create(
        'services',
        sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('uuid', sa.String(36)),
        sa.Column('cluster_name', sa.String(255)),
        sa.Column('host', sa.String(255)),
        sa.Column('binary', sa.String(255)),
        sa.Column('topic', sa.String(255)),
        sa.Column('report_count', sa.Integer, nullable=False),
        sa.Column('disabled', sa.Boolean),
        sa.Column('availability_zone', sa.String(255)),
        sa.Column('disabled_reason', sa.String(255)),
        sa.Column('modified_at', sa.DateTime),
        sa.Column('rpc_current_version', sa.String(36)),
        sa.Column('object_current_version', sa.String(36)),
        sa.Column('replication_status', sa.String(36)),
        sa.Column('active_backend_id', sa.String(255)),
        sa.Column('frozen', sa.Boolean),
        sa.Index('services_uuid_idx', 'uuid', unique=True))
    _create(
        'clusters',
        sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('name', sa.String(255), nullable=False),
        sa.Column('binary', sa.String(255), nullable=False),
        sa.Column('disabled', sa.Boolean),
        sa.Column('disabled_reason', sa.String(255)),
        sa.Column('race_preventer', sa.Integer, nullable=False),
        sa.Column('replication_status', sa.String(36)),
        sa.Column('active_backend_id', sa.String(255)),
        sa.Column('frozen', sa.Boolean, nullable=False,
                  server_default=sa.false()),
        sa.UniqueConstraint('name', 'binary', 'race_preventer'))
    volume_types = _create(
        'volume_types',
        sa.Column('id', sa.String(36), primary_key=True),
        sa.Column('name', sa.String(255)),
        sa.Column('description', sa.String(255)),
        sa.Column('is_public', sa.Boolean))
    _create(
        'volumes',
        sa.Column('id', sa.String(36), primary_key=True),
        sa.Column('_name_id', sa.String(36)),
        sa.Column('ec2_id', sa.String(255)),
        sa.Column('user_id', sa.String(255)),
        sa.Column('project_id', sa.String(255)),
        sa.Column('snapshot_id', sa.String(36)),
        sa.Column('cluster_name', sa.String(255)),
        sa.Column('host', sa.String(255)),
        sa.Column('size', sa.Integer),
        sa.Column('availability_zone', sa.String(255)),
        sa.Column('status', sa.String(255)),
        sa.Column('attach_status', sa.String(255)),
        sa.Column('migration_status', sa.String(255)),
        sa.Column('scheduled_at', sa.DateTime),
        sa.Column('launched_at', sa.DateTime),
        sa.Column('terminated_at', sa.DateTime),
        sa.Column('display_name', sa.String(255)),
        sa.Column('display_description', sa.String(255)),
        sa.Column('provider_location', sa.String(256)),
        sa.Column('provider_auth', sa.String(256)),
        sa.Column('provider_geometry', sa.String(255)),
        sa.Column('provider_id', sa.String(255)),
        sa.Column('volume_type_id', sa.String(36), nullable=False),
        sa.Column('source_volid', sa.String(36)),
        sa.Column('encryption_key_id', sa.String(36)),
        sa.Column('consistencygroup_id', sa.String(36)),
        sa.Column('group_id', sa.String(36)),
        sa.Column('bootable', sa.Boolean),
        sa.Column('multiattach', sa.Boolean),
        sa.Column('replication_status', sa.String(255)),
        sa.Column('replication_extended_status', sa.String(255)),
        sa.Column('replication_driver_data', sa.String(255)),
        sa.Column('previous_status', sa.String(255)),
        sa.Column('service_uuid', sa.String(36),
                  sa.ForeignKey('services.uuid')),
        sa.Column('shared_targets', sa.Boolean),
        sa.Column('use_quota', sa.Boolean, nullable=False,
                  server_default=sa.true()),
        sa.Index('volumes_service_uuid_idx', 'service_uuid', 'deleted'),
        sa.Index('volumes_deleted_project_id_idx', 'deleted', 'project_id'),
        sa.Index('volumes_deleted_host_idx', 'deleted', 'host'))
    _create(
        'volume_metadata',
        sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('volume_id', sa.String(36), sa.ForeignKey('volumes.id'),
                  nullable=False, index=True),
        sa.Column('key', sa.String(255)),
        sa.Column('value', sa.String(255)))
    _create(
        'snapshots',
        sa.Column('id', sa.String(36), primary_key=True),
        sa.Column('volume_id', sa.String(36),
                  sa.ForeignKey('volumes.id',
                                name='snapshots_volume_id_fkey'),
                  nullable=False, index=True),
        sa.Column('user_id', sa.String(255)),
        sa.Column('project_id', sa.String(255)),
        sa.Column('cgsnapshot_id', sa.String(36)),
        sa.Column('group_snapshot_id', sa.String(36)),
        sa.Column('status', sa.String(255)),
        sa.Column('progress', sa.String(255)),
        sa.Column('volume_size', sa.Integer),
        sa.Column('scheduled_at', sa.DateTime),
        sa.Column('display_name', sa.String(255)),
        sa.Column('display_description', sa.String(255)),
        sa.Column('encryption_key_id', sa.String(36)),
        sa.Column('volume_type_id', sa.String(36), nullable=False),
        sa.Column('provider_location', sa.String(255)),
        sa.Column('provider_id', sa.String(255)),
        sa.Column('provider_auth', sa.String(255)),
        sa.Column('use_quota', sa.Boolean, nullable=False,
                  server_default=sa.true()),
        sa.Index('snapshots_deleted_project_id_idx', 'deleted',
                 'project_id'))
    _create(
        'snapshot_metadata',
        sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('snapshot_id', sa.String(36),
                  sa.ForeignKey('snapshots.id'), nullable=False, index=True),
        sa.Column('key', sa.String(255)),
        sa.Column('value', sa.String(255)))
    _create(
        'quotas',
        sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('project_id', sa.String(255)),
        sa.Column('resource', sa.String(300), nullable=False),
        sa.Column('hard_limit', sa.Integer))
    _create(
        'quota_classes',
        sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('class_name', sa.String(255), index=True),
        sa.Column('resource', sa.String(300)),
        sa.Column('hard_limit', sa.Integer))
    _create(
        'quota_usages',
        sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('project_id', sa.String(255), index=True),
        sa.Column('resource', sa.String(300)),
        sa.Column('in_use', sa.Integer, nullable=False),
        sa.Column('reserved', sa.Integer, nullable=False),
        sa.Column('until_refresh', sa.Integer),
        sa.Column('race_preventer', sa.Boolean),
        sa.Index('quota_usage_project_resource_idx', 'project_id',
                 'resource'),
        sa.UniqueConstraint('project_id', 'resource', 'race_preventer'))
    _create(
        'reservations',
        sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('uuid', sa.String(36), nullable=False),
        sa.Column('usage_id', sa.Integer, sa.ForeignKey('quota_usages.id'),
                  index=True),
        sa.Column('project_id', sa.String(255), index=True),
        sa.Column('resource', sa.String(300)),
        sa.Column('delta', sa.Integer, nullable=False),
        sa.Column('expire', sa.DateTime),
        sa.Index('reservations_deleted_expire_idx', 'deleted', 'expire'),
        sa.Index('reservations_deleted_uuid_idx', 'deleted', 'uuid'))
    op.bulk_insert(volume_types, [{
        'id': str(uuid.uuid4()),
        'name': '__DEFAULT__',
        'description': 'Default Volume Type',
        'is_public': True,
        'created_at': datetime.datetime.now(datetime.timezone.utc).replace(
            tzinfo=None),
        'deleted': False}])
