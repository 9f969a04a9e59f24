# SPDX-License-Identifier: Apache-2.0

"""Volume types."""

import sqlalchemy as sa
from sqlalchemy import orm

from manageable_snapshots.db import models
from manageable_snapshots.db import query
from manageable_snapshots import exception

#: The type of a volume that was made without one, since Cinder 15.
DEFAULT_NAME = '__DEFAULT__'


def get(session: orm.Session, volume_type_id: str) -> models.VolumeType:
    """A volume type.

    :raises VolumeTypeNotFound: no type has that id
    """
    volume_type = session.scalars(
        sa.select(models.VolumeType).where(
            models.VolumeType.id == volume_type_id,
            query.live(models.VolumeType))).first()
    if volume_type is None:
        raise exception.VolumeTypeNotFound(volume_type_id=volume_type_id)
    return volume_type


def default(session: orm.Session) -> models.VolumeType:
    """The type of volumes that were made without one.

    :raises VolumeTypeNotFound: it was deleted
    """
    volume_type = session.scalars(
        sa.select(models.VolumeType).where(
            models.VolumeType.name == DEFAULT_NAME,
            query.live(models.VolumeType))).first()
    if volume_type is None:
        raise exception.VolumeTypeNotFound(volume_type_id=DEFAULT_NAME)
    return volume_type
