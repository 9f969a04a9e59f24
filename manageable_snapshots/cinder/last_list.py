# SPDX-License-Identifier: Apache-2.0

"""The last list of a driver of Cinder's, by which adoptions are judged."""

from collections.abc import Callable
import threading
import time

from manageable_snapshots.drivers import base
from manageable_snapshots import exception

#: how many times as long as a slow list took it is fresh
_KEEP_TIMES = 10

#: seconds that a slow list takes
_SLOW = 1


class LastList:
    """What a driver listed last, until the next list.

    A slow list is kept for longer, so that adoptions spend little of their
    time on lists.

    :param ask: returns the driver's whole list
    :param keep: seconds for which a list is fresh, at least
    :param timeout: seconds to wait for another thread's list
    """

    def __init__(self, ask: Callable[[], list[base.BackendSnapshot]],
                 keep: float, timeout: float) -> None:
        self._ask = ask
        self._keep = keep
        self._timeout = timeout
        self._asking = threading.Lock()
        self._guard = threading.Lock()
        self._entries: list[base.BackendSnapshot] = []
        #: adopted since the last list began, and when
        self._adopted: list[tuple[float, base.BackendSnapshot]] = []
        self._began = self._until = float('-inf')
        self._number = 0

    @property
    def exists(self) -> bool:
        """Whether the driver has ever listed, since :meth:`forget`."""
        return self._began != float('-inf')

    @property
    def is_fresh(self) -> bool:
        """Whether the list is young enough, or has just failed."""
        return time.monotonic() < self._until

    @property
    def entries(self) -> list[base.BackendSnapshot]:
        """The entries, and those of adoptions since."""
        with self._guard:
            return [*self._entries, *(entry for _at, entry in self._adopted)]

    def add(self, entry: base.BackendSnapshot) -> None:
        """Note that a snapshot has been adopted.

        :param entry: its entry, with ``cinder_id``
        """
        with self._guard:
            self._adopted.append((time.monotonic(), entry))

    def forget(self) -> None:
        """Forget the list, and the one that is being made."""
        with self._guard:
            self._number += 1
            self._entries, self._adopted = [], []
            self._began = self._until = float('-inf')

    def renew(self) -> list[base.BackendSnapshot]:
        """Ask the driver, and keep what it lists."""
        with self._guard:
            number, began = self._number, time.monotonic()
        try:
            entries = self._ask()
        except Exception:
            with self._guard:
                # Not again for each adoption.
                self._until = self._fresh_until(began)
            raise
        with self._guard:
            if number == self._number and began > self._began:
                self._entries, self._began = entries, began
                self._until = self._fresh_until(began)
                # A list that began before may not show them as managed.
                self._adopted = [each for each in self._adopted
                                 if each[0] >= began]
        return list(entries)

    def renew_once(self) -> None:
        """Ask the driver, unless another thread has asked since the call.

        :raises BackendTimeout: another thread's list takes too long
        """
        called = time.monotonic()
        if not self._asking.acquire(timeout=self._timeout):
            raise exception.BackendTimeout(
                'Another list of the driver takes longer than %s seconds.'
                % self._timeout)
        try:
            if self._began < called:
                self.renew()
        finally:
            self._asking.release()

    def _fresh_until(self, began: float) -> float:
        now = time.monotonic()
        took = now - began
        slow = _KEEP_TIMES * took if took >= _SLOW else 0
        return now + max(self._keep, slow)
