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

"""Adoptions that wait for a thread, and take turns.

The database is where accepted adoptions are kept; this is only what one
process has taken up of them, so it may be bounded, and lost.

Projects take turns, so that one with a thousand adoptions does not hold up
another one's first. Where there is no room, the project that has most waiting
leaves its last one to the database.
"""

import collections
from collections.abc import Callable
from collections.abc import Mapping
import concurrent.futures
import threading
import time
from typing import Any

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

#: seconds after which an adoption that runs gets nowhere
HANGING = 600

_Waiting = tuple[str, Callable[[], Any]]


def gets_nowhere(began: Mapping[str, float], snapshot_id: str,
                 threads: int) -> bool:
    """Whether an adoption hangs, or all that are before it do.

    :param began: when each of those that run began, monotonic seconds
    :param threads: how many run at the same time
    """
    before = time.monotonic() - HANGING
    if snapshot_id in began:
        return began[snapshot_id] <= before
    return len(began) >= threads and max(began.values()) <= before


class Backlog:
    """Runs adoptions, each snapshot's once at a time.

    :param threads: how many run at the same time
    :param limit: how many run or wait at most
    """

    def __init__(self, threads: int, limit: int) -> None:
        self._threads = threads
        self._limit = limit
        self._pool = concurrent.futures.ThreadPoolExecutor(
            threads, thread_name_prefix='adoption')
        self._changed = threading.Condition()
        self._taken: set[str] = set()
        #: those of them that run, and since when
        self._began: dict[str, float] = {}
        #: by project, whose turn it is first
        self._waiting: collections.OrderedDict[
            str, collections.deque[_Waiting]] = collections.OrderedDict()
        self._running = True

    def put(self, snapshot_id: str, project_id: str,
            adopt: Callable[[], Any]) -> bool:
        """Take up an adoption.

        :param adopt: does it
        :returns: False: no room, or the process is stopping; it has to be
            taken up later
        """
        with self._changed:
            if snapshot_id in self._taken:
                return True
            if not self._running or not self._make_room(project_id):
                return False
            self._taken.add(snapshot_id)
            self._waiting.setdefault(
                project_id, collections.deque()).append((snapshot_id, adopt))
            self._pool.submit(self._next)
        return True

    def gets_nowhere(self, snapshot_id: str) -> bool:
        """Whether an adoption hangs, or has no thread as all others hang."""
        with self._changed:
            return gets_nowhere(self._began, snapshot_id, self._threads)

    def stop(self, timeout: float | None) -> bool:
        """Take up no more, and wait for what is running.

        :param timeout: seconds; None: as long as it takes
        :returns: whether all that was running has finished
        """
        with self._changed:
            self._running = False
            for waiting in self._waiting.values():
                self._taken.difference_update(
                    snapshot_id for snapshot_id, _adopt in waiting)
            self._waiting.clear()
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

    def _make_room(self, project_id: str) -> bool:
        if len(self._taken) < self._limit:
            return True
        if not self._waiting:
            return False
        mine = len(self._waiting.get(project_id, ()))
        most = max(self._waiting.values(), key=len)
        if len(most) <= mine + 1:
            return False
        snapshot_id, _adopt = most.pop()
        self._taken.discard(snapshot_id)
        LOG.info('The adoption of snapshot %s waits in the database.',
                 snapshot_id)
        return True

    def _next(self) -> None:
        """Run one adoption, of the project whose turn it is."""
        with self._changed:
            if not self._waiting:
                return
            project_id, waiting = self._waiting.popitem(last=False)
            snapshot_id, adopt = waiting.popleft()
            self._began[snapshot_id] = time.monotonic()
            if waiting:
                # Behind the others.
                self._waiting[project_id] = waiting
        try:
            adopt()
        except Exception:
            LOG.exception('Adopting snapshot %s failed unexpectedly.',
                          snapshot_id)
        finally:
            with self._changed:
                del self._began[snapshot_id]
                self._taken.discard(snapshot_id)
                self._changed.notify_all()
