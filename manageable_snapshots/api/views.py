# SPDX-License-Identifier: Apache-2.0

"""What the answers look like: Cinder's."""

from collections.abc import Mapping
from typing import Any

_SUMMARY = ('reference', 'size', 'safe_to_manage', 'source_reference')
_DETAIL = ('reference', 'size', 'safe_to_manage', 'reason_not_safe',
           'extra_info', 'cinder_id', 'source_reference')


def summary(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of a backend's list, in short."""
    return {name: entry.get(name) for name in _SUMMARY}


def detail(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of a backend's list, with everything."""
    return {name: entry.get(name) for name in _DETAIL}


def snapshot(row: Any, metadata: Mapping[str, str]) -> dict[str, Any]:
    """A snapshot that has a row.

    :param row: of ``snapshots``
    """
    return {
        'id': row.id,
        'created_at': row.created_at,
        'updated_at': row.updated_at,
        'name': row.display_name,
        'description': row.display_description,
        'volume_id': row.volume_id,
        'status': row.status,
        'size': row.volume_size,
        'metadata': dict(metadata),
    }
