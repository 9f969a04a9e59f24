# SPDX-License-Identifier: Apache-2.0

"""Lazy initialisation, with retry, of the parts that run inside Cinder.

A part that cannot start leaves the rest of Cinder alone. The log has the
reason, and the start is retried after a pause.
"""

from collections.abc import Callable
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


class Lazy(Generic[T]):
    """A part that starts when it is first used.

    :param start: makes the part
    """

    def __init__(self, start: Callable[..., T]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._part: T | None = None
        self._failed_at: float | None = None

    def get(self, what: str, *args: Any) -> T | None:
        """Return the part, or None if it cannot start.

        A start that failed is not retried before :data:`PAUSE` has passed.

        :param what: the name of the part in the log
        :param args: arguments for ``start``
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
