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

"""A request, with what this service adds to WebOb's."""

from typing import Any

import webob

from manageable_snapshots import context

ENV_CONTEXT = 'manageable_snapshots.context'


class Request(webob.Request):
    """What a handler is given.

    :ivar api_version: the microversion asked for, ``(3, N)``
    :ivar json: the body, parsed and within the limits of
        :mod:`manageable_snapshots.api.body`; None: there is none
    """

    api_version: tuple[int, int] | None = None
    json: Any = None

    @property
    def context(self) -> context.RequestContext:
        """Who asks; the authentication middleware has put it there."""
        return self.environ[ENV_CONTEXT]
