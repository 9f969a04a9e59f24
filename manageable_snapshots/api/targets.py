# SPDX-License-Identifier: Apache-2.0

"""What a policy rule may refer to: the fields of a resource, as in Cinder."""

from collections.abc import Mapping
from typing import Any

from manageable_snapshots.db import models
from manageable_snapshots.rpc import objects


def of_volume(row: models.Volume,
              metadata: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the columns of a volume, and its metadata."""
    return _without_credentials(objects.volume(row, metadata or {}))


def of_snapshot(row: models.Snapshot) -> dict[str, Any]:
    """Return the columns of a snapshot."""
    return _without_credentials(objects.snapshot(row, {}))


def _without_credentials(value: dict[str, Any]) -> dict[str, Any]:
    # They are of no use to a rule, and a target may be logged.
    fields = dict(objects.fields(value))
    del fields['provider_auth']
    return fields
