# SPDX-License-Identifier: Apache-2.0

"""From a WSGI request to a JSON answer."""

from typing import Any


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Any:
    """Paste's filter factory, for Cinder's ``api-paste.ini``.

    ::

        [filter:manageable_snapshots]
        paste.filter_factory = manageable_snapshots.api:filter_factory
    """
    from manageable_snapshots.cinder import filter as cinder_filter
    return cinder_filter.Filter
