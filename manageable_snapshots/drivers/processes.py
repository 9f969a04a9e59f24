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


"""Commands that may never come back, and what is left of them."""

import contextlib
# For a type: commands are started by processutils, from lists of words.
import subprocess  # nosec B404
import threading
from typing import Any

from oslo_concurrency import processutils

from manageable_snapshots.i18n import _

#: commands of one runner that run at the same time, or that hang
AT_ONCE = 4


class Stuck(Exception):
    """A command did not end in time, or too many did not before it."""


class Runner:
    """Runs commands as root, a few at a time.

    A process that waits for a disk cannot be killed, nor can one of
    ``sudo``'s by the user who asked for it. So those that hang are counted,
    and a further command is refused while there are too many; they may end
    whenever they can.

    :param root_helper: what goes before a command unless this is root:
        ``sudo``, say
    """

    def __init__(self, root_helper: str) -> None:
        self._root_helper = root_helper
        self._slots = threading.Semaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._stuck: list[Any] = []

    def run(self, *command: str, seconds: int, harmless: bool) -> str:
        """Run a command, and wait for it.

        :param seconds: how long
        :param harmless: whether it may be killed when they are over; a
            command that changes something is left to come to its end
        :returns: what it wrote to its standard output
        :raises Stuck: it did not end in time
        :raises ProcessExecutionError: it ended with a status that is not 0
        :raises OSError: there is no such command
        """
        if self._hanging() >= AT_ONCE:
            raise Stuck(_('%s earlier commands still hang') % AT_ONCE)
        if not self._slots.acquire(timeout=seconds):
            raise Stuck(_('others took longer than %s seconds') % seconds)
        try:
            return self._run(command, seconds, harmless)
        finally:
            self._slots.release()

    def _run(self, command: tuple[str, ...], seconds: int,
             harmless: bool) -> str:
        started: list[Any] = []
        try:
            output, _errors = processutils.execute(
                *command, run_as_root=True, root_helper=self._root_helper,
                timeout=seconds, on_execute=started.append)
        except (processutils.ProcessExecutionError, OSError):
            raise
        except Exception as error:
            # Where eventlet has its own subprocess, its TimeoutExpired is
            # not the one that can be imported.
            if not started:
                raise
            self._give_up(started[0], harmless)
            raise Stuck(_('it took longer than %s seconds') % seconds
                        ) from error
        return str(output)

    def _give_up(self, process: 'subprocess.Popen[bytes]',
                 harmless: bool) -> None:
        if harmless:
            with contextlib.suppress(PermissionError):
                process.kill()
        with self._lock:
            self._stuck.append(process)

    def _hanging(self) -> int:
        with self._lock:
            self._stuck = [process for process in self._stuck
                           if process.poll() is None]
            return len(self._stuck)
