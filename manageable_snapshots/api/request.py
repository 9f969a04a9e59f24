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
from manageable_snapshots import exception

#: where the authentication leaves the context in the WSGI environment
ENV_CONTEXT = 'manageable_snapshots.context'

#: where there is a function ``(rule, target) -> bool`` that decides by the
#: policy whether the caller may do something
ENV_MAY = 'manageable_snapshots.may'

UNSETTLED = (0, 0)

#: ``Request.json`` of a request that has no body; ``null`` is one
NO_BODY: Any = type('NoBody', (), {'__repr__': lambda self: 'NO_BODY'})()


class Request(webob.Request):
    """What a handler is given.

    :ivar api_version: the microversion that is spoken, ``(3, N)``;
        :data:`UNSETTLED` before it is known
    :ivar json: the parsed body, or :data:`NO_BODY`; a handler reads it
        through :func:`validation.body`
    :ivar flaw: why the body is refused although it could be parsed; None:
        it is sound
    """

    api_version: tuple[int, int] = UNSETTLED
    json: Any = NO_BODY
    flaw: exception.MalformedRequestBody | None = None

    @property
    def context(self) -> context.RequestContext:
        """The context of the caller."""
        return self.environ[ENV_CONTEXT]

    def authorize(self, rule: str,
                  target: dict[str, Any] | None = None) -> None:
        """Raise unless the policy allows the caller what a rule guards.

        :param rule: the rule's name
        :param target: fields of the resource that the rule may refer to;
            None: the caller's own ``project_id`` and ``user_id``
        :raises PolicyNotAuthorized: the policy refuses
        """
        if not self.environ[ENV_MAY](rule, target):
            raise exception.PolicyNotAuthorized(action=rule)
