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

"""Requests to the volume services, each within its time.

oslo.messaging waits for a broker that is away as long as it takes, and for
one that hangs until its heartbeats are missed. Therefore every request runs
in a thread of its own, of which there are only so many, and who asked waits
no longer than configured.
"""

import concurrent.futures
import threading
import time
from collections.abc import Callable
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
from manageable_snapshots.rpc import versions

LOG = logging.getLogger(__name__)

#: requests under way at the same time, in one process. Fewer casts than
#: oslo.messaging has connections (rpc_conn_pool_size, 30): it waits for a
#: free one without a limit.
CASTS = 24
CALLS = 64

#: seconds between two attempts to reach the broker
_PAUSE = 0.2

#: most characters of a remote error's message that a user sees
_MESSAGE_LENGTH = 1000


class VolumeClient:
    """Asks volume services, ours or Cinder's.

    :param conf: the configuration
    :param transport: from ``transport.get_transport`` or ``in_process``
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 transport: messaging.Transport) -> None:
        self._conf = conf.manageable_snapshots
        target = messaging.Target(topic=versions.VOLUME_TOPIC,
                                  version=versions.BASE_VERSION)
        # An attempt ends with the first error; whether there is time for
        # another one is decided here. A message for a queue that does not
        # exist is an error.
        self._client = messaging.get_rpc_client(
            transport, target, retry=0,
            serializer=serializer.RequestContextSerializer(),
            transport_options=messaging.TransportOptions(at_least_once=True))
        self._casts = threading.BoundedSemaphore(CASTS)
        self._calls = threading.BoundedSemaphore(CALLS)

    def get_manageable_snapshots(
            self, context: request_context.RequestContext, queue: str, *,
            marker: Any, limit: int | None, offset: int | None,
            sort_keys: list[str],
            sort_dirs: list[str]) -> list[dict[str, Any]]:
        """A page of a backend's snapshots.

        :param queue: the backend or cluster, ``host@backend``
        :param marker: the reference after which the page starts
        :returns: dicts with ``reference``, ``source_reference``, ``size``
            (GiB), ``safe_to_manage``, ``reason_not_safe``, ``cinder_id``
            and ``extra_info``
        :raises InvalidInput: the backend says that the request is wrong
        :raises DriverCannot: the backend's driver cannot list
        :raises BackendTimeout: no answer within ``list_timeout``
        :raises ServiceUnavailable: no broker or no service is there
        """
        objects.refuse(marker)
        timeout = self._conf.list_timeout
        client = self._prepare(queue, versions.LIST_VERSION, timeout=timeout)
        reached = threading.Event()

        def call(deadline: float) -> Any:
            return client.call(
                context, 'get_manageable_snapshots', marker=marker,
                limit=limit, offset=offset, sort_keys=sort_keys,
                sort_dirs=sort_dirs, want_objects=True)

        try:
            entries = objects.plain(
                self._within(timeout, self._calls, call))
        except (messaging.MessagingTimeout, TimeoutError):
            raise exception.BackendTimeout(
                host=queue, seconds=timeout) from None
        except messaging.RemoteError as error:
            raise _translated(error.exc_type, error.value, queue) from None
        except NotImplementedError:
            raise _translated('NotImplementedError', '', queue) from None
        if not isinstance(entries, list) or not all(
                isinstance(entry, dict) for entry in entries):
            raise exception.ServiceUnavailable()
        return entries

    def manage_existing_snapshot(
            self, context: request_context.RequestContext, queue: str,
            snapshot: dict[str, Any], ref: Any) -> None:
        """Have a snapshot adopted.

        :param queue: the backend or cluster, ``host@backend``
        :param snapshot: from ``objects.snapshot``
        :param ref: the reference, an object or a string
        :raises InvalidInput: the reference cannot be sent
        :raises ServiceUnavailable: no broker or no service is there
        """
        objects.refuse(ref)
        self._cast(context, queue, 'manage_existing_snapshot',
                   snapshot=snapshot, ref=ref)

    def create_snapshot(
            self, context: request_context.RequestContext, queue: str,
            snapshot: dict[str, Any]) -> None:
        """Have a snapshot taken.

        :raises ServiceUnavailable: no broker or no service is there
        """
        self._cast(context, queue, 'create_snapshot', snapshot=snapshot)

    def delete_snapshot(
            self, context: request_context.RequestContext, queue: str,
            snapshot: dict[str, Any], unmanage_only: bool = False) -> None:
        """Have a snapshot deleted, or let go of.

        :raises ServiceUnavailable: no broker or no service is there
        """
        self._cast(context, queue, 'delete_snapshot', snapshot=snapshot,
                   unmanage_only=unmanage_only)

    def create_volume(
            self, context: request_context.RequestContext, queue: str,
            volume: dict[str, Any]) -> None:
        """Have a volume made.

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

        :raises ServiceUnavailable: no broker or no service is there
        """
        self._cast(context, queue, 'delete_volume', volume=volume,
                   unmanage_only=unmanage_only, cascade=cascade)

    def _prepare(self, queue: str, version: str, **options: Any) -> Any:
        backend = hosts.backend(queue)
        return self._client.prepare(
            topic=f'{versions.VOLUME_TOPIC}.{backend}',
            server=hosts.host(queue), version=version, **options)

    def _cast(self, context: request_context.RequestContext, queue: str,
              method: str, **arguments: Any) -> None:
        client = self._prepare(queue, versions.BASE_VERSION)
        seconds = self._conf.rpc_timeout

        def cast(deadline: float) -> None:
            while True:
                try:
                    return client.cast(context, method, **arguments)
                except messaging.MessagingException as error:
                    if time.monotonic() + _PAUSE >= deadline:
                        raise
                    LOG.info('%s is not reached yet: %s', queue, error)
                    time.sleep(_PAUSE)

        try:
            self._within(seconds, self._casts, cast)
        except (messaging.MessagingException, TimeoutError) as error:
            LOG.error('%s was not handed over to %s within %s seconds: %s',
                      method, queue, seconds, error or 'no answer')
            raise exception.ServiceUnavailable() from None

    def _within(self, seconds: float, slots: threading.BoundedSemaphore,
                function: Callable[[float], Any]) -> Any:
        """Run a function for at most so long.

        :param function: takes the time, monotonic, after which nobody waits
            for it
        :raises TimeoutError: it goes on without us
        :raises ServiceUnavailable: too many go on already
        """
        if not slots.acquire(blocking=False):
            raise exception.ServiceUnavailable()
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        deadline = time.monotonic() + seconds

        def run() -> None:
            try:
                future.set_result(function(deadline))
            except BaseException as error:
                future.set_exception(error)
            finally:
                slots.release()

        # A daemon, unlike the threads of an executor: the process must be
        # able to end while a broker hangs.
        threading.Thread(target=run, name='rpc', daemon=True).start()
        return future.result(seconds)


def _translated(name: str, message: str | None,
                queue: str) -> exception.ManageableSnapshotsException:
    """What a remote error means for who asked."""
    first = (message or '').strip().partition('\n')[0][:_MESSAGE_LENGTH]
    if name == 'NotImplementedError':
        return exception.DriverCannot(
            driver=_('of %s') % queue, what=_('list snapshots'))
    known = getattr(exception, name, None)
    if isinstance(known, type) and issubclass(
            known, exception.ManageableSnapshotsException) and first:
        return known(message=first)
    return exception.ManageableSnapshotsException()
