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
