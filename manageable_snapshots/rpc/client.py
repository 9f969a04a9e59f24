# SPDX-License-Identifier: Apache-2.0

"""Requests to the volume services, each within its time.

oslo.messaging waits for a broker that is away as long as it takes, and for
one that hangs until heartbeats are missed. So every request runs in a thread
of its own, of which there are only so many, and who asked waits no longer
than configured.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import concurrent.futures
import dataclasses
import math
import threading
import time
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
import oslo_messaging as messaging

from manageable_snapshots import context as request_context
from manageable_snapshots import exception
from manageable_snapshots import hosts
from manageable_snapshots.i18n import _
from manageable_snapshots.rpc import objects
from manageable_snapshots.rpc import serializer
from manageable_snapshots.rpc import slots
from manageable_snapshots.rpc import transport as rpc_transport
from manageable_snapshots.rpc import versions

LOG = logging.getLogger(__name__)

#: seconds between two attempts to reach the broker; they double
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1

#: most characters of a remote error's message that a user sees
_MESSAGE_LENGTH = 1000

#: Seconds in which a worker of this project says that it is there. Where one
#: has ever been, the broker may keep its queue, and nothing else tells.
_SILENCE = 2

#: seconds for which a message is tried to be sent, whatever was waited before
_LEAST = 1

#: seconds for which it is known that there is one
_KNOWN = 10

#: The same while one is missed: a broker that goes and comes must not be
#: there for longer than this before the worker is found again.
_MISSED = 1

#: backends of which that is known at the same time
_BACKENDS = 1000

#: a topic that nobody listens to
_NOWHERE = 'manageable-snapshots-nowhere'


class _TooLate(Exception):
    """It was not done in time; it may be yet."""


@dataclasses.dataclass(frozen=True)
class _Known:
    """The kind of a worker, as last seen; times are monotonic.

    :ivar is_there: it is one of this project's
    :ivar carries_on: so was the last one, and it will be back
    :ivar until: when to ask again
    :ivar counted_on: until when it is, though it does not answer
    """

    is_there: bool
    carries_on: bool
    until: float
    counted_on: float


class VolumeClient:
    """Asks volume services, ours or Cinder's.

    ``queue`` arguments name the backend or cluster, ``host@backend``; a
    pool, ``host@backend#pool``, makes no difference there.

    :param conf: the configuration
    :param transport: from ``transport.get_transport`` or
        ``in_process.get_transport``
    :param threads: threads of the API process, if it is one of ours; lists
        leave a quarter of them to other requests, and those of one backend
        leave half of them
    """

    def __init__(self, conf: cfg.ConfigOpts, transport: messaging.Transport,
                 threads: int | None = None) -> None:
        self._rpc_timeout = conf.manageable_snapshots.rpc_timeout
        self._list_timeout = conf.manageable_snapshots.list_timeout
        # retry=0: an attempt ends with the first error; whether there is
        # time for another one is decided here.
        self._client = messaging.get_rpc_client(
            transport,
            messaging.Target(topic=versions.VOLUME_TOPIC,
                             version=versions.BASE_VERSION),
            retry=0, serializer=serializer.RequestContextSerializer())
        self._has_broker = rpc_transport.has_broker(transport)
        own = conf.manageable_snapshots
        self._casts = slots.Slots(
            own.concurrent_casts, max(1, own.concurrent_casts // 2))
        lists, of_one = (own.concurrent_lists,
                         own.concurrent_lists_per_backend)
        if threads is not None:
            lists = min(lists, max(1, threads * 3 // 4))
            of_one = min(of_one, max(1, threads // 2))
        self._calls = slots.Slots(lists, of_one)
        # A worker that died counts as up for so long.
        self._down_time = conf.service_down_time
        self._known: collections.OrderedDict[str, _Known] = (
            collections.OrderedDict())
        #: backends that are being asked
        self._asked: dict[str, concurrent.futures.Future[_Known]] = {}
        self._lock = threading.Lock()

    def get_manageable_snapshots(
            self, context: request_context.RequestContext, queue: str, *,
            marker: Any, limit: int | None, offset: int | None,
            sort_keys: list[str], sort_dirs: list[str],
            pool: str | None = None, filters: Mapping[str, Any] | None = None,
            marker_size: int | None = None) -> list[dict[str, Any]]:
        """A page of a backend's snapshots.

        :param marker: the reference after which the page starts
        :param pool: show only snapshots of this pool. Cinder's own worker
            ignores it and lists all
        :param filters: more that such a worker can go by: ``source_name``,
            ``volume_id``, ``safe_to_manage``
        :param marker_size: GiB, -1 for none: the marker was the last one of
            a page, and is to do even if it is gone. Likewise.
        :returns: dicts with ``reference``, ``source_reference``, ``size``
            (GiB), ``safe_to_manage``, ``reason_not_safe``, ``cinder_id``
            and ``extra_info``
        :raises Invalid: the backend says that the request is wrong, or
            cannot filter
        :raises DriverCannot: the backend's driver cannot list
        :raises BackendTimeout: no answer within ``list_timeout``
        :raises Busy: too many lists are in progress
        :raises ServiceUnavailable: no broker or no service is there
        """
        objects.refuse(marker)
        queue = hosts.backend(queue)
        arguments = {
            name: value for name, value in (
                ('pool', pool), ('marker_size', marker_size)
            ) if value is not None}
        arguments.update(filters or {})
        if arguments:
            known = self._find(queue)
            if not known.is_there:
                if filters and known.carries_on:
                    raise exception.VolumeServiceUnavailable(service=queue)
                if filters:
                    raise exception.InvalidInput(reason=_(
                        'the volume service of %(queue)s cannot filter by '
                        '%(filters)s') % {'queue': queue, 'filters': ', '.join(
                            sorted(filters))})
                arguments = {}
        # The wait for a slow backend is long; that for the broker is not.
        deadline = time.monotonic() + self._rpc_timeout
        self._hand_over(queue, lambda: self._reach_broker(deadline))
        entries = self._call(
            context, queue, 'get_manageable_snapshots',
            versions.LIST_VERSION, self._list_timeout, marker=marker,
            limit=limit, offset=offset, sort_keys=sort_keys,
            sort_dirs=sort_dirs, want_objects=True, **arguments)
        return _entries(entries, queue)

    def manage_existing_snapshot(
            self, context: request_context.RequestContext, queue: str,
            snapshot: dict[str, Any], ref: Any, waited: float = 0) -> None:
        """Have a snapshot adopted.

        :param snapshot: from ``objects.snapshot``
        :param ref: the reference, an object or a string
        :param waited: seconds that the caller has waited for
            :meth:`carries_on`; they are not waited again
        :raises InvalidInput: the reference cannot be sent
        :raises ServiceUnavailable: no broker or no service is there
        """
        objects.refuse(ref)
        seconds = max(self._rpc_timeout - waited,
                      min(_LEAST, self._rpc_timeout))
        self._cast(context, queue, 'manage_existing_snapshot', seconds,
                   snapshot=snapshot, ref=ref)

    def carries_on(self, queue: str) -> bool:
        """Whether the worker of a backend looks for adoptions left undone.

        One of this project's does, by the reference that was recorded with
        the row. Cinder's own would leave that where it is for ever.

        :returns: False also where it is not known; such a worker records
            the reference itself
        :raises ServiceUnavailable: no broker is there
        """
        return self._find(queue).carries_on

    def _find(self, queue: str) -> _Known:
        queue = hosts.backend(queue)
        if not self._has_broker:
            return _Known(True, True, math.inf, math.inf)
        with self._lock:
            known = self._known.get(queue)
            if known is not None and known.until > time.monotonic():
                return known
            asked = self._asked.get(queue)
            if asked is None:
                asking = self._asked[queue] = concurrent.futures.Future()
        if asked is not None:
            # Requests to a worker that hangs take one slot together.
            try:
                return asked.result(2 * self._rpc_timeout)
            except Exception:
                raise exception.VolumeServiceUnavailable(
                    service=queue) from None
        try:
            known = self._find_out(
                queue, known.counted_on if known else -math.inf)
            self._remember(queue, known)
            asking.set_result(known)
        except BaseException as error:
            asking.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._asked[queue]
        return known

    def _remember(self, queue: str, known: _Known) -> None:
        with self._lock:
            self._known[queue] = known
            self._known.move_to_end(queue)
            if len(self._known) > _BACKENDS:
                self._known.popitem(last=False)

    def _find_out(self, queue: str, counted_on: float) -> _Known:
        is_there = self._ask(queue)
        now = time.monotonic()
        if is_there:
            return _Known(True, True, now + _KNOWN, math.inf)
        # Only with a broker that is there can it be missed.
        counted_on = min(counted_on, now + self._down_time)
        if now < counted_on:
            # It may have died, and will be back. Or the broker has, which
            # has no queues then until the worker is connected again.
            return _Known(False, True, now + (
                _KNOWN if is_there is None else _MISSED), counted_on)
        return _Known(False, False, now + (
            self._down_time if is_there is None else _KNOWN), -math.inf)

    def _ask(self, queue: str) -> bool | None:
        """Whether a worker of this project is there.

        :returns: False: nobody listens; None: one has been, and does not
            answer
        """
        seconds = min(_SILENCE, self._rpc_timeout / 2)
        client = self._client.prepare(
            topic=f'{versions.OWN_TOPIC}.{queue}', server=hosts.host(queue),
            version=versions.OWN_VERSION, timeout=seconds,
            transport_options=messaging.TransportOptions(at_least_once=True))
        deadline = time.monotonic() + self._rpc_timeout

        def ask() -> bool | None:
            self._reach_broker(deadline)
            try:
                client.call(request_context.get_admin_context(), 'ping')
                return True
            except messaging.MessageUndeliverable:
                return False
            except Exception as error:
                LOG.debug('%s does not say whether it carries on: %s', queue,
                          error)
                return None

        return self._hand_over(queue, ask)

    def create_snapshot(
            self, context: request_context.RequestContext, queue: str,
            snapshot: dict[str, Any]) -> None:
        """Have a snapshot taken.

        :param snapshot: from ``objects.snapshot``
        :raises ServiceUnavailable: no broker or no service is there
        """
        self._cast(context, queue, 'create_snapshot', snapshot=snapshot)

    def delete_snapshot(
            self, context: request_context.RequestContext, queue: str,
            snapshot: dict[str, Any], unmanage_only: bool = False) -> None:
        """Have a snapshot deleted.

        :param snapshot: from ``objects.snapshot``
        :param unmanage_only: it stays on the backend
        :raises ServiceUnavailable: no broker or no service is there
        """
        self._cast(context, queue, 'delete_snapshot', snapshot=snapshot,
                   unmanage_only=unmanage_only)

    def create_volume(
            self, context: request_context.RequestContext, queue: str,
            volume: dict[str, Any]) -> None:
        """Have a volume made, on this backend and no other.

        :param volume: from ``objects.volume``
        :raises ServiceUnavailable: no broker or no service is there
        """
        self._cast(context, queue, 'create_volume', volume=volume,
                   request_spec=None, filter_properties=None,
                   allow_reschedule=False)

    def delete_volume(
            self, context: request_context.RequestContext, queue: str,
            volume: dict[str, Any], unmanage_only: bool = False,
            cascade: bool = False) -> None:
        """Have a volume deleted.

        :param volume: from ``objects.volume``
        :param unmanage_only: it stays on the backend
        :param cascade: its snapshots are deleted as well
        :raises ServiceUnavailable: no broker or no service is there
        """
        self._cast(context, queue, 'delete_volume', volume=volume,
                   unmanage_only=unmanage_only, cascade=cascade)

    def _prepare(self, queue: str, version: str, **options: Any) -> Any:
        # A message for a queue that does not exist is an error, else it
        # would vanish.
        return self._client.prepare(
            topic=f'{versions.VOLUME_TOPIC}.{hosts.backend(queue)}',
            server=hosts.host(queue), version=version,
            transport_options=messaging.TransportOptions(at_least_once=True),
            **options)

    def _cast(self, context: request_context.RequestContext, queue: str,
              method: str, seconds: float | None = None,
              **arguments: Any) -> None:
        client = self._prepare(queue, versions.BASE_VERSION)
        seconds = self._rpc_timeout if seconds is None else seconds
        deadline = time.monotonic() + seconds

        def cast() -> None:
            # Sent once: who gave up must not find it done twice, or late.
            # What came back may be sent again.
            for _attempt in _attempts(deadline):
                self._reach_broker(deadline)
                try:
                    client.cast(context, method, **arguments)
                    return
                except messaging.MessageUndeliverable as error:
                    LOG.debug('%s does not listen: %s', queue, error)
            raise _TooLate(f'{queue} does not listen')

        self._hand_over(hosts.backend(queue), cast, seconds)

    def _hand_over(self, queue: str, function: Callable[[], Any],
                   seconds: float | None = None) -> Any:
        seconds = self._rpc_timeout if seconds is None else seconds
        try:
            return self._within(seconds, self._casts, queue, function)
        except exception.ServiceUnavailable:
            raise
        except Exception as error:
            LOG.error('A request to %s was not handed over within %d '
                      'seconds: %s: %s', queue, seconds,
                      type(error).__name__, error,
                      exc_info=exception.is_unexpected(
                          error.__cause__ or error))
            raise exception.VolumeServiceUnavailable(
                service=queue) from None

    def _reach_broker(self, deadline: float) -> None:
        """See whether the broker takes messages; it throws this one away.

        So it is this one that stays with a broker which hangs, and that may
        be repeated where a connection has broken.

        :raises _TooLate: it does not
        """
        if not self._has_broker:
            return
        client = self._client.prepare(topic=_NOWHERE)
        context = request_context.get_admin_context()
        failure: Exception | None = None
        for _attempt in _attempts(deadline):
            try:
                client.cast(context, 'nothing')
            except Exception as error:
                # Of oslo.messaging, or of one of the libraries below it.
                failure = error
                LOG.debug('The message broker is not reached: %s', error)
                continue
            if time.monotonic() < deadline:
                return
        raise _TooLate('the message broker cannot be reached') from failure

    def _call(self, context: request_context.RequestContext, queue: str,
              method: str, version: str, seconds: int,
              **arguments: Any) -> Any:
        # The service says at half of this time that it is at work, else it
        # counts as dead.
        monitor = max(self._rpc_timeout, 2)
        client = self._prepare(
            queue, version, timeout=seconds,
            call_monitor_timeout=monitor if monitor < seconds else None)
        started = time.monotonic()

        def call() -> Any:
            try:
                return client.call(context, method, **arguments)
            except messaging.RemoteError as error:
                raise _translated(
                    error.exc_type, error.value, queue) from None
            except Exception as error:
                # Python's own exceptions are raised again as they were.
                if not type(error).__module__.startswith('builtins'):
                    raise
                raise _translated(
                    type(error).__name__, str(error), queue) from None

        try:
            return self._within(seconds + 1, self._calls, queue, call)
        except exception.ManageableSnapshotsException:
            raise
        except Exception as error:
            LOG.error('%s did not answer: %s: %s', queue,
                      type(error).__name__, error,
                      exc_info=exception.is_unexpected(error))
            if time.monotonic() - started >= seconds:
                raise exception.BackendTimeout(
                    host=queue, seconds=seconds) from None
            raise exception.VolumeServiceUnavailable(
                service=queue) from None

    def _within(self, seconds: float, room: slots.Slots, queue: str,
                function: Callable[[], Any]) -> Any:
        """Run a function, and wait for it at most so long.

        :raises _TooLate: it goes on without us
        :raises Busy: too many go on already
        :raises ServiceUnavailable: there is no thread for it
        """
        room.take(queue)
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def run() -> None:
            try:
                future.set_result(function())
            except Exception as error:
                future.set_exception(error)
            finally:
                room.release(queue)

        # A daemon, unlike the threads of an executor: the process must be
        # able to end while the broker hangs.
        try:
            threading.Thread(target=run, name='rpc', daemon=True).start()
        except RuntimeError as error:
            room.release(queue)
            LOG.error('No thread for a request: %s', error)
            raise exception.ServiceUnavailable() from None
        concurrent.futures.wait([future], seconds)
        if not future.done():
            raise _TooLate(f'no reply after {seconds} seconds')
        return future.result()


def _attempts(deadline: float) -> Iterator[None]:
    """Yields at once, and again after ever longer pauses."""
    pause = _FIRST_PAUSE
    while True:
        yield
        if time.monotonic() + pause >= deadline:
            return
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _entries(value: Any, queue: str) -> list[dict[str, Any]]:
    try:
        entries = objects.plain(value)
    except exception.InvalidInput:
        entries = None
    if not isinstance(entries, list) or not all(
            isinstance(entry, dict)
            and isinstance(entry.get('reference'), dict)
            for entry in entries):
        LOG.error('%s answered a list request with an invalid reply.', queue)
        raise _failed(queue)
    return entries


def _failed(queue: str) -> exception.ManageableSnapshotsException:
    return exception.ManageableSnapshotsException(
        message=_('The backend %s could not list its snapshots.') % queue)


def _translated(name: str, message: str | None,
                queue: str) -> exception.ManageableSnapshotsException:
    """What a remote error means for who asked; a sentence, no traceback."""
    LOG.info('%s answered with %s: %s', queue, name, message)
    if name == 'NotImplementedError':
        return exception.DriverCannot(
            driver=_('of %s') % queue, what=_('list snapshots'))
    known = getattr(exception, name, None)
    if not isinstance(known, type):
        return _failed(queue)
    line = (message or '').strip().partition('\n')[0][:_MESSAGE_LENGTH]
    if issubclass(known, exception.ServiceUnavailable) and (
            not line or line == exception.ServiceUnavailable.message):
        line = _('The backend %s is unavailable at this time.') % queue
    if line and queue not in line and not issubclass(
            known, exception.Invalid):
        line = f'{queue}: {line}'
    if line and issubclass(known, (exception.Invalid,
                                   exception.ServiceUnavailable,
                                   exception.BackendTimeout)):
        return known(message=line)
    return _failed(queue)
