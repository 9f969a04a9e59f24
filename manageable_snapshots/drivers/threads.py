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
from typing import Any
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')


def call(function: Callable[..., Result], *args: Any) -> Result:
    """Call a function that may block, without blocking other threads.

    :raises Exception: what it raises
    """
    if not _is_patched():
        return function(*args)
    # It calls directly where this is such a thread already.
    return importlib.import_module('eventlet.tpool').execute(function, *args)


def map(function: Callable[[Item], Result], items: Iterable[Item],
        threads: int) -> list[Result]:
    """Call a function that may block with each item, several at once.

    After an error no further item is begun.

    :param threads: how many calls are made at the same time at most
    :returns: the results, in the order of the items
    :raises Exception: what the first call that failed has raised
    """
    return call(_map, function, collections.deque(enumerate(items)), threads)


def _map(function: Callable[[Any], Any],
         todo: collections.deque[tuple[int, Any]],
         threads: int) -> list[Any]:
    results: list[Any] = [None] * len(todo)
    errors: list[BaseException] = []

    def work() -> None:
        # A deque needs no lock, which would be a green one.
        while not errors:
            try:
                place, item = todo.popleft()
            except IndexError:
                return
            try:
                results[place] = function(item)
            except BaseException as error:
                errors.append(error)

    workers = [_threading().Thread(target=work, daemon=True)
               for _worker in range(min(threads, len(todo)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]
    return results


def _threading() -> Any:
    if not _is_patched():
        return threading
    return sys.modules['eventlet.patcher'].original('threading')


def _is_patched() -> bool:
    # Nobody but the service that has loaded it needs eventlet.
    patcher: Any = sys.modules.get('eventlet.patcher')
    return patcher is not None and patcher.is_monkey_patched('thread')
