# SPDX-License-Identifier: Apache-2.0

"""Links to volumes, and to the next page of a list of rows."""

import re
import urllib.parse

from oslo_config import cfg

from manageable_snapshots.api import links
from manageable_snapshots.api import request


def to_volume(conf: cfg.ConfigOpts, req: request.Request,
              volume_id: str) -> list[dict[str, str]]:
    """A volume's own link, and one to it without the API's version."""
    project_id = req.context.project_id or ''
    # The project is in the link where it is in the request.
    project = (f'/{project_id}'
               if req.path_info.startswith(f'/{project_id}/') else '')
    base = links.public(conf, req, '')
    path = f'{project}/volumes/{volume_id}'
    return [
        {'rel': 'self', 'href': base + path},
        {'rel': 'bookmark', 'href': re.sub(r'/v\d+$', '', base) + path},
    ]


def to_next(conf: cfg.ConfigOpts, req: request.Request,
            last_id: str) -> list[dict[str, str]]:
    """The same request, for what comes after a row.

    :param last_id: the id of the page's last row
    """
    query = [(name, value) for name, value in req.GET.items()
             if name != 'marker']
    query.append(('marker', last_id))
    url = links.public(conf, req, req.path_info)
    return [{'rel': 'next',
             'href': f'{url}?{urllib.parse.urlencode(query)}'}]
