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

"""Check a body against a schema, with Cinder's messages."""

from typing import Any

import jsonschema
from oslo_utils import uuidutils

from manageable_snapshots import exception
from manageable_snapshots.api import request
from manageable_snapshots.i18n import _

_formats = jsonschema.FormatChecker(formats=())


@_formats.checks('uuid')
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or uuidutils.is_uuid_like(value)


def compile(schema: dict[str, Any]) -> jsonschema.protocols.Validator:
    """Make a schema ready for :func:`body`; once, where it is defined."""
    jsonschema.Draft4Validator.check_schema(schema)
    return jsonschema.Draft4Validator(schema, format_checker=_formats)


def body(req: request.Request,
         validator: jsonschema.protocols.Validator) -> dict[str, Any]:
    """The request's body, which fits the schema.

    :param validator: from :func:`compile`
    :raises MalformedRequestBody: there is no body
    :raises ValidationError: it does not fit; the message is Cinder's
    """
    if req.json is None:
        raise exception.MalformedRequestBody()
    error = next(validator.iter_errors(req.json), None)
    if error is None:
        return req.json
    if not error.path:
        raise exception.ValidationError(detail=error.message)
    raise exception.ValidationError(
        detail=_('Invalid input for field/attribute %(path)s. Value: '
                 '%(value)s. %(message)s') % {
                     'path': error.path[-1], 'value': error.instance,
                     'message': error.message})
