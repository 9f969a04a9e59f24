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

"""The version of the API that a request asks for, and gets."""

import functools
import re
from collections.abc import Callable
from typing import Any

import microversion_parse

from manageable_snapshots import exception
from manageable_snapshots.api import request
from manageable_snapshots.i18n import _

HEADER = 'OpenStack-API-Version'
SERVICE_TYPE = 'volume'

Version = tuple[int, int]

MIN: Version = (3, 0)
#: The newest that is known here; an older host has less.
MAX: Version = (3, 71)

# microversion_parse.parse_version_string() takes '3.08', ' 3.8' and '-3.8'.
_FORMAT = re.compile(r'([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})')


def to_string(version: Version) -> str:
    return '%d.%d' % version


def requested(req: request.Request) -> Version:
    """The version in a request's header, without a look at the range.

    ``latest`` comes back as :data:`LATEST`. No header: the oldest version.

    :raises Invalid: the header names no version of this service
    :raises InvalidAPIVersionString: it names something that is not one
    """
    if HEADER not in req.headers:
        return MIN
    version = microversion_parse.get_version(
        req.headers, service_type=SERVICE_TYPE)
    if version is None:
        raise exception.Invalid(_(
            'The server could not comply with the request since it is '
            'either malformed or otherwise incorrect.'))
    if version == 'latest':
        return LATEST
    match = _FORMAT.fullmatch(version)
    if match is None:
        raise exception.InvalidAPIVersionString(version=version)
    return int(match[1]), int(match[2])


#: More than any version that can be asked for.
LATEST: Version = (2 ** 63, 0)


def negotiate(req: request.Request, newest: Version) -> None:
    """Settle ``req.api_version``.

    :param newest: the newest version on offer
    :raises InvalidGlobalAPIVersion: it is outside the range;
        ``req.api_version`` is set nevertheless, since the answer shows it
    """
    version = requested(req)
    req.api_version = newest if version == LATEST else version
    if not MIN <= req.api_version <= newest:
        raise exception.InvalidGlobalAPIVersion(
            req_ver=to_string(req.api_version), min_ver=to_string(MIN),
            max_ver=to_string(newest))


def since(version: Version) -> Callable[[Callable], Callable]:
    """Mark a handler that older versions do not have; they answer 404."""
    def decorate(handler: Callable) -> Callable:
        @functools.wraps(handler)
        def checked(app: Any, req: request.Request, **path_args: str) -> Any:
            if req.api_version < version:
                raise exception.NotFound()
            return handler(app, req, **path_args)
        return checked
    return decorate
