# SPDX-License-Identifier: Apache-2.0

"""An answer for every request, whatever the middleware behind does."""

from collections.abc import Iterable
from typing import Any

from oslo_middleware import request_id

from manageable_snapshots.api import responses
from manageable_snapshots import context as request_context


class FaultWrapper:
    """Middleware that turns exceptions into Cinder's faults.

    :param application: what is behind
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any],
                 start_response: Any) -> Iterable[bytes]:
        # Until somebody is authenticated the log would go on to name the
        # request that this thread had before.
        request_context.RequestContext(
            request_id=environ.get(request_id.ENV_REQUEST_ID))
        try:
            return self._application(environ, start_response)
        except Exception as error:
            return responses.error(error)(environ, start_response)
