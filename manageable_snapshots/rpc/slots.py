# SPDX-License-Identifier: Apache-2.0

"""How many requests to volume services are in progress."""

import collections
import threading

from oslo_log import log as logging

from manageable_snapshots import exception

LOG = logging.getLogger(__name__)


class Slots:
    """Requests in progress: only so many in all, and of each backend.

    :param most: in all
    :param most_of_one: of one backend
    """

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._counts: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()

    def take(self, queue: str) -> None:
        """Note that a request to a backend is in progress.

        :raises Busy: there are too many in all
        :raises VolumeServiceBusy: there are too many of this backend
        """
        with self._lock:
            if self._counts.total() >= self._most:
                LOG.error('%d requests to volume services are in progress; '
                          'refusing one to %s.', self._most, queue)
                raise exception.Busy()
            if self._counts[queue] >= self._most_of_one:
                LOG.warning('%d requests to %s are in progress; refusing '
                            'another one.', self._most_of_one, queue)
                raise exception.VolumeServiceBusy(service=queue)
            self._counts[queue] += 1

    def release(self, queue: str) -> None:
        """Note that a request has ended."""
        with self._lock:
            self._counts[queue] -= 1
            if not self._counts[queue]:
                del self._counts[queue]
