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
