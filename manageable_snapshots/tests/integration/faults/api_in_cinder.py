# SPDX-License-Identifier: Apache-2.0

"""The filter for Cinder's API, with points to die at.

The environment says in which folder they are armed.
"""

from typing import Any

from manageable_snapshots import api
from manageable_snapshots.tests.integration.faults import points


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Any:
    """As the project's own, which stands in its place."""
    points.watch_in_cinder('api')
    return api.filter_factory(global_conf, **local_conf)
