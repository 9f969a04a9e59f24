# SPDX-License-Identifier: Apache-2.0

"""List the snapshots that a backend holds, and adopt one of them."""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import webob

from manageable_snapshots.api import adoption
from manageable_snapshots.api import backends
from manageable_snapshots.api import links
from manageable_snapshots.api import query
from manageable_snapshots.api import request
from manageable_snapshots.api import responses
from manageable_snapshots.api import schemas
from manageable_snapshots.api import validation
from manageable_snapshots.api import views
from manageable_snapshots.db import engine
from manageable_snapshots.db import services
from manageable_snapshots.db import volumes
from manageable_snapshots import hosts
from manageable_snapshots.policies import manageable_snapshots as rules
from manageable_snapshots import reference


def index(app: Any, req: request.Request) -> dict[str, Any]:
    """GET: what a backend holds."""
    return _list(app, req, views.summary)


def detail(app: Any, req: request.Request) -> dict[str, Any]:
    """GET: what a backend holds, with everything that is known of it."""
    return _list(app, req, views.detail)


def create(app: Any, req: request.Request) -> webob.Response:
    """POST: adopt a snapshot, which is not done yet when this answers."""
    wanted = validation.body(
        req, schemas.ADOPT, may_be_flawed=True)['snapshot']
    volume, service = adoption.authorize(
        app, req.context, wanted['volume_id'])
    # What Cinder lets pass is refused to those only who may adopt.
    validation.require_sound(req)
    snapshot = adoption.accept(
        app, req.context, volume, service, reference.parse(wanted['ref']),
        name=wanted.get('name'), description=wanted.get('description'),
        metadata=wanted.get('metadata') or {})
    return responses.accepted({'snapshot': snapshot})


def _list(app: Any, req: request.Request,
          view: Callable[[Mapping[str, Any]], dict[str, Any]],
          ) -> dict[str, Any]:
    req.context.authorize(rules.LIST_MANAGEABLE)
    wanted = query.parse(req, app.conf.osapi_max_limit)
    queue, filters = _look_up(app, req, wanted)
    page = app.volume_client.get_manageable_snapshots(
        req.context, queue, marker=wanted.marker,
        limit=wanted.limit, offset=wanted.offset,
        sort_keys=wanted.sort_keys, sort_dirs=wanted.sort_dirs,
        pool=hosts.pool(wanted.host or wanted.cluster or ''),
        filters=filters, marker_size=wanted.marker_size)
    answer: dict[str, Any] = {
        'manageable-snapshots': [view(entry) for entry in page]}
    # A full page may be the last one; then the next is empty. To ask for one
    # entry more would tell, but a worker knows a walk by where its pages end.
    #
    # A client that sets a limit gets a link on a page that is not full too:
    # without one, openstacksdk makes up a next page of its own, with no
    # marker, and takes that for an endless loop.
    if page and (len(page) == wanted.limit or wanted.is_limited):
        answer['manageable-snapshots_links'] = links.to_next(
            app.conf, req, page[-1].get('reference'), page[-1].get('size'))
    return answer


@engine.retry
def _look_up(app: Any, req: request.Request,
             wanted: query.Query) -> tuple[str, dict[str, Any]]:
    """The name of the backend that is to list, and its filters."""
    filters = {'source_name': wanted.source_name,
               'safe_to_manage': wanted.safe_to_manage}
    with app.database.reader(req.context) as session:
        queue = services.queue(backends.ready(
            session, app.conf, host=hosts.backend(wanted.host or ''),
            cluster=hosts.backend(wanted.cluster or '')))
        if wanted.volume_id is not None:
            filters['volume_id'] = volumes.get(
                session, req.context, wanted.volume_id).name_id
    return queue, {name: value for name, value in filters.items()
                   if value is not None}
