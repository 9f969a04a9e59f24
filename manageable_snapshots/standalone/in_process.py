# SPDX-License-Identifier: Apache-2.0

"""A driver for oslo.messaging that carries messages within one process.

For the server that is API and worker in one, and for tests. Like
oslo.messaging's own ``fake://``, but a message is taken when it comes instead
of at the next look at the queue, and two transports never share a queue.
Messages and errors are what they would be after a broker.
"""

import collections
import queue
import threading
import time
from typing import Any

from oslo_config import cfg
import oslo_messaging as messaging
from oslo_messaging._drivers import base
from oslo_messaging import transport
from oslo_serialization import jsonutils

from manageable_snapshots.rpc import transport as rpc_transport

#: messages that wait for one server
QUEUE_LENGTH = 10000

_Address = tuple[str, str | None]


class _Message(base.RpcIncomingMessage):
    """A request; its answer goes to a queue that the caller waits on."""

    def __init__(self, context: dict[str, Any], message: dict[str, Any],
                 replies: queue.SimpleQueue | None) -> None:
        super().__init__(context, message)
        self._replies = replies

    def reply(self, reply: Any = None, failure: Any = None) -> None:
        if self._replies is None:
            return
        if failure is not None:
            error = failure[1]
            self._replies.put(messaging.RemoteError(
                type(error).__name__, str(error), []))
        else:
            self._replies.put(_as_sent(reply))

    def requeue(self) -> None:
        raise NotImplementedError

    def heartbeat(self) -> None:
        pass


class _Listener(base.PollStyleListener):
    """Takes the messages of a few addresses."""

    def __init__(self, exchange: '_Exchange',
                 addresses: list[_Address]) -> None:
        super().__init__()
        self._exchange = exchange
        self._addresses = addresses
        self._stopped = threading.Event()

    @base.batch_poll_helper
    def poll(self, timeout: float | None = None) -> _Message | None:
        return self._exchange.take(self._addresses, self._stopped, timeout)

    def stop(self) -> None:
        self._stopped.set()
        self._exchange.wake()


class _Exchange:
    """Queues by topic and server, bounded."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queues: dict[_Address, collections.deque[_Message]] = (
            collections.defaultdict(collections.deque))

    def put(self, address: _Address, message: _Message) -> None:
        with self._changed:
            if len(self._queues[address]) >= QUEUE_LENGTH:
                raise messaging.MessageDeliveryFailure(
                    f'{QUEUE_LENGTH} messages wait for {address[0]}')
            self._queues[address].append(message)
            self._changed.notify_all()

    def take(self, addresses: list[_Address], stopped: threading.Event,
             timeout: float | None) -> _Message | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not stopped.is_set():
                for address in addresses:
                    if self._queues[address]:
                        return self._queues[address].popleft()
                left = None
                if deadline is not None:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return None
                self._changed.wait(left)
        return None

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


class Driver(base.BaseDriver):
    """Sends to and listens on queues of its own."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf, url=None)
        self._exchange = _Exchange()

    def require_features(self, requeue: bool = False) -> None:
        pass

    def send(self, target: messaging.Target, ctxt: dict[str, Any],
             message: dict[str, Any], wait_for_reply: bool | None = None,
             timeout: float | None = None,
             call_monitor_timeout: float | None = None,
             retry: int | None = None, transport_options: Any = None) -> Any:
        replies: queue.SimpleQueue | None = (
            queue.SimpleQueue() if wait_for_reply else None)
        self._exchange.put(
            (target.topic, target.server),
            _Message(_as_sent(ctxt), _as_sent(message), replies))
        if replies is None:
            return None
        try:
            reply = replies.get(timeout=timeout)
        except queue.Empty:
            raise messaging.MessagingTimeout(
                f'No reply on topic {target.topic}') from None
        if isinstance(reply, Exception):
            raise reply
        return reply

    def send_notification(self, target: messaging.Target,
                          ctxt: dict[str, Any], message: dict[str, Any],
                          version: float, retry: int | None = None) -> None:
        raise NotImplementedError

    def listen(self, target: messaging.Target, batch_size: int,
               batch_timeout: float | None) -> base.Listener:
        addresses = [(target.topic, target.server), (target.topic, None)]
        return base.PollStyleListenerAdapter(
            _Listener(self._exchange, addresses), batch_size, batch_timeout)

    def listen_for_notifications(self, targets_and_priorities: Any,
                                 pool: Any, batch_size: int,
                                 batch_timeout: float | None) -> None:
        raise NotImplementedError

    def cleanup(self) -> None:
        pass


class Transport(transport.RPCTransport):
    """A transport that has no broker.

    :param driver: a :class:`Driver`
    """

    has_broker = False


def get_transport(conf: cfg.ConfigOpts) -> Transport:
    """Return a transport that shares no queue with any other transport.

    A message that is sent before its server listens waits for the server.
    """
    rpc_transport.register_options(conf)
    return Transport(Driver(conf))


def _as_sent(value: Any) -> Any:
    """What a broker would hand over: a copy, and tuples are lists."""
    return jsonutils.loads(jsonutils.dumps(value))
