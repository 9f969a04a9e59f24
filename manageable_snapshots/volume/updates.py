# SPDX-License-Identifier: Apache-2.0

"""What a driver says of a snapshot that it has adopted, which may be anything.

The snapshot has its new name by then. So what is of no use is left out, since
a row that is in ``error`` for it would have lost its snapshot.
"""

from collections.abc import Mapping
from typing import Any

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

_COLUMNS = ('provider_id', 'provider_location', 'provider_auth')

#: characters that a column holds
_LENGTH = 255


def usable(name: str, snapshot_id: str, said: Any) -> dict[str, Any]:
    """Columns, ``display_name`` and ``metadata`` for the row.

    :param name: the driver's, for the log
    :param said: what ``manage_existing_snapshot`` returned
    """
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        _warn(name, snapshot_id, 'its answer', said)
        return {}
    columns: dict[str, Any] = {}
    for key in _COLUMNS:
        if key not in said:
            continue
        value = said[key]
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is None or _is_text(value):
            columns[key] = value
        else:
            _warn(name, snapshot_id, key, value)
    if isinstance(said.get('display_name'), str):
        columns['display_name'] = said['display_name']
    metadata = said.get('metadata')
    if isinstance(metadata, Mapping):
        columns['metadata'] = {
            key: value for key, value in metadata.items()
            if isinstance(key, str) and key}
    elif metadata is not None:
        _warn(name, snapshot_id, 'metadata', metadata)
    return columns


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LENGTH and not any(
        character == '\0' or '\ud800' <= character <= '\udfff'
        for character in value)


def _warn(name: str, snapshot_id: str, what: str, value: Any) -> None:
    # Without the value: it may be a credential.
    LOG.warning('Of snapshot %(snapshot)s the driver %(driver)s says what '
                'cannot be, and is not listened to: %(what)s is a %(kind)s '
                'that no column holds.',
                {'snapshot': snapshot_id, 'driver': name, 'what': what,
                 'kind': type(value).__name__})
