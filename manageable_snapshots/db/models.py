# SPDX-License-Identifier: Apache-2.0

"""The tables: Cinder's, with its names and types, those that we need.

Inside Cinder they are Cinder's own and made by ``cinder-manage db sync``;
standing alone :mod:`manageable_snapshots.db.migration` makes them. Foreign
keys to tables that are not here are plain columns. Rows are never deleted but
marked, ``deleted`` and ``deleted_at``; times are UTC without a zone.
"""

from typing import Any
from typing import ClassVar
import uuid

from oslo_db.sqlalchemy import models
from oslo_utils import timeutils
import sqlalchemy as sa
from sqlalchemy import orm

# A row's attributes are values, which a type checker takes for columns unless
# they are declared in a way that SQLAlchemy 1.4 does not know.
Column: Any = sa.Column

# Cinder's tables are of 'utf8', which lacks characters of four bytes.
_TABLE_ARGS = {'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4'}


def new_id() -> str:
    """An id for a row, a random UUID."""
    return str(uuid.uuid4())


@orm.as_declarative()
class Base(models.TimestampMixin, models.ModelBase):
    """What every table has."""

    metadata: ClassVar[sa.MetaData]

    deleted_at = Column(sa.DateTime)
    deleted = Column(sa.Boolean, default=False)


class Service(Base):
    """A service that reports; ``updated_at`` is its last report."""

    __tablename__ = 'services'
    __table_args__ = (
        sa.Index('services_uuid_idx', 'uuid', unique=True),
        _TABLE_ARGS,
    )

    id = Column(sa.Integer, primary_key=True)
    uuid = Column(sa.String(36), default=new_id)
    cluster_name = Column(sa.String(255))
    host = Column(sa.String(255))
    binary = Column(sa.String(255))
    updated_at = Column(sa.DateTime, default=timeutils.utcnow,
                        onupdate=timeutils.utcnow)
    topic = Column(sa.String(255))
    report_count = Column(sa.Integer, nullable=False, default=0)
    disabled = Column(sa.Boolean, default=False)
    availability_zone = Column(sa.String(255))
    disabled_reason = Column(sa.String(255))
    modified_at = Column(sa.DateTime)
    rpc_current_version = Column(sa.String(36))
    object_current_version = Column(sa.String(36))
    replication_status = Column(sa.String(36), default='not-capable')
    active_backend_id = Column(sa.String(255))
    frozen = Column(sa.Boolean, default=False)


class Cluster(Base):
    """Services that serve the same backend together.

    ``race_preventer`` is 0 in a live row and the row's id in a deleted one,
    so that two live ones of a name exclude each other.
    """

    __tablename__ = 'clusters'
    __table_args__ = (
        sa.UniqueConstraint('name', 'binary', 'race_preventer'),
        _TABLE_ARGS,
    )

    id = Column(sa.Integer, primary_key=True)
    name = Column(sa.String(255), nullable=False)
    binary = Column(sa.String(255), nullable=False)
    disabled = Column(sa.Boolean, default=False)
    disabled_reason = Column(sa.String(255))
    race_preventer = Column(sa.Integer, nullable=False, default=0)
    replication_status = Column(sa.String(36), default='not-capable')
    active_backend_id = Column(sa.String(255))
    frozen = Column(sa.Boolean, nullable=False, default=False,
                    server_default=sa.false())


class VolumeType(Base):
    __tablename__ = 'volume_types'
    __table_args__ = _TABLE_ARGS

    id = Column(sa.String(36), primary_key=True, default=new_id)
    name = Column(sa.String(255))
    description = Column(sa.String(255))
    is_public = Column(sa.Boolean, default=True)


class Volume(Base):
    """A volume; ``size`` in GiB, ``host`` is ``host@backend#pool``."""

    __tablename__ = 'volumes'
    __table_args__ = (
        sa.Index('volumes_service_uuid_idx', 'service_uuid', 'deleted'),
        sa.Index('volumes_deleted_project_id_idx', 'deleted', 'project_id'),
        sa.Index('volumes_deleted_host_idx', 'deleted', 'host'),
        _TABLE_ARGS,
    )

    id = Column(sa.String(36), primary_key=True, default=new_id)
    _name_id = Column(sa.String(36))
    ec2_id = Column(sa.String(255))
    user_id = Column(sa.String(255))
    project_id = Column(sa.String(255))
    snapshot_id = Column(sa.String(36))
    cluster_name = Column(sa.String(255))
    host = Column(sa.String(255))
    size = Column(sa.Integer)
    availability_zone = Column(sa.String(255))
    status = Column(sa.String(255))
    attach_status = Column(sa.String(255))
    migration_status = Column(sa.String(255))
    scheduled_at = Column(sa.DateTime)
    launched_at = Column(sa.DateTime)
    terminated_at = Column(sa.DateTime)
    display_name = Column(sa.String(255))
    display_description = Column(sa.String(255))
    provider_location = Column(sa.String(256))
    provider_auth = Column(sa.String(256))
    provider_geometry = Column(sa.String(255))
    provider_id = Column(sa.String(255))
    volume_type_id = Column(sa.String(36), nullable=False)
    source_volid = Column(sa.String(36))
    encryption_key_id = Column(sa.String(36))
    consistencygroup_id = Column(sa.String(36))
    group_id = Column(sa.String(36))
    bootable = Column(sa.Boolean, default=False)
    multiattach = Column(sa.Boolean, default=False)
    replication_status = Column(sa.String(255))
    replication_extended_status = Column(sa.String(255))
    replication_driver_data = Column(sa.String(255))
    previous_status = Column(sa.String(255))
    service_uuid = Column(sa.String(36), sa.ForeignKey('services.uuid'))
    shared_targets = Column(sa.Boolean, default=True)
    use_quota = Column(sa.Boolean, nullable=False, default=True,
                       server_default=sa.true())

    @property
    def name_id(self) -> str:
        """The id in the volume's name on its backend.

        It differs from the volume's own after a migration between backends.
        """
        return self._name_id or self.id


