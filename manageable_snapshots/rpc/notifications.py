# SPDX-License-Identifier: Apache-2.0

"""Notifications about snapshots, with Cinder's event types and payloads.

Off unless ``[oslo_messaging_notifications] driver`` says otherwise, as in
Cinder.
"""

from collections.abc import Mapping
import queue
import threading
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
import oslo_messaging as messaging

from manageable_snapshots import context as request_context
from manageable_snapshots import exception
from manageable_snapshots.rpc import transport

LOG = logging.getLogger(__name__)

#: notifications that wait for the broker; further ones are dropped
QUEUE_LENGTH = 1000

_Notification = tuple[request_context.RequestContext, str, dict[str, Any]]


def snapshot_usage(row: Any, volume_row: Any,
                   metadata: Mapping[str, str]) -> dict[str, Any]:
    """The payload of a notification about a snapshot.

    ``deleted`` and ``metadata`` are strings, empty for False and for none,
    as consumers know them from Cinder.

    :param row: a row of ``snapshots``
    :param volume_row: its volume's
    :param metadata: the snapshot's
    """
    return {
        'tenant_id': row.project_id,
        'user_id': row.user_id,
        'availability_zone': volume_row.availability_zone,
        'volume_id': row.volume_id,
        'volume_size': row.volume_size,
        'snapshot_id': row.id,
        'display_name': row.display_name,
        'created_at': f'{row.created_at.isoformat()}+00:00',
        'status': row.status,
        'deleted': str(row.deleted) if row.deleted else '',
        'metadata': str(dict(metadata)) if metadata else '',
    }


class Notifier:
    """Sends notifications in their order, without keeping anyone waiting.

    :param conf: the configuration
    :param host: the backend, ``host@backend``
    :raises ConfigurationError: the broker's URL cannot be used
    """

    def __init__(self, conf: cfg.ConfigOpts, host: str) -> None:
        self._notifier = transport.get_notifier(conf, f'snapshot.{host}')
        self._waiting: queue.Queue[_Notification] = queue.Queue(QUEUE_LENGTH)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def is_on(self) -> bool:
        """Whether what there is to notify of is sent anywhere."""
        return self._notifier is not None

    def snapshot(self, context: request_context.RequestContext, event: str,
                 payload: dict[str, Any]) -> None:
        """Send a notification about a snapshot, at some time soon.

        :param event: what happened, ``manage_existing_snapshot.start`` say;
            ending in ``.error``, it goes out with that priority
        :param payload: of :func:`snapshot_usage`
        """
        if self._notifier is None:
            return
        self._start(self._notifier)
        try:
            self._waiting.put_nowait((context, f'snapshot.{event}', payload))
        except queue.Full:
            LOG.warning('Notification snapshot.%s of snapshot %s is dropped: '
                        '%d others wait for the broker.', event,
                        payload.get('snapshot_id'), QUEUE_LENGTH)

    def flush(self, timeout: float) -> bool:
        """Wait until everything was sent, or given up.

        :param timeout: seconds
        :returns: whether nothing is left
        """
        with self._waiting.all_tasks_done:
            return self._waiting.all_tasks_done.wait_for(
                lambda: not self._waiting.unfinished_tasks, timeout)

    def _start(self, notifier: messaging.Notifier) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._send, args=(notifier,),
                    name='notifications', daemon=True)
                self._thread.start()

    def _send(self, notifier: messaging.Notifier) -> None:
        while True:
            context, event, payload = self._waiting.get()
            try:
                send = (notifier.error if event.endswith('.error')
                        else notifier.info)
                send(context, event, payload)
            except Exception as error:
                LOG.warning('Notification %s of snapshot %s was not sent: %s',
                            event, payload.get('snapshot_id'), error,
                            exc_info=exception.is_unexpected(error))
            finally:
                self._waiting.task_done()
