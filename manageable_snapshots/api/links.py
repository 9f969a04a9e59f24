# SPDX-License-Identifier: Apache-2.0

"""The link from a page of a list to the next one."""

import json
import urllib.parse

from oslo_config import cfg

from manageable_snapshots.api import request
from manageable_snapshots import reference


def to_next(conf: cfg.ConfigOpts, req: request.Request,
            last: reference.Reference,
            size: int | None) -> list[dict[str, str]]:
    """The same request, for what comes after an entry.

    :param last: the page's last entry
    :param size: its size, GiB, which gives its place even if the
        snapshot has been deleted meanwhile
    """
    query = [(name, value) for name, value in req.GET.items()
             if name not in ('marker', 'marker_size', 'offset')]
    query.append(('marker', json.dumps(last)))
    query.append(('marker_size', str(-1 if size is None else size)))
    if 'offset' in req.GET:
        # openstacksdk sends what it has asked for with each page again,
        # unless the link has something else in its place.
        query.append(('offset', '0'))
    url = public(conf, req, req.path_info)
    return [{'rel': 'next',
             'href': f'{url}?{urllib.parse.urlencode(query)}'}]


def public(conf: cfg.ConfigOpts, req: request.Request, path: str) -> str:
    """The URL by which clients reach a path of this application.

    :param path: below the application
    """
    base = req.application_url
    if conf.public_endpoint:
        base = (conf.public_endpoint.rstrip('/')
                + urllib.parse.urlsplit(base).path)
    return base + urllib.parse.quote(path)
