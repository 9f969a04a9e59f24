# SPDX-License-Identifier: Apache-2.0

"""A request, with what this service adds to WebOb's."""

from typing import Any

import webob

from manageable_snapshots import context
from manageable_snapshots import exception
from manageable_snapshots.i18n import _

#: where the authentication leaves the context in the WSGI environment
ENV_CONTEXT = 'manageable_snapshots.context'

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

    def check_query(self) -> None:
        """Raise Invalid if the query string has a NUL.

        No name or host has it, and not every database takes it. Handlers call
        this after they have authorized the caller.
        """
        if '%00' in self.query_string:
            raise exception.Invalid(_('Malformed request url'))

    @property
    def context(self) -> context.RequestContext:
        """The context of the caller."""
        return self.environ[ENV_CONTEXT]
