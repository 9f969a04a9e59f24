# SPDX-License-Identifier: Apache-2.0

"""Rows as drivers see them: with the fields of Cinder's objects."""

from typing import Any

from oslo_config import cfg

from manageable_snapshots.db import models
from manageable_snapshots.db import snapshots
from manageable_snapshots import names

_VOLUME_FIELDS = (
    'id', 'user_id', 'project_id', 'host', 'cluster_name', 'size', 'status',
    'display_name', 'volume_type_id', 'provider_id', 'provider_location',
    'provider_auth')
_SNAPSHOT_FIELDS = (
    'id', 'user_id', 'project_id', 'volume_id', 'volume_size', 'status',
    'display_name', 'volume_type_id')
_PROVIDER_FIELDS = ('provider_id', 'provider_location', 'provider_auth')


class Row(dict[str, Any]):
    """A dict that answers to attributes as well, as Cinder's objects do."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def volume(conf: cfg.ConfigOpts, row: models.Volume) -> Row:
    """A volume for a driver."""
    name = names.volume_name(conf, row.id, row._name_id)
    return Row({field: getattr(row, field) for field in _VOLUME_FIELDS},
               name=name, name_id=row._name_id or row.id)


def snapshot(conf: cfg.ConfigOpts, row: models.Snapshot,
             volume_row: models.Volume) -> Row:
    """A snapshot for a driver, with its volume in it.

    While it is ``creating``, the provider's columns hold the reference that
    it is adopted by, which is not the driver's business; ``claimed`` says
    that a worker got to the point of adopting it.
    """
    view = Row({field: getattr(row, field) for field in _SNAPSHOT_FIELDS},
               name=names.snapshot_name(conf, row.id),
               volume=volume(conf, volume_row),
               claimed=snapshots.is_claimed(row))
    for field in _PROVIDER_FIELDS:
        view[field] = (None if row.status == 'creating'
                       else getattr(row, field))
    view['volume_name'] = view.volume.name
    return view
