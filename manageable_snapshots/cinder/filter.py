# SPDX-License-Identifier: Apache-2.0

"""The extension inside ``cinder-api``: a paste filter before ``apiv3``.

It answers the extension's URLs and hands on every other request as it came.
Cinder's own filters before this one have authenticated the caller, and
Cinder's context decides what the caller may do: it knows all of Cinder's
rules, and the whole token. Nothing of Cinder is imported: its configuration
is oslo.config's, its context is in the request, and its newest microversion
is what it answers when asked.
"""

from collections.abc import Iterable
import functools
import json
from typing import Any

from oslo_config import cfg

from manageable_snapshots.api import app
from manageable_snapshots.api import microversion
from manageable_snapshots.api import request
from manageable_snapshots.api import responses
from manageable_snapshots.api import urls
from manageable_snapshots.cinder import lazy
from manageable_snapshots.conf import host
from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import schema
from manageable_snapshots import exception
from manageable_snapshots.policies import check
from manageable_snapshots.policies import manageable_snapshots as rules
from manageable_snapshots.rpc import client
from manageable_snapshots.rpc import transport

#: where Cinder's filters leave the context
_CINDER_CONTEXT = 'cinder.context'

#: what a path of the extension has in it
_WORDS = ('manageable_snapshots', 'os-snapshot-manage')


class Filter:
    """Middleware that answers what is the extension's.

    It starts with the first request of its own, so that what is wrong with
    it (an option, the database) is no trouble of Cinder's.

    :param application: the rest of Cinder
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        # As in ours, which is not there until it has started.
        self._router = urls.Router(
            urls.MANAGEABLE_SNAPSHOTS, cfg.CONF.project_id_regex)
        self._ours = lazy.Lazy(self._start)

    def __call__(self, environ: dict[str, Any],
                 start_response: Any) -> Iterable[bytes]:
        path = environ.get('PATH_INFO', '')
        for word in _WORDS:
            if word in path:
                break
        else:
            return self._application(environ, start_response)
        return self._answer(environ, start_response)

    def _answer(self, environ: dict[str, Any],
                start_response: Any) -> Iterable[bytes]:
        req = request.Request(environ)
        if self._router.match(req.path_info, req.method) is None:
            return self._application(environ, start_response)
        ours = self._ours.get('the manageable_snapshots filter', environ)
        if ours is None:
            unavailable = responses.error(exception.ServiceUnavailable())
            return unavailable(environ, start_response)
        caller = environ[_CINDER_CONTEXT]
        own = context.RequestContext.from_dict(caller.to_dict())
        own.may = functools.partial(_may, caller)
        environ[request.ENV_CONTEXT] = own
        return ours(environ, start_response)

    def _start(self, environ: dict[str, Any]) -> app.Application:
        conf = host.load(cfg.CONF)
        check.warn_in_cinder(conf)
        database = engine.Database(conf)
        schema.check(database, in_cinder=True)
        return app.Application(
            conf, database,
            client.VolumeClient(conf, transport.get_transport(conf)),
            urls.MANAGEABLE_SNAPSHOTS,
            _newest_version(self._application, environ))


def _may(caller: Any, rule: str, target: dict[str, Any] | None) -> bool:
    """Ask Cinder whether its policy allows the caller what a rule guards.

    Cinder lists for administrators only, whatever the policy says: its
    ``db.snapshot_get_all`` requires an administrator's context (release 29).

    :param caller: Cinder's context
    """
    if rule == rules.LIST_MANAGEABLE and not caller.is_admin:
        return False
    return bool(caller.authorize(rule, target, fatal=False))


def _newest_version(application: Any,
                    environ: dict[str, Any]) -> microversion.Version:
    """The newest microversion of the host: what it answers to ``/v3/``.

    :param environ: of a request that has come through the same filters
    """
    asked = request.Request.blank('/', base_url='http://localhost/v3')
    asked.environ[_CINDER_CONTEXT] = environ[_CINDER_CONTEXT]
    answer = json.loads(asked.get_response(application).body)
    versions = [version['version'].split('.')
                for version in answer['versions']
                if version['id'].startswith('v3')]
    return max((int(major), int(minor)) for major, minor in versions)
