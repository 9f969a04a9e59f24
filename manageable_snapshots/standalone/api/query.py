# SPDX-License-Identifier: Apache-2.0

"""Read the query strings of volume and snapshot lists, in Cinder's terms."""

from collections.abc import Mapping
import dataclasses

from oslo_config import cfg
from oslo_utils import strutils

from manageable_snapshots.api import request
from manageable_snapshots import exception
from manageable_snapshots.i18n import _

_PAGING = ('limit', 'marker', 'all_tenants')


@dataclasses.dataclass(frozen=True)
class Page:
    """Which part of a list is asked for.

    :ivar limit: most rows
    :ivar marker: id of the row after which the page starts
    :ivar all_projects: the rows of every project, if the requester may
    :ivar filters: column → the value that it must have
    """

    limit: int
    marker: str | None
    all_projects: bool
    filters: dict[str, str]


def page(req: request.Request, conf: cfg.ConfigOpts,
         filters: Mapping[str, str]) -> Page:
    """What a list's query string asks for.

    :param filters: the list's filters: parameter → column
    :raises Invalid: a parameter that the list does not have, or a value that
        cannot be
    """
    req.check_query()
    unknown = [name for name in req.GET
               if name not in filters and name not in _PAGING]
    if unknown:
        raise exception.Invalid(
            _('Invalid filters %s are found in query options.')
            % ','.join(unknown))
    return Page(
        limit=_limit(req, conf.osapi_max_limit),
        marker=req.GET.get('marker'),
        # What is neither yes nor no counts as no, in Cinder too.
        all_projects=strutils.bool_from_string(req.GET.get('all_tenants')),
        filters={column: req.GET[name] for name, column in filters.items()
                 if name in req.GET})


def boolean(req: request.Request, name: str) -> bool:
    """A yes or no; no where it is not there.

    :raises InvalidParameterValue: it is neither
    """
    value = req.GET.get(name, 'no')
    try:
        return strutils.bool_from_string(value, strict=True)
    except ValueError:
        raise exception.InvalidParameterValue(
            err=_("Value '%(value)s' for '%(name)s' is not a boolean.") % {
                'value': value, 'name': name}) from None


def _limit(req: request.Request, highest: int) -> int:
    try:
        limit = int(req.GET.get('limit', highest))
    except ValueError:
        raise exception.Invalid(
            _('limit param must be an integer')) from None
    if limit < 0:
        raise exception.Invalid(_('limit param must be positive'))
    return min(limit, highest)
