# SPDX-License-Identifier: Apache-2.0

"""Adoptions that wait for a thread, and take turns.

The database is where accepted adoptions are kept; this is only what one
process has taken up of them, so it may be bounded, and lost.

Projects take turns, so that one with a thousand adoptions does not hold up
another one's first. Where there is no room, the project that has most waiting
leaves its last one to the database.
"""

import collections
from collections.abc import Callable
import functools
import threading
import time

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

#: seconds after which an adoption that runs gets nowhere
HANGING = 600

#: does it, and returns whether it is settled: done, or failed for good
_Adopt = Callable[[], bool]


class Backlog:
    """Runs adoptions in a bounded number of threads, each snapshot once.

    Plain daemon threads, which start when there is work and end without work.
    A process that eventlet has patched makes green threads of them; a
    ThreadPoolExecutor would block it.

    :param threads: how many run at the same time
    :param limit: how many run or wait at most
    :param refill: puts adoptions that were left to the database; never
        raises. A thread calls it when nothing waits, something was left to
        the database, and an adoption was settled since the last refill. The
        last condition keeps a backend that is away from being asked without
        a pause.
    """

    def __init__(self, threads: int, limit: int,
                 refill: Callable[[], None]) -> None:
        self._threads = threads
        self._limit = limit
        self._refill = refill
        self._changed = threading.Condition()
        #: threads that have been started and have not ended
        self._working = 0
        self._taken: set[str] = set()
        #: those of them that run, and since when, monotonic seconds
        self._began: dict[str, float] = {}
        #: by project, whose turn it is first
        self._waiting: collections.OrderedDict[
            str, collections.deque[tuple[str, _Adopt]]
        ] = collections.OrderedDict()
        self._running = True
        #: since the last refill
        self._left_out = False
        self._settled = False

    def has(self, snapshot_id: str) -> bool:
        """Return whether an adoption runs or waits."""
        return snapshot_id in self._taken

    def put(self, snapshot_id: str, project_id: str, adopt: _Adopt) -> bool:
        """Take up an adoption.

        :returns: False: no room, or the process is stopping; it has to be
            taken up later
        """
        with self._changed:
            if snapshot_id in self._taken:
                return True
            if not self._running:
                return False
            if not self._make_room(project_id):
                self._left_out = True
                return False
            # First, so that nothing waits for a thread that cannot start.
            self._start_thread()
            self._taken.add(snapshot_id)
            self._waiting.setdefault(
                project_id, collections.deque()).append((snapshot_id, adopt))
        return True

    def gets_nowhere(self, snapshot_id: str) -> bool:
        """Whether an adoption hangs, or has no thread as all others hang."""
        before = time.monotonic() - HANGING
        with self._changed:
            if snapshot_id in self._began:
                return self._began[snapshot_id] <= before
            return (len(self._began) >= self._threads
                    and max(self._began.values()) <= before)

    def stop(self, timeout: float | None) -> bool:
        """Take up no more, and wait for what is running.

        :param timeout: seconds; None: as long as it takes
        :returns: whether all that was running has finished
        """
        with self._changed:
            self._running = self._left_out = False
            for waiting in self._waiting.values():
                self._taken.difference_update(
                    snapshot_id for snapshot_id, _adopt in waiting)
            self._waiting.clear()
            if self._taken:
                LOG.info('Waiting for the end of %d adoptions before the '
                         'stop.', len(self._taken))
            if not self._changed.wait_for(lambda: not self._taken, timeout):
                LOG.warning('%d adoptions are cut short; they are taken up '
                            'again at the next start.', len(self._taken))
                return False
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
        self._left_out = True
        LOG.info('The adoption of snapshot %s waits in the database.',
                 snapshot_id)
        return True

    def _start_thread(self) -> None:
        if self._working < self._threads:
            threading.Thread(
                target=self._work, name='adoption', daemon=True).start()
            self._working += 1

    def _work(self) -> None:
        while (work := self._next()) is not None:
            work()

    def _next(self) -> Callable[[], None] | None:
        """What a thread is to do; None: it ends."""
        with self._changed:
            if self._waiting:
                return self._whose_turn_it_is()
            if self._left_out and self._settled:
                self._left_out = self._settled = False
                return self._refill
            self._working -= 1
            return None

    def _whose_turn_it_is(self) -> Callable[[], None]:
        project_id, waiting = self._waiting.popitem(last=False)
        snapshot_id, adopt = waiting.popleft()
        self._began[snapshot_id] = time.monotonic()
        if waiting:
            # Behind the others.
            self._waiting[project_id] = waiting
        return functools.partial(self._run, snapshot_id, adopt)

    def _run(self, snapshot_id: str, adopt: _Adopt) -> None:
        settled = False
        try:
            settled = adopt()
        except BaseException:
            # The thread has others to do.
            LOG.exception('Adopting snapshot %s failed unexpectedly.',
                          snapshot_id)
        finally:
            with self._changed:
                del self._began[snapshot_id]
                self._taken.discard(snapshot_id)
                self._settled = self._settled or settled
                self._changed.notify_all()
