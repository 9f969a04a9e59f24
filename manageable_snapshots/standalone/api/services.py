# SPDX-License-Identifier: Apache-2.0

"""Show which services there are, and which of them are up."""

from typing import Any

from manageable_snapshots.api import request
from manageable_snapshots.db import services
from manageable_snapshots.policies import volumes as rules
from manageable_snapshots.standalone.api import views


def index(app: Any, req: request.Request) -> dict[str, Any]:
    """GET: the services, of a ``binary`` or on a ``host``.

    A host without a backend, ``node1``, means all of its backends.
    """
    req.context.authorize(rules.SERVICE_GET_ALL)
    req.check_query()
    with app.database.reader(req.context) as session:
        rows = services.list_services(
            session, binary=req.GET.get('binary'), host=req.GET.get('host'))
        return {'services': [
            views.service(req, row, up=services.is_up(
                row, app.conf.service_down_time))
            for row in rows]}
