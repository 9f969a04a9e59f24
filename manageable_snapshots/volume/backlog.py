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

"""Adoptions that wait for a thread.

The database is where accepted adoptions are kept; this is only what one
process has taken up of them, so it may be bounded, and lost.
"""

from collections.abc import Callable
import concurrent.futures
import functools
import threading
import time
from typing import Any

from oslo_log import log as logging

LOG = logging.getLogger(__name__)


class Backlog:
    """Runs adoptions, each snapshot's once at a time.

    :param threads: how many run at the same time
    :param limit: how many run or wait at most
    """

    def __init__(self, threads: int, limit: int) -> None:
        self._limit = limit
        self._pool = concurrent.futures.ThreadPoolExecutor(
            threads, thread_name_prefix='adoption')
        self._changed = threading.Condition()
        self._taken: set[str] = set()
        self._running = True

    def put(self, snapshot_id: str, adopt: Callable[[], Any]) -> bool:
        """Take up an adoption.

        :param adopt: does it
        :returns: False: no room, or the process is stopping; it has to be
            taken up later
        """
        with self._changed:
            if snapshot_id in self._taken:
                return True
            if not self._running or len(self._taken) >= self._limit:
                return False
            self._taken.add(snapshot_id)
            future = self._pool.submit(adopt)
        future.add_done_callback(functools.partial(self._done, snapshot_id))
        return True

    def has_room(self) -> bool:
        """Whether :meth:`put` would take one more."""
        with self._changed:
            return self._running and len(self._taken) < self._limit

    def stop(self, timeout: float | None) -> bool:
        """Take up no more, and wait for what is running.

        :param timeout: seconds; None: as long as it takes
        :returns: whether all that was running has finished
        """
        with self._changed:
            self._running = False
        self._pool.shutdown(wait=False, cancel_futures=True)
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self._taken:
                left = None if deadline is None else (
                    deadline - time.monotonic())
                if left is not None and left <= 0:
                    LOG.warning('%d adoptions are cut short; they are taken '
                                'up again at the next start.',
                                len(self._taken))
                    return False
                self._changed.wait(left)
        return True

    def _done(self, snapshot_id: str,
              future: concurrent.futures.Future[Any]) -> None:
        if not future.cancelled() and future.exception() is not None:
            LOG.error('Adopting snapshot %s failed unexpectedly.',
                      snapshot_id, exc_info=future.exception())
        with self._changed:
            self._taken.discard(snapshot_id)
            self._changed.notify_all()
