# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
