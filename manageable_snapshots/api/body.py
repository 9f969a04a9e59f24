# SPDX-License-Identifier: Apache-2.0

"""Read a request's body: within its limits, as JSON, or not at all."""

import json
from typing import Any

from oslo_middleware import sizelimit
import webob.exc

from manageable_snapshots.api import request
from manageable_snapshots import exception
from manageable_snapshots.i18n import _

_CONTENT_TYPES = ('application/json',
                  'application/vnd.openstack.volume+json')

#: methods whose requests have a body
METHODS = ('POST', 'PUT', 'PATCH')


class Flawed(exception.MalformedRequestBody):
    """A body that is JSON, but that no handler may work with.

    :ivar value: the parsed body
    """

    value: Any = None


def check_length(req: request.Request, max_size: int) -> None:
    """Refuse a body that claims to be too large, unread.

    :param max_size: bytes
    :raises webob.exc.HTTPRequestEntityTooLarge: it claims to have more
    """
    if (req.content_length or 0) > max_size:
        raise webob.exc.HTTPRequestEntityTooLarge(explanation=_(
            'Request is too large. Larger than max_request_body_size (%s).')
            % max_size)


def read(req: request.Request, max_size: int, max_depth: int) -> Any:
    """The body as JSON.

    :param max_size: bytes; not many more than these are read
    :param max_depth: levels of objects and lists
    :returns: :data:`request.NO_BODY` if the request has no body
    :raises webob.exc.HTTPRequestEntityTooLarge: it has more bytes
    :raises UnsupportedContentType: it does not claim to be JSON
    :raises MalformedRequestBody: it is not JSON
    :raises Flawed: as :func:`parse`
    """
    data = _bytes(req, max_size)
    if not data:
        return request.NO_BODY
    if 'Content-Type' not in req.headers and req.method not in METHODS:
        # Nothing says that it is meant for us; Cinder does not look at it.
        return request.NO_BODY
    if req.content_type not in _CONTENT_TYPES:
        raise exception.UnsupportedContentType()
    value = parse(data, max_depth)
    if req.method not in METHODS:
        raise exception.Invalid(_(
            'The server could not comply with the request since it is '
            'either malformed or otherwise incorrect.'))
    return value


def parse(data: bytes, max_depth: int) -> Any:
    """JSON that can be dealt with: neither ambiguous, nor deep, nor odd.

    ``NaN`` and its like pass as Python has them, for the schema to refuse.

    :param max_depth: levels of objects and lists
    :raises MalformedRequestBody: it is not JSON
    :raises Flawed: it is JSON that repeats a name, is nested more deeply, or
        has a string that no database can hold
    """
    repeated: list[str] = []

    def to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            repeated.append(_('Malformed request body: a name is repeated.'))
        return value

    try:
        value = json.loads(data.decode(), object_pairs_hook=to_object)
    except (ValueError, RecursionError):
        raise exception.MalformedRequestBody() from None
    reason = _flaw(value, max_depth) or next(iter(repeated), None)
    if reason:
        flawed = Flawed(reason)
        flawed.value = value
        raise flawed
    return value


def _flaw(value: Any, max_depth: int) -> str | None:
    # A loop, since a recursion would be one more limit.
    level = [value]
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, str) and not _is_text(item):
                return _('Malformed request body: a string has a character '
                         'that no text can have.')
            if max_depth == 0 and isinstance(item, (dict, list)):
                return _('Malformed request body: it is nested too deeply.')
        level = below
        max_depth -= 1
    return None


def _bytes(req: request.Request, max_size: int) -> bytes:
    if not req.is_body_readable:
        return b''
    check_length(req, max_size)
    reader = sizelimit.LimitingReader(req.body_file, max_size)
    chunks = []
    try:
        while chunk := reader.read(max_size + 1):
            chunks.append(chunk)
    except OSError:
        # The client has gone, or sent less than it promised.
        raise exception.MalformedRequestBody() from None
    return b''.join(chunks)


def _is_text(text: str) -> bool:
    return '\0' not in text and not any(
        '\ud800' <= character <= '\udfff' for character in text)
