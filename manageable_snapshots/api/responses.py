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

"""Answers: JSON, Cinder's faults, and the headers that each carries."""

from typing import Any

import webob
from oslo_middleware import request_id
from oslo_serialization import jsonutils

from manageable_snapshots import exception
from manageable_snapshots.api import microversion
from manageable_snapshots.api import request
from manageable_snapshots.i18n import _

_FAULT_NAMES = {
    400: 'badRequest',
    401: 'unauthorized',
    403: 'forbidden',
    404: 'itemNotFound',
    405: 'badMethod',
    409: 'conflictingRequest',
    413: 'overLimit',
    415: 'badMediaType',
    501: 'notImplemented',
    503: 'serviceUnavailable',
}


def json(body: dict[str, Any], status: int = 200) -> webob.Response:
    """An answer with a JSON body."""
    return webob.Response(
        status=status, body=jsonutils.dump_as_bytes(body),
        content_type='application/json', charset=None)


def accepted(body: dict[str, Any] | None = None) -> webob.Response:
    """202, with a JSON body or, as Cinder answers an action, with none."""
    if body is None:
        return webob.Response(status=202)
    return json(body, 202)


def no_content() -> webob.Response:
    return webob.Response(status=204)


def fault(code: int, message: str,
          headers: dict[str, str] | None = None) -> webob.Response:
    """An error in Cinder's JSON form."""
    body: dict[str, Any] = {'code': code, 'message': message}
    if headers and 'Retry-After' in headers and code == 413:
        body['retryAfter'] = headers['Retry-After']
    response = json({_FAULT_NAMES.get(code, 'computeFault'): body}, code)
    response.headers.update(headers or {})
    return response


def from_exception(
        error: exception.ManageableSnapshotsException) -> webob.Response:
    """The fault for an error that is meant for users."""
    return fault(error.code, error.msg, error.headers)


def internal_error() -> webob.Response:
    """500, which says nothing about the reason."""
    return fault(500, _(
        'The server has either erred or is incapable of performing the '
        'requested operation.'))


def complete(req: request.Request, response: webob.Response) -> None:
    """Add the headers that every answer carries."""
    if req.api_version is not None:
        response.headers[microversion.HEADER] = '%s %s' % (
            microversion.SERVICE_TYPE,
            microversion.to_string(req.api_version))
        response.headers['Vary'] = microversion.HEADER
    known_as = req.environ.get(request_id.ENV_REQUEST_ID)
    if known_as:
        response.headers['x-compute-request-id'] = known_as
