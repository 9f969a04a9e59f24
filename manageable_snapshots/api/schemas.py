# SPDX-License-Identifier: Apache-2.0

"""What the body of a request looks like. Names and limits are Cinder's."""

from manageable_snapshots.api import validation

UUID = {'type': 'string', 'format': 'uuid'}
NAME = {'type': ['string', 'null'], 'maxLength': 255}
DESCRIPTION = {'type': ['string', 'null'], 'maxLength': 255,
               'printable': True}
METADATA = {
    'type': ['object', 'null'],
    'patternProperties': {
        '^[a-zA-Z0-9-_:. /]{1,255}$': {'type': 'string', 'maxLength': 255},
    },
    'additionalProperties': False,
}

ADOPT = validation.compile({
    'type': 'object',
    'properties': {
        'snapshot': {
            'type': 'object',
            'properties': {
                'description': DESCRIPTION,
                'metadata': METADATA,
                'name': NAME,
                'volume_id': UUID,
                'ref': {'type': ['object', 'null', 'string']},
            },
            'required': ['ref', 'volume_id'],
            'additionalProperties': False,
        },
    },
    'required': ['snapshot'],
    'additionalProperties': False,
})
