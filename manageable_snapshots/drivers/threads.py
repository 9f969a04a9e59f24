# SPDX-License-Identifier: Apache-2.0

"""Real threads for what blocks in C.

A service that eventlet has monkey-patched (cinder-volume up to release 28)
has green threads only, which a call into a C library that waits stops all
together. There the calls are made in threads of the operating system.

What runs in one must neither log nor take a lock, nor sleep: what those
modules use is patched, and made for green threads. It returns, or raises, and
leaves the rest to its caller.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterable
import importlib
import sys
import threading
import time
from typing import Any
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')

#: seconds without a result after which all threads are taken to block
_PAUSE = 1

#: threads of one map
_MOST = 512


def call(function: Callable[..., Result], *args: Any) -> Result:
    """Call a function that may block, without blocking other threads.

    :raises Exception: what it raises
    """
    if not _is_patched():
        return function(*args)
    # It calls directly where this is such a thread already.
    return importlib.import_module('eventlet.tpool').execute(function, *args)


def map(function: Callable[[Item], Result], items: Iterable[Item],
        threads: int, *, seconds: float | None = None,
        is_progress: Callable[[Result], bool] = lambda _result: True,
        ) -> list[Result | None]:
    """Call a function that may block with each item, several at once.

    After an error no further item is begun.

    :param threads: how many calls are made at the same time
    :param seconds: None: wait for all calls. Otherwise, more threads go on
        with the rest when no call has ended for a second, and what is not
        done after so many seconds in all is left as soon as no call ends
        for a second again
    :param is_progress: whether a result shows that the backend works. A call
        that waited in vain may end too
    :returns: the results, in the order of the items; None for an item that
        was not done in time, whose call may still go on
    :raises Exception: what the first call that failed has raised
    """
    return call(_map, function, collections.deque(enumerate(items)), threads,
                seconds, is_progress)


def _map(function: Callable[[Any], Any],
         todo: collections.deque[tuple[int, Any]],
         threads: int, seconds: float | None,
         is_progress: Callable[[Any], bool]) -> list[Any]:
    results: list[Any] = [None] * len(todo)
    errors: list[BaseException] = []
    # A deque and lists need no lock, which would be a green one.
    ended: list[int] = []
    useful: list[int] = []
    finished = _threading().Event()

    def work() -> None:
        while not errors:
            try:
                place, item = todo.popleft()
            except IndexError:
                return
            try:
                results[place] = result = function(item)
                if is_progress(result):
                    useful.append(place)
            except BaseException as error:
                errors.append(error)
            ended.append(place)
            if errors or len(ended) == len(results):
                finished.set()

    def start(number: int) -> list[Any]:
        started = [_threading().Thread(target=work, daemon=True)
                   for _worker in range(min(number, len(todo)))]
        for worker in started:
            worker.start()
        return started

    workers = start(threads)
    if seconds is None:
        for worker in workers:
            worker.join()
    elif workers:
        _wait(finished, useful, workers, start, time.monotonic() + seconds)
        # Nobody begins what is left; what is under way comes too late.
        todo.clear()
    if errors:
        raise errors[0]
    return list(results)


def _wait(finished: Any, useful: list[int], workers: list[Any],
          start: Callable[[int], list[Any]], deadline: float) -> None:
    """Wait until all calls have ended, or those left only block.

    :param useful: grows with each call that shows progress
    :param start: starts more threads
    :param deadline: monotonic seconds; it does not apply while calls
        make progress
    """
    before, blocked = 0, False
    while not (blocked and time.monotonic() >= deadline):
        left = deadline - time.monotonic()
        if finished.wait(min(_PAUSE, left) if blocked else _PAUSE):
            return
        blocked = len(useful) == before
        if blocked:
            workers += start(min(len(workers), _MOST - len(workers)))
        before = len(useful)


def _threading() -> Any:
    if not _is_patched():
        return threading
    return sys.modules['eventlet.patcher'].original('threading')


def _is_patched() -> bool:
    # Nobody but the service that has loaded it needs eventlet.
    patcher: Any = sys.modules.get('eventlet.patcher')
    return patcher is not None and patcher.is_monkey_patched('thread')
