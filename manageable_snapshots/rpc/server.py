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

"""The worker's end: where a cinder-volume listens, and how errors go back."""

import inspect
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
import oslo_messaging as messaging
from oslo_messaging.rpc import dispatcher

from manageable_snapshots import exception
from manageable_snapshots import hosts
from manageable_snapshots.i18n import _
from manageable_snapshots.rpc import serializer
from manageable_snapshots.rpc import versions

LOG = logging.getLogger(__name__)


class Endpoint:
    """An endpoint whose errors are answers.

    Callers are told what concerns them, and no traceback; what is unexpected
    is logged here. Everything that a request got wrong goes out as
    InvalidInput, since that is what Cinder's API answers with 400.

    :param endpoint: has a method for each of the interface's, and
        ``target``
    """

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint
        self.target = endpoint.target

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._endpoint, name)
        if not inspect.ismethod(method):
            raise AttributeError(name)

        def call(context: Any, **arguments: Any) -> Any:
            try:
                inspect.signature(method).bind(context, **arguments)
            except TypeError as error:
                raise _expected(exception.InvalidInput(
                    reason=_('%(method)s: %(error)s') % {
                        'method': name, 'error': error})) from None
            try:
                return method(context, **arguments)
            except exception.Invalid as error:
                raise _expected(
                    exception.InvalidInput(message=error.msg)) from None
            except exception.ManageableSnapshotsException as error:
                raise _expected(type(error)(message=error.msg)) from None
            except Exception:
                LOG.exception('%s failed.', name)
                raise _expected(
                    exception.ManageableSnapshotsException()) from None
        return call


def _expected(error: Exception) -> messaging.ExpectedException:
    wrapped = messaging.ExpectedException()
    wrapped.exc_info = (type(error), error, None)
    return wrapped


class Servers:
    """The servers of one backend.

    :param servers: of oslo.messaging, not started
    """

    def __init__(self, servers: Sequence[Any]) -> None:
        self._servers = list(servers)

    def start(self) -> None:
        """Listen; waits for the broker as long as it is away."""
        for server in self._servers:
            server.start()

    def stop(self, timeout: float) -> bool:
        """Take no more requests, and let those under way finish.

        :param timeout: seconds
        :returns: whether all of them have finished
        """
        deadline = time.monotonic() + timeout
        threads = [threading.Thread(target=_stop, args=(server,), daemon=True)
                   for server in self._servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)


def _stop(server: Any) -> None:
    try:
        server.stop()
        server.wait()
    except Exception as error:
        LOG.warning('A message server did not stop cleanly: %s', error)


def get_servers(conf: cfg.ConfigOpts, transport: messaging.Transport,
                host: str, endpoints: Sequence[Any],
                cluster: str | None = None) -> Servers:
    """Servers on every topic on which a cinder-volume listens.

    :param conf: the configuration
    :param host: the backend, ``host@backend``
    :param endpoints: what answers; each has ``target``
    :param cluster: the backend's cluster, ``cluster@backend``
    """
    topic = versions.VOLUME_TOPIC
    targets = [
        messaging.Target(topic=topic, server=host),
        messaging.Target(topic=f'{topic}.{host}', server=hosts.host(host)),
    ]
    if cluster:
        targets.append(messaging.Target(
            topic=f'{topic}.{cluster}', server=hosts.host(cluster)))
    wrapped = [Endpoint(endpoint) for endpoint in endpoints]
    return Servers([
        messaging.get_rpc_server(
            transport, target, wrapped,
            serializer=serializer.RequestContextSerializer(),
            access_policy=dispatcher.DefaultRPCAccessPolicy)
        for target in targets])
