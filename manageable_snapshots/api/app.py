# SPDX-License-Identifier: Apache-2.0

"""The application: from a WSGI request to an answer."""

from collections.abc import Iterable
import threading
from typing import Any
import urllib.parse
from wsgiref import util

from oslo_config import cfg
from oslo_log import log
from oslo_middleware import opts as middleware_opts
import webob
import webob.exc

from manageable_snapshots.api import body
from manageable_snapshots.api import links
from manageable_snapshots.api import microversion
from manageable_snapshots.api import request
from manageable_snapshots.api import responses
from manageable_snapshots.api import urls
from manageable_snapshots.db import engine
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots.rpc import client

LOG = log.getLogger(__name__)

#: what stays as it is in a URL that goes into the log
_URL = "%/:?#[]@!$&'()*+,;= "


class Application:
    """Answers the URLs of a table.

    What does not depend on the request is made here, once.

    :param conf: the configuration
    :param database: where the rows are
    :param volume_client: the way to the volume services
    :param table: rows of :mod:`manageable_snapshots.api.urls`
    :param max_version: the newest microversion on offer
    """

    def __init__(self, conf: cfg.ConfigOpts, database: engine.Database,
                 volume_client: client.VolumeClient,
                 table: Iterable[urls.Row],
                 max_version: microversion.Version = microversion.MAX,
                 ) -> None:
        self.conf = conf
        self.database = database
        self.volume_client = volume_client
        self.max_version = max_version
        self._router = urls.Router(table, conf.project_id_regex)
        for group, options in middleware_opts.list_opts_sizelimit():
            conf.register_opts(options, group=group)
        self._max_body = conf.oslo_middleware.max_request_body_size
        self._max_depth = conf.manageable_snapshots.max_json_depth
        self._free = threading.BoundedSemaphore(
            conf.manageable_snapshots.concurrent_requests)

    def __call__(self, environ: dict[str, Any],
                 start_response: Any) -> Iterable[bytes]:
        req = request.Request(environ)
        try:
            response = self._answer_if_free(req)
        except Exception as error:
            response = responses.error(error)
        responses.complete(req, response)
        LOG.info('%s %s returned with HTTP %s', _one_line(req.method),
                 _one_line(util.request_uri(environ)), response.status_int)
        return response(environ, start_response)

    def _answer_if_free(self, req: request.Request) -> webob.Response:
        if not self._free.acquire(blocking=False):
            raise exception.Busy()
        try:
            return self._answer(req)
        finally:
            self._free.release()

    def _answer(self, req: request.Request) -> webob.Response:
        # Cinder refuses it before it settles the version.
        body.check_length(req, self._max_body)
        path = req.path_info
        if not path:
            return webob.Response(
                status=302, location=links.public(self.conf, req, '/'),
                content_type='text/plain')
        match = self._router.match(path, req.method)
        if match is None:
            return webob.exc.HTTPNotFound()
        methods, path_args = match
        microversion.negotiate(req, self.max_version)
        if req.method not in methods:
            raise exception.MethodNotAllowed(req.method, sorted(methods))
        handler = methods[req.method]
        if handler is None:
            raise exception.NotFound()
        if '\0' in path:
            # No id has it, and not every database takes it.
            raise exception.Invalid(_('Malformed request url'))
        try:
            req.json = body.read(req, self._max_body, self._max_depth)
        except body.Flawed as flaw:
            if req.method not in body.METHODS:
                raise
            req.json, req.flaw = flaw.value, flaw
        project_id = path_args.pop('project_id', None)
        if project_id and project_id != req.context.project_id:
            raise exception.Invalid(_('Malformed request url'))
        answer = handler(self, req, **path_args)
        return responses.json(answer) if isinstance(answer, dict) else answer


def _one_line(text: str) -> str:
    # A query string and a Host are what the client sent, unescaped.
    if text.isascii() and text.isprintable():
        return text
    return urllib.parse.quote(
        text, safe=_URL, encoding='latin-1', errors='replace')
