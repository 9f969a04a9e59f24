# SPDX-License-Identifier: Apache-2.0

"""The worker's end: where a cinder-volume listens, and how errors go back."""

from collections.abc import Callable
from collections.abc import Sequence
import inspect
import threading
import time
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
import oslo_messaging as messaging
from oslo_messaging.rpc import dispatcher

from manageable_snapshots import context as request_context
from manageable_snapshots import exception
from manageable_snapshots import hosts
from manageable_snapshots.i18n import _
from manageable_snapshots.rpc import serializer
from manageable_snapshots.rpc import versions

LOG = logging.getLogger(__name__)


class Endpoint:
    """An endpoint whose errors are answers.

    Callers are told what concerns them, and no traceback; what is unexpected
    is logged here.

    :param endpoint: its methods that take a context first, and an argument
        for each of the message's, are those of the interface; ``target``
        says which version they have
    """

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint
        self.target = endpoint.target

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._endpoint, name)
        if not inspect.ismethod(method):
            raise AttributeError(name)
        signature = inspect.signature(method)
        if next(iter(signature.parameters), None) not in ('context', 'ctxt'):
            raise AttributeError(name)

        def call(context: request_context.RequestContext,
                 **arguments: Any) -> Any:
            try:
                signature.bind(context, **arguments)
            except TypeError as error:
                raise serializer.expected(exception.InvalidInput(
                    reason=f'{name}: {error}')) from None
            try:
                return method(context, **arguments)
            except exception.ManageableSnapshotsException as error:
                raise serializer.expected(error) from None
            except Exception:
                LOG.exception('%s failed.', name)
                raise serializer.expected(
                    exception.ManageableSnapshotsException()) from None
        return call


class _Interface(dispatcher.RPCAccessPolicyBase):
    """Keeps from callers what is there for oslo.messaging."""

    def is_allowed(self, endpoint: Any, method: str) -> bool:
        return method != 'target' and not method.startswith('_')


class Presence:
    """Answers where only a worker of this project listens.

    An API learns from it which of the two kinds of workers a backend has.
    """

    target = messaging.Target(version=versions.OWN_VERSION)

    def ping(self, ctxt: Any) -> bool:
        return True


class Servers:
    """The servers of one backend.

    :param create: makes them, not started
    :param timeout: seconds in which they are expected to listen
    """

    def __init__(self, create: Callable[[], Sequence[Any]],
                 timeout: float) -> None:
        self._create = create
        self._timeout = timeout
        self._servers: Sequence[Any] = []
        self._starting: threading.Thread | None = None
        self._listening = threading.Event()
        self._stopped = False

    def start(self) -> None:
        """Listen.

        Where the broker is away it goes on trying; to call this again is to
        wait for it again.

        :raises ServiceUnavailable: it does not listen yet
        """
        self._stopped = False
        if self._starting is None or not (
                self._starting.is_alive() or self._listening.is_set()):
            self._starting = threading.Thread(
                target=self._start, name='rpc-start', daemon=True)
            self._starting.start()
        self._starting.join(self._timeout)
        if not self._listening.is_set():
            raise exception.ServiceUnavailable(
                _('The message broker cannot be reached.'))

    def _start(self) -> None:
        started: list[Any] = []
        try:
            self._servers = self._create()
            for server in self._servers:
                server.start()
                started.append(server)
        except Exception as error:
            # A password that is wrong, say.
            LOG.error('Cannot listen for requests: %s', error,
                      exc_info=exception.is_unexpected(error))
            # The next attempt makes new ones, which these would rob of
            # messages. The one that failed listens to nothing, and
            # oslo.messaging waits for its start before it stops.
            for server in started:
                _stop(server)
            return
        self._listening.set()
        if self._stopped:
            self.stop(self._timeout)

    def stop(self, timeout: float | None) -> bool:
        """Take no more requests, and let those under way finish.

        :param timeout: seconds; None: as long as it takes
        :returns: whether all of them have finished
        """
        self._stopped = True
        if not self._listening.is_set():
            return True
        deadline = None if timeout is None else time.monotonic() + timeout
        threads = [
            threading.Thread(target=_stop, args=(server,), daemon=True)
            for server in self._servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(None if deadline is None else
                        max(0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)


def _stop(server: Any) -> None:
    try:
        server.stop()
        server.wait()
    except Exception as error:
        LOG.warning('A message server did not stop cleanly: %s', error,
                    exc_info=exception.is_unexpected(error))


def get_servers(conf: cfg.ConfigOpts, transport: messaging.Transport,
                host: str, endpoints: Sequence[Any],
                cluster: str | None = None) -> Servers:
    """Servers on every topic on which a cinder-volume listens, and our own.

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
    answers: list[tuple[messaging.Target, list[Any]]] = [
        (target, wrapped) for target in targets]
    answers.append((presence(cluster or host), [Presence()]))

    def create() -> list[Any]:
        return [
            messaging.get_rpc_server(
                transport, target, answering,
                serializer=serializer.RequestContextSerializer(),
                access_policy=_Interface)
            for target, answering in answers]

    return Servers(create, conf.manageable_snapshots.rpc_timeout)


def presence(queue: str) -> messaging.Target:
    """Where :class:`Presence` of a backend listens.

    :param queue: the name to which its messages are addressed,
        ``host@backend`` or ``cluster@backend``
    """
    return messaging.Target(topic=f'{versions.OWN_TOPIC}.{queue}',
                            server=hosts.host(queue))
