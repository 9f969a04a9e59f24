# SPDX-License-Identifier: Apache-2.0

"""Contexts and errors as Cinder knows them on the wire."""

import re
from typing import Any

import oslo_messaging as messaging

from manageable_snapshots import context as request_context
from manageable_snapshots import exception
from manageable_snapshots.i18n import _


_LISTS = ('roles', 'service_catalog')
_TEXTS = (
    'user', 'user_id', 'tenant', 'project_id', 'project_name', 'domain',
    'domain_id', 'user_domain', 'project_domain', 'remote_address',
    'timestamp', 'quota_class', 'request_id', 'global_request_id',
    'auth_token')

# Each log line has some of them, and more than a line is none.
_CONTROL = re.compile('[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')

#: characters; what Keystone has is a column's 255 at most, but for tokens
_LENGTH = 255
_TOKEN_LENGTH = 65536


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
            _check(context)
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


def _check(context: Any) -> None:
    """Look at what a producer says of itself, which may be anything.

    :raises ValueError: no context has it
    """
    if not isinstance(context, dict):
        raise TypeError(_('it is not an object'))
    for name in _TEXTS:
        value = context.get(name)
        if value is not None and not isinstance(value, str):
            raise TypeError(_('%s must be a string') % name)
        limit = _TOKEN_LENGTH if name == 'auth_token' else _LENGTH
        if value and (len(value) > limit or _CONTROL.search(value)):
            raise ValueError(_('%s is none') % name)
    for name in _LISTS:
        if not isinstance(context.get(name) or [], list):
            raise TypeError(_('%s must be a list') % name)
    for role in context.get('roles') or []:
        if (not isinstance(role, str) or len(role) > _LENGTH
                or _CONTROL.search(role)):
            raise ValueError(_('a role is none'))
    if not isinstance(context.get('is_admin'), (bool, type(None))):
        raise TypeError(_('is_admin must be true or false'))


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
