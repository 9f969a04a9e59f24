# SPDX-License-Identifier: Apache-2.0

"""JSON schemas of the bodies of volume and snapshot requests.

Cinder's limits, so that its clients find no difference.
"""

import copy
from typing import Any

from manageable_snapshots.api import schemas
from manageable_snapshots.api import validation

_UUID_OR_NULL = {'oneOf': [{'type': 'null'}, schemas.UUID]}
_TEXT = {'type': ['string', 'null'], 'maxLength': 255}
# What is around it does not count, so its length is looked at later.
_UNSTRIPPED = {'type': ['string', 'null']}
_BOOLEAN = {
    'type': ['boolean', 'string'],
    'enum': [True, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on',
             'YES', 'Yes', 'yes', 'y', 't',
             False, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off',
             'NO', 'No', 'no', 'n', 'f'],
}


def _object(name: str, schema: dict[str, Any],
            **beside: dict[str, Any]) -> dict[str, Any]:
    return {
        'type': 'object',
        'properties': {name: schema, **beside},
        'required': [name],
        'additionalProperties': False,
    }


_volume = _object('volume', {
    'type': 'object',
    'properties': {
        'name': _UNSTRIPPED,
        'description': _UNSTRIPPED,
        'display_name': _UNSTRIPPED,
        'display_description': _UNSTRIPPED,
        'volume_type': _TEXT,
        'metadata': schemas.METADATA,
        'snapshot_id': _UUID_OR_NULL,
        'source_volid': _UUID_OR_NULL,
        'consistencygroup_id': _UUID_OR_NULL,
        'size': {
            'type': ['integer', 'string', 'null'],
            'pattern': '^[0-9]+$',
            'minimum': 1,
            'maximum': 0x7fffffff,
        },
        'availability_zone': {'minLength': 1, **_TEXT},
        'multiattach': {'oneOf': [{'type': 'null'}, _BOOLEAN]},
        'image_id': _TEXT,
        'imageRef': _TEXT,
        'group_id': _TEXT,
        'backup_id': _UUID_OR_NULL,
    },
}, **{'OS-SCH-HNT:scheduler_hints': {'type': ['object', 'null']}})

_volume_3_53 = copy.deepcopy(_volume)
_volume_3_53['properties']['volume']['additionalProperties'] = False

VOLUME = validation.compile(_volume)
#: from 3.53 an unknown property is an error
VOLUME_3_53 = validation.compile(_volume_3_53)

SNAPSHOT = validation.compile(_object('snapshot', {
    'type': 'object',
    'properties': {
        'name': schemas.NAME,
        'display_name': schemas.NAME,
        'description': schemas.DESCRIPTION,
        'volume_id': _UUID_OR_NULL,
        'force': _BOOLEAN,
        'metadata': schemas.METADATA,
    },
    'required': ['volume_id'],
    'additionalProperties': False,
}))

ACTION = validation.compile({'type': 'object'})
UNMANAGE = validation.compile(_object('os-unmanage', {}))
