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

"""Contexts and errors as Cinder knows them on the wire."""

from typing import Any

import oslo_messaging as messaging

from manageable_snapshots import context as request_context
from manageable_snapshots import exception
from manageable_snapshots.i18n import _


class RequestContextSerializer(messaging.NoOpSerializer):
    """Turns a RequestContext into a dict and back; the rest stays as it is."""

    def serialize_context(
            self, context: request_context.RequestContext) -> dict[str, Any]:
        return context.to_dict()

    def deserialize_context(
            self, context: dict[str, Any]) -> request_context.RequestContext:
        """The context of a request that came in.

        :raises ExpectedException: of InvalidInput, it is none
        """
        try:
            return request_context.RequestContext.from_dict(context)
        except (AttributeError, TypeError, ValueError) as error:
            raise expected(exception.InvalidInput(
                reason=_('the context of the request: %s') % error)) from None


class NotificationSerializer(RequestContextSerializer):
    """Leaves out of a context what a consumer has no use for.

    Some releases of oslo.messaging would send the user's token.
    """

    def serialize_context(
            self, context: request_context.RequestContext) -> dict[str, Any]:
        values = super().serialize_context(context)
        values.update(auth_token=None, service_catalog=[])
        return values


def expected(
        error: exception.ManageableSnapshotsException
) -> messaging.ExpectedException:
    """An error to raise as the answer to a request.

    oslo.messaging logs it at debug level, and no traceback goes with it.
    Everything that a request got wrong is InvalidInput on the wire, since
    Cinder's API answers that with 400 and anything else with 500.
    """
    if isinstance(error, exception.Invalid):
        error = exception.InvalidInput(message=error.msg)
    error.__cause__ = error.__context__ = None
    answer = messaging.ExpectedException()
    answer.exc_info = (type(error), error, None)
    return answer
