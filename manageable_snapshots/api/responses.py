# SPDX-License-Identifier: Apache-2.0

"""Answers: JSON, Cinder's faults, and the headers that each one carries."""

from typing import Any

from oslo_log import log
from oslo_middleware import request_id
from oslo_serialization import jsonutils
import webob
import webob.exc

from manageable_snapshots.api import microversion
from manageable_snapshots.api import request
from manageable_snapshots import exception
from manageable_snapshots.i18n import _

LOG = log.getLogger(__name__)

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
    return webob.Response(status=202) if body is None else json(body, 202)


def fault(code: int, message: str,
          headers: dict[str, str] | None = None) -> webob.Response:
    """An error in Cinder's JSON.

    :param headers: further headers of the answer
    """
    body: dict[str, Any] = {'code': code, 'message': message}
    if code == 413 and headers and 'Retry-After' in headers:
        body['retryAfter'] = headers['Retry-After']
    response = json({_FAULT_NAMES.get(code, 'computeFault'): body}, code)
    response.headers.update(headers or {})
    return response


def error(raised: Exception) -> webob.Response:
    """The answer for an exception, of whatever kind.

    Only what is meant for users gets out; everything else goes into the log.
    """
    if isinstance(raised, webob.exc.HTTPException):
        return raised
    if isinstance(raised, UnicodeDecodeError):
        return fault(400, _(
            'Error decoding your request. Either the URL or the request body '
            'contained characters that could not be decoded by Cinder.'))
    if isinstance(raised, exception.QuotaError):
        # Cinder's clients see the name of the exception here, and only here.
        return fault(raised.code, f'{type(raised).__name__}: {raised.msg}',
                     raised.headers)
    if (isinstance(raised, exception.ManageableSnapshotsException)
            and raised.code != 500):
        return fault(raised.code, raised.msg, raised.headers)
    LOG.error('Unexpected error', exc_info=raised)
    return fault(500, _(
        'The server has either erred or is incapable of performing the '
        'requested operation.'))


def complete(req: request.Request, response: webob.Response) -> None:
    """Add the headers that every answer carries."""
    if (req.api_version != request.UNSETTLED
            and not microversion.is_legacy(req.api_version)):
        response.headers[microversion.HEADER] = '%s %s' % (
            microversion.SERVICE_TYPE,
            microversion.to_string(req.api_version))
        response.headers['Vary'] = microversion.HEADER
    known_as = req.environ.get(request_id.ENV_REQUEST_ID)
    if known_as is not None:
        response.headers['x-compute-request-id'] = known_as
