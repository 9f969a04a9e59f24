# SPDX-License-Identifier: Apache-2.0

"""The HTTP server of the commands: waitress, with a stop that is clean."""

import ipaddress
import socket
import time
from typing import Any

from oslo_log import log
import waitress
from waitress import wasyncore

LOG = log.getLogger(__name__)

# A larger one is refused by waitress, which would otherwise store up to a GiB
# before the application, whose limit is the one that users meet, sees any.
_MAX_BODY = 1024 * 1024

_POLL_SECONDS = 1.0
_DRAIN_POLL_SECONDS = 0.05


class Server:
    """Listens from the start; answers while it runs.

    :param application: the WSGI application
    :param host: an address, or a name that resolves to one
    :param port: 0: a free one
    :param threads: requests that are answered at the same time
    :param max_headers: bytes of the headers of a request; more: 431
    :raises OSError: nobody can listen there
    """

    def __init__(self, application: Any, host: str, port: int,
                 threads: int, max_headers: int) -> None:
        family, _type, _proto, _name, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address, family=family)
        self.host, self.port = listener.getsockname()[:2]
        self._stopping = False
        self._map: dict[int, Any] = {}
        self._server = waitress.create_server(
            application, map=self._map, sockets=[listener], threads=threads,
            connection_limit=1000, max_request_body_size=_MAX_BODY,
            max_request_header_size=max_headers,
            # Whom to believe, http_proxy_to_wsgi decides.
            clear_untrusted_proxy_headers=False, ident=None)

    @property
    def url(self) -> str:
        """Where it is reached from this machine, without a slash."""
        address = ipaddress.ip_address(self.host)
        if address.is_unspecified:
            address = ipaddress.ip_address(
                '127.0.0.1' if address.version == 4 else '::1')
        host = f'[{address}]' if address.version == 6 else str(address)
        return f'http://{host}:{self.port}'

    def stop(self) -> None:
        """Make :meth:`run` return; from a signal handler or any thread."""
        if not self._stopping:
            self._stopping = True
            self._server.pull_trigger()

    def run(self, timeout: float | None) -> bool:
        """Answer until :meth:`stop`; then finish what is under way.

        :param timeout: seconds that requests under way have; None: no limit
        :returns: whether all of them were answered
        """
        while not self._stopping:
            self._poll(_POLL_SECONDS)
        # The server's own close() would close as well what its threads wake
        # this one with.
        wasyncore.dispatcher.close(self._server)
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._busy():
            if deadline is not None and time.monotonic() > deadline:
                LOG.warning('Requests are cut short.')
                return False
            self._poll(_DRAIN_POLL_SECONDS)
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._map)
        return True

    def _poll(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, count=1,
                       map=self._map)

    def _busy(self) -> bool:
        return any(channel.requests or channel.total_outbufs_len
                   for channel in list(self._server.active_channels.values()))
