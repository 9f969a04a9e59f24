# SPDX-License-Identifier: Apache-2.0

"""Reports of backend capabilities to Cinder's schedulers.

A scheduler chooses only among backends that reported lately. Without a
scheduler, a message to all of them is dropped.
"""

import threading
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
import oslo_messaging as messaging
from oslo_utils import timeutils

from manageable_snapshots import context as request_context
from manageable_snapshots import exception
from manageable_snapshots.rpc import serializer
from manageable_snapshots.rpc import transport as rpc_transport
from manageable_snapshots.rpc import versions

LOG = logging.getLogger(__name__)


class SchedulerClient:
    """Casts to the schedulers, one at a time.

    :param conf: the configuration
    :param transport: from ``transport.get_transport``, or from
        ``in_process.get_transport``, where there is nobody to be told
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 transport: messaging.Transport) -> None:
        self._has_broker = rpc_transport.has_broker(transport)
        self._client = messaging.get_rpc_client(
            transport,
            messaging.Target(topic=versions.SCHEDULER_TOPIC,
                             version=versions.SCHEDULER_VERSION),
            retry=0, serializer=serializer.RequestContextSerializer())
        self._free = threading.Lock()

    def update_service_capabilities(self, host: str,
                                    capabilities: dict[str, Any]) -> None:
        """Tell every scheduler, without waiting for it.

        What cannot be sent is left out: it is told again soon.

        :param host: the backend, ``host@backend``
        :param capabilities: the driver's ``get_volume_stats``
        """
        if not self._has_broker or not self._free.acquire(blocking=False):
            return
        threading.Thread(
            target=self._send, args=(host, capabilities),
            name='capabilities', daemon=True).start()

    def _send(self, host: str, capabilities: dict[str, Any]) -> None:
        try:
            self._client.prepare(fanout=True).cast(
                request_context.get_admin_context(),
                'update_service_capabilities', service_name='volume',
                host=host, capabilities=capabilities, cluster_name=None,
                timestamp=timeutils.utcnow().strftime(
                    timeutils.PERFECT_TIME_FORMAT))
        except Exception as error:
            LOG.warning('The schedulers are not told what %s offers: %s',
                        host, error,
                        exc_info=exception.is_unexpected(error))
        finally:
            self._free.release()