class VolumeMetadata(Base):
    __tablename__ = 'volume_metadata'
    __table_args__ = _TABLE_ARGS

    id = Column(sa.Integer, primary_key=True)
    volume_id = Column(sa.String(36), sa.ForeignKey('volumes.id'),
                       nullable=False, index=True)
    key = Column(sa.String(255))
    value = Column(sa.String(255))


class Snapshot(Base):
    """A snapshot; ``volume_size`` is its own size, in GiB."""

    __tablename__ = 'snapshots'
    __table_args__ = (
        sa.Index('snapshots_deleted_project_id_idx', 'deleted', 'project_id'),
        _TABLE_ARGS,
    )

    id = Column(sa.String(36), primary_key=True, default=new_id)
    volume_id = Column(
        sa.String(36),
        sa.ForeignKey('volumes.id', name='snapshots_volume_id_fkey'),
        nullable=False, index=True)
    user_id = Column(sa.String(255))
    project_id = Column(sa.String(255))
    cgsnapshot_id = Column(sa.String(36))
    group_snapshot_id = Column(sa.String(36))
    status = Column(sa.String(255))
    progress = Column(sa.String(255))
    volume_size = Column(sa.Integer)
    scheduled_at = Column(sa.DateTime)
    display_name = Column(sa.String(255))
    display_description = Column(sa.String(255))
    encryption_key_id = Column(sa.String(36))
    volume_type_id = Column(sa.String(36), nullable=False)
    provider_location = Column(sa.String(255))
    provider_id = Column(sa.String(255))
    provider_auth = Column(sa.String(255))
    use_quota = Column(sa.Boolean, nullable=False, default=True,
                       server_default=sa.true())


class SnapshotMetadata(Base):
    __tablename__ = 'snapshot_metadata'
    __table_args__ = _TABLE_ARGS

    id = Column(sa.Integer, primary_key=True)
    snapshot_id = Column(sa.String(36), sa.ForeignKey('snapshots.id'),
                         nullable=False, index=True)
    key = Column(sa.String(255))
    value = Column(sa.String(255))


class Quota(Base):
    """A project's own limit for a resource; -1: none."""

    __tablename__ = 'quotas'
    __table_args__ = _TABLE_ARGS

    id = Column(sa.Integer, primary_key=True)
    project_id = Column(sa.String(255))
    resource = Column(sa.String(300), nullable=False)
    hard_limit = Column(sa.Integer)


class QuotaClass(Base):
    """A class's limit for a resource; the class 'default' is everyone's."""

    __tablename__ = 'quota_classes'
    __table_args__ = _TABLE_ARGS

    id = Column(sa.Integer, primary_key=True)
    class_name = Column(sa.String(255), index=True)
    resource = Column(sa.String(300))
    hard_limit = Column(sa.Integer)


class QuotaUsage(Base):
    """How much of a resource a project has, and has reserved.

    ``race_preventer`` is true in a live row and NULL in a deleted one, so
    that two live ones of a resource exclude each other.
    """

    __tablename__ = 'quota_usages'
    __table_args__ = (
        sa.Index('quota_usage_project_resource_idx', 'project_id',
                 'resource'),
        sa.UniqueConstraint('project_id', 'resource', 'race_preventer'),
        _TABLE_ARGS,
    )

    id = Column(sa.Integer, primary_key=True)
    project_id = Column(sa.String(255), index=True)
    resource = Column(sa.String(300))
    in_use = Column(sa.Integer, nullable=False)
    reserved = Column(sa.Integer, nullable=False)
    until_refresh = Column(sa.Integer)
    race_preventer = Column(sa.Boolean, default=True)


class Reservation(Base):
    """A part of ``reserved`` of a usage, until it is committed or expires."""

    __tablename__ = 'reservations'
    __table_args__ = (
        sa.Index('reservations_deleted_expire_idx', 'deleted', 'expire'),
        sa.Index('reservations_deleted_uuid_idx', 'deleted', 'uuid'),
        _TABLE_ARGS,
    )

    id = Column(sa.Integer, primary_key=True)
    uuid = Column(sa.String(36), nullable=False, default=new_id)
    usage_id = Column(sa.Integer, sa.ForeignKey('quota_usages.id'),
                      index=True)
    project_id = Column(sa.String(255), index=True)
    resource = Column(sa.String(300))
    delta = Column(sa.Integer, nullable=False)
    expire = Column(sa.DateTime)
