# SPDX-License-Identifier: Apache-2.0

"""The version of the API that a request asks for, and gets."""

from collections.abc import Callable
import functools
import re
from typing import Any

import microversion_parse

from manageable_snapshots.api import request
from manageable_snapshots import exception
from manageable_snapshots.i18n import _

HEADER = 'OpenStack-API-Version'
SERVICE_TYPE = 'volume'

Version = tuple[int, int]

MIN: Version = (3, 0)
#: the newest that this project knows
MAX: Version = (3, 71)

# Cinder's rule. microversion_parse.parse_version_string() takes '3.08' and
# '-3.8' as well.
_FORMAT = re.compile(r'([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})')


def to_string(version: Version) -> str:
    """``3.8`` of ``(3, 8)``."""
    return '%d.%d' % version


def is_legacy(version: Version) -> bool:
    """Return whether an answer leaves out the headers of microversions.

    It does for the endpoints before microversions, 1.0 and 2.0. Cinder
    (release 29, ``_is_legacy_endpoint``) tells them by these characters, so
    that it leaves them out for 11.0 as well.
    """
    return to_string(version).endswith(('1.0', '2.0'))


def negotiate(req: request.Request, newest: Version) -> None:
    """Settle ``req.api_version``: what the header says, or the oldest.

    :param newest: the newest version on offer; ``latest`` means this one
    :raises Invalid: the header names no version of this service
    :raises InvalidAPIVersionString: what it names is no version
    :raises InvalidGlobalAPIVersion: it is out of range; ``req.api_version``
        is set all the same, since the answer repeats it
    """
    header = req.headers.get(HEADER)
    if header is None:
        req.api_version = MIN
        return
    wanted = microversion_parse.get_version(
        {HEADER: header}, service_type=SERVICE_TYPE)
    if wanted is None:
        raise exception.Invalid(_(
            'The server could not comply with the request since it is '
            'either malformed or otherwise incorrect.'))
    if wanted == 'latest':
        req.api_version = newest
    else:
        match = _FORMAT.fullmatch(wanted)
        if match is None:
            raise exception.InvalidAPIVersionString(version=wanted)
        req.api_version = (int(match[1]), int(match[2]))
        if not MIN <= req.api_version <= newest:
            raise exception.InvalidGlobalAPIVersion(
                req_ver=to_string(req.api_version), min_ver=to_string(MIN),
                max_ver=to_string(newest))


def since(version: Version) -> Callable[[Callable], Callable]:
    """Decorator of a handler that older versions do not have: 404 there."""
    def decorate(handler: Callable) -> Callable:
        @functools.wraps(handler)
        def checked(app: Any, req: request.Request, **path_args: str) -> Any:
            if req.api_version < version:
                raise exception.NotFound()
            return handler(app, req, **path_args)
        return checked
    return decorate
