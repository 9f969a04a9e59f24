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

"""The application: from a WSGI request to an answer."""

from collections.abc import Iterable
from typing import Any

import webob
import webob.exc
from oslo_config import cfg
from oslo_log import log
from oslo_policy import policy

from manageable_snapshots import exception
from manageable_snapshots.api import body
from manageable_snapshots.api import microversion
from manageable_snapshots.api import request
from manageable_snapshots.api import responses
from manageable_snapshots.api import urls
from manageable_snapshots.i18n import _

LOG = log.getLogger(__name__)


class Application:
    """Answers the URLs of a table.

    :param conf: the configuration
    :param database: where the rows are
    :param volume_client: how to reach the volume services
    :param enforcer: the policy, with this project's rules registered
    :param table: see :mod:`manageable_snapshots.api.urls`
    :param max_version: the newest microversion on offer
    """

    def __init__(self, conf: cfg.ConfigOpts, database: Any,
                 volume_client: Any, enforcer: policy.Enforcer,
                 table: Iterable[urls.Row] = urls.MANAGEABLE_SNAPSHOTS,
                 max_version: microversion.Version = microversion.MAX,
                 ) -> None:
        self.conf = conf
        self.database = database
        self.volume_client = volume_client
        self.enforcer = enforcer
        self.max_version = max_version
        self._router = urls.Router(table, conf.project_id_regex)

    def __call__(self, environ: dict[str, Any],
                 start_response: Any) -> Iterable[bytes]:
        req = request.Request(environ)
        try:
            response = self._answer(req)
        except exception.ManageableSnapshotsException as error:
            response = responses.from_exception(error)
        except Exception:
            LOG.exception('Unexpected error')
            response = responses.internal_error()
        responses.complete(req, response)
        return response(environ, start_response)

    def _answer(self, req: request.Request) -> webob.Response:
        match = self._router.match(req.path_info)
        if match is None:
            return webob.exc.HTTPNotFound()
        methods, path_args = match
        microversion.negotiate(req, self.max_version)
        if req.method not in methods:
            raise exception.MethodNotAllowed(req.method, sorted(methods))
        req.json = body.read(req, 114688,
                             self.conf.manageable_snapshots.max_json_depth)
        project_id = path_args.pop('project_id', None)
        if project_id not in (None, req.context.project_id):
            raise exception.Invalid(_('Malformed request url'))
        answer = methods[req.method](self, req, **path_args)
        if isinstance(answer, dict):
            return responses.json(answer)
        return answer
