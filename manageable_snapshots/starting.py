# SPDX-License-Identifier: Apache-2.0

"""Lazy initialisation, with retry, of the parts that run inside Cinder.

A part that cannot start leaves the rest of Cinder alone. The log has the
reason, and the start is retried after a pause.
"""

from collections.abc import Callable
import functools
import threading
import time
from typing import Any
from typing import Generic
from typing import TypeVar

from oslo_log import log as logging

from manageable_snapshots import exception

LOG = logging.getLogger(__name__)

#: seconds until a start that failed is tried again
PAUSE = 10

T = TypeVar('T')


@functools.cache
def warn_once(sentence: str) -> None:
    """Log a warning, unless this process has logged the same one before.

    For what concerns the whole process: a start is retried, and several
    parts read the same files.
    """
    LOG.warning('%s', sentence)


class Part(Generic[T]):
    """What is made when it is first asked for.

    :param start: makes it
    """

    def __init__(self, start: Callable[..., T]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._part: T | None = None
        self._failed_at: float | None = None

    def get(self, what: str, *args: Any) -> T | None:
        """The part; None: it cannot be made, now or a moment ago.

        :param what: says in the log what it is
        :param args: for ``start``
        """
        if self._part is None:
            with self._lock:
                if self._part is None and not self._is_pausing():
                    self._try_to_start(what, args)
        return self._part

    def _is_pausing(self) -> bool:
        return (self._failed_at is not None
                and time.monotonic() - self._failed_at < PAUSE)

    def _try_to_start(self, what: str, args: Any) -> None:
        try:
            self._part = self._start(*args)
        except Exception as error:
            self._failed_at = time.monotonic()
            LOG.error('Cannot start %s: %s', what,
                      ' '.join(str(error).split()),
                      exc_info=exception.is_unexpected(error))
        else:
            LOG.info('Started %s.', what)
