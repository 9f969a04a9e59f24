# SPDX-License-Identifier: Apache-2.0

"""Authentication middleware that builds the context of each request."""

from collections.abc import Iterable
import functools
import json
from typing import Any

from oslo_policy import policy
import webob.exc

from manageable_snapshots.api import request
from manageable_snapshots import context as request_context
from manageable_snapshots import policies

#: what Cinder keeps of a catalog, to send it along
_CATALOG_TYPES = ('identity', 'compute', 'object-store', 'image',
                  'key-manager')


class NoAuth:
    """No-auth middleware: every caller is an administrator. For testing only.

    ``X-Auth-Token`` is ``user:project``, as in Cinder. Without it both are
    ``admin``.

    :param application: the application that the request goes to
    :param enforcer: decides what the caller may do
    """

    def __init__(self, application: Any, enforcer: policy.Enforcer) -> None:
        self._application = application
        self._enforcer = enforcer

    def __call__(self, environ: dict[str, Any],
                 start_response: Any) -> Iterable[bytes]:
        token = environ.get('HTTP_X_AUTH_TOKEN') or 'admin'
        user_id, _colon, project_id = token.partition(':')
        context = _context(
            environ, user_id=user_id, project_id=project_id or user_id,
            roles=['admin', 'member', 'reader'], is_admin=True)
        context.may = functools.partial(policies.may, self._enforcer, context)
        environ[request.ENV_CONTEXT] = context
        return self._application(environ, start_response)


class KeystoneContext:
    """Middleware that reads what keystonemiddleware's auth_token has found.

    :param application: the application that the request goes to
    :param enforcer: decides what the caller may do, and who is an
        administrator
    """

    def __init__(self, application: Any, enforcer: policy.Enforcer) -> None:
        self._application = application
        self._enforcer = enforcer

    def __call__(self, environ: dict[str, Any],
                 start_response: Any) -> Iterable[bytes]:
        context = _context(
            environ, service_catalog=_catalog(environ),
            project_name=environ.get('HTTP_X_PROJECT_NAME'))
        if context.user_id is None:
            return webob.exc.HTTPUnauthorized()(environ, start_response)
        context.is_admin = policies.is_admin(self._enforcer, context)
        context.may = functools.partial(policies.may, self._enforcer, context)
        environ[request.ENV_CONTEXT] = context
        return self._application(environ, start_response)


def _context(environ: dict[str, Any],
             **values: Any) -> request_context.RequestContext:
    return request_context.RequestContext.from_environ(
        environ, remote_address=environ.get('REMOTE_ADDR'), **values)


def _catalog(environ: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        catalog = json.loads(environ.get('HTTP_X_SERVICE_CATALOG') or '[]')
    except ValueError:
        return []
    return [service for service in catalog
            if service.get('type') in _CATALOG_TYPES]
