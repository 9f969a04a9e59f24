# SPDX-License-Identifier: Apache-2.0

"""Read the query string of a list, with Cinder's words where it is wrong."""

from collections.abc import Iterable
import dataclasses
from typing import Any

from oslo_utils import strutils
from oslo_utils import uuidutils

from manageable_snapshots.api import request
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import reference

_SORT_KEYS = ('reference', 'size')
_SORT_DIRS = ('asc', 'desc')
_MAX_OFFSET = 0x7fffffff
_MAX_SIZE = 0x7fffffff
_LONGEST_NAME = 255

#: from this version on a cluster can be listed as well as a host
_CLUSTER_VERSION = (3, 17)


@dataclasses.dataclass(frozen=True)
class Query:
    """What part of what a backend holds is asked for, in which order.

    :ivar host: ``host@backend``, with or without ``#pool``, or None where
        there is a cluster
    :ivar cluster: ``cluster@backend``, likewise, or None where there is a
        host
    :ivar limit: most entries of the page
    :ivar is_limited: whether the client has set the limit
    :ivar marker: the page starts after this reference
    :ivar offset: entries to leave out after that
    :ivar sort_keys: of ``reference`` and ``size``, each once at most
    :ivar sort_dirs: of ``asc`` and ``desc``, one for each key
    :ivar marker_size: GiB, -1 for none, of the marker that ended a page
    :ivar source_name: what the snapshots' names begin with
    :ivar volume_id: whose snapshots they are
    :ivar safe_to_manage: what they are
    """

    host: str | None
    cluster: str | None
    limit: int
    is_limited: bool
    marker: reference.Reference | None
    offset: int
    sort_keys: list[str]
    sort_dirs: list[str]
    marker_size: int | None
    source_name: str | None
    volume_id: str | None
    safe_to_manage: bool | None


def parse(req: request.Request, max_limit: int) -> Query:
    """What a request's query string says.

    :param max_limit: highest limit; what is above it counts as this
    :raises Invalid: a value that cannot be
    """
    req.check_query()
    host, cluster = _host_or_cluster(req)
    limit = _limit(req, max_limit)
    marker = reference.parse_marker(_first(req, 'marker'))
    offset = _offset(req)
    sort_keys, sort_dirs = _sorting(req)
    return Query(
        host=host, cluster=cluster, limit=limit,
        is_limited='limit' in req.GET, marker=marker, offset=offset,
        sort_keys=sort_keys, sort_dirs=sort_dirs,
        marker_size=_marker_size(req), source_name=_source_name(req),
        volume_id=_volume_id(req), safe_to_manage=_safe_to_manage(req))


def _first(req: request.Request, name: str) -> str | None:
    """A parameter; the first of several, as Cinder reads it."""
    return next(iter(req.GET.getall(name)), None)


def _host_or_cluster(req: request.Request) -> tuple[str | None, str | None]:
    # Cinder reads the last of several, of these two only; and so does this.
    host = req.GET.get('host') or None
    cluster = req.GET.get('cluster') or None
    if req.api_version < _CLUSTER_VERSION:
        cluster = None
    if (host is None) == (cluster is None):
        raise exception.InvalidInput(reason=(
            _('Host field is missing.')
            if req.api_version < _CLUSTER_VERSION else
            _('One and only one of cluster and host must be set.')))
    return host, cluster


def _limit(req: request.Request, max_limit: int) -> int:
    value = _first(req, 'limit')
    try:
        limit = max_limit if value is None else int(value)
    except ValueError:
        raise exception.Invalid(_('limit param must be an integer')) from None
    if limit < 0:
        raise exception.Invalid(_('limit param must be positive'))
    return min(limit, max_limit)


def _offset(req: request.Request) -> int:
    value: Any = _first(req, 'offset')
    if value is None:
        return 0
    try:
        return strutils.validate_integer(value, 'offset', 0, _MAX_OFFSET)
    except ValueError as error:
        raise exception.Invalid(str(error)) from None


def _marker_size(req: request.Request) -> int | None:
    value: Any = _first(req, 'marker_size')
    if value is None:
        return None
    try:
        return strutils.validate_integer(value, 'marker_size', -1, _MAX_SIZE)
    except ValueError as error:
        raise exception.Invalid(str(error)) from None


def _source_name(req: request.Request) -> str | None:
    value = _first(req, 'source_name')
    if value is not None and not 0 < len(value) <= _LONGEST_NAME:
        raise exception.Invalid(
            _('source_name must have 1 to %d characters') % _LONGEST_NAME)
    return value


def _volume_id(req: request.Request) -> str | None:
    value = _first(req, 'volume_id')
    if value is not None and not uuidutils.is_uuid_like(value):
        raise exception.Invalid(_('volume_id must be the id of a volume'))
    return value


def _safe_to_manage(req: request.Request) -> bool | None:
    value = _first(req, 'safe_to_manage')
    try:
        return None if value is None else strutils.bool_from_string(
            value, strict=True)
    except ValueError:
        raise exception.Invalid(
            _('safe_to_manage must be true or false')) from None


def _sorting(req: request.Request) -> tuple[list[str], list[str]]:
    sort = _first(req, 'sort')
    key, direction = _first(req, 'sort_key'), _first(req, 'sort_dir')
    if sort is None:
        pairs = [('reference' if key is None else key.strip(),
                  'desc' if direction is None else direction.strip())]
    elif key is None and direction is None:
        parts = (part.partition(':') for part in sort.strip().split(','))
        pairs = [(name.strip(), (given or 'desc').strip())
                 for name, _colon, given in parts]
    else:
        raise exception.Invalid(
            _("The 'sort_key' and 'sort_dir' parameters are deprecated and "
              "cannot be used with the 'sort' parameter."))
    _refuse(_('Invalid sort keys passed: %s'),
            [name for name, _given in pairs], _SORT_KEYS)
    _refuse(_('Invalid sort dirs passed: %s'),
            [given for _name, given in pairs], _SORT_DIRS)
    # Only the first mention of a key can change the order.
    unique = dict(reversed(pairs))
    keys = list(dict.fromkeys(name for name, _given in pairs))
    return keys, [unique[name] for name in keys]


def _refuse(message: str, values: Iterable[str],
            known: Iterable[str]) -> None:
    unknown = [value for value in dict.fromkeys(values) if value not in known]
    if unknown:
        raise exception.Invalid(message % ', '.join(unknown))
