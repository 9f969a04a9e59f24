# SPDX-License-Identifier: Apache-2.0

"""The documents by which clients find out which versions there are."""

from typing import Any

import webob

from manageable_snapshots.api import links
from manageable_snapshots.api import microversion
from manageable_snapshots.api import request
from manageable_snapshots.api import responses

_UPDATED = '2023-08-31T00:00:00Z'


def index(app: Any, req: request.Request) -> dict[str, Any]:
    """GET: the versions, below the one that the URL names."""
    return _document(app, links.public(app.conf, req, '/'))


def choices(app: Any, req: request.Request) -> webob.Response:
    """GET: the versions, below none of them."""
    return responses.json(
        _document(app, links.public(app.conf, req, '/v3/')), 300)


def _document(app: Any, url: str) -> dict[str, Any]:
    return {'versions': [{
        'id': 'v3.0',
        'status': 'CURRENT',
        'version': microversion.to_string(app.max_version),
        'min_version': microversion.to_string(microversion.MIN),
        'updated': _UPDATED,
        'links': [
            {'rel': 'describedby', 'type': 'text/html',
             'href': 'https://docs.openstack.org/'},
            {'rel': 'self', 'href': url},
        ],
        'media-types': [{
            'base': 'application/json',
            'type': 'application/vnd.openstack.volume+json;version=3',
        }],
    }]}
