# SPDX-License-Identifier: Apache-2.0

"""Run commands that may hang, and end their processes."""

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import contextlib
# For a type: commands are started by processutils, from lists of words.
import subprocess  # nosec B404
import threading
from typing import Any
from typing import TypeVar

from oslo_concurrency import processutils
from oslo_log import log as logging

from manageable_snapshots.i18n import _

LOG = logging.getLogger(__name__)

Result = TypeVar('Result')

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
        #: of each command that hangs: whether it has ended by now
        self._stuck: list[Callable[[], bool]] = []
        #: the call that was given up last
        self._called: futures.Future[Any] = futures.Future()
        self._called.set_result(None)

    def run(self, *command: str, seconds: int, harmless: bool) -> str:
        """Run a command, and wait for it.

        :param seconds: how long
        :param harmless: whether it may be killed when they are over, and run
            once more if it dies of a signal; a command that changes something
            is left to come to its end
        :returns: what it wrote to its standard output
        :raises Stuck: it did not end in time
        :raises ProcessExecutionError: it ended with a status that is not 0
        :raises OSError: there is no such command
        """
        with self._slot(seconds):
            try:
                return self._run(command, seconds, harmless)
            except processutils.ProcessExecutionError as error:
                if not (harmless and died(error)):
                    raise
                LOG.warning('Running %s once more, which died with status '
                            '%s', ' '.join(command), error.exit_code)
            return self._run(command, seconds, harmless)

    def call(self, function: Callable[..., Result], *args: Any,
             seconds: int) -> Result:
        """Call a function that runs a command, and wait for it.

        It is counted as a command, and never interrupted.

        :param seconds: how long to wait
        :raises Stuck: it did not return in time, or the call before it has
            not returned yet: a service that runs the command for this one may
            have few threads
        :raises Exception: what it raises
        """
        with self._slot(seconds):
            if not self._called.done():
                raise Stuck(_('an earlier command still hangs'))
            outcome: futures.Future[Result] = futures.Future()
            thread = threading.Thread(
                target=_settle, args=(outcome, function, args), daemon=True)
            thread.start()
            thread.join(seconds)
            if not outcome.done():
                self._called = outcome
                self._give_up(outcome.done)
                raise Stuck(_('it took longer than %s seconds') % seconds)
            return outcome.result()

    @contextlib.contextmanager
    def _slot(self, seconds: int) -> Iterator[None]:
        """A context in which one of the few commands may run."""
        if self._hanging() >= AT_ONCE:
            raise Stuck(_('%s earlier commands still hang') % AT_ONCE)
        if not self._slots.acquire(timeout=seconds):
            raise Stuck(_('others took longer than %s seconds') % seconds)
        try:
            yield
        finally:
            self._slots.release()

    def _run(self, command: tuple[str, ...], seconds: int,
             harmless: bool) -> str:
        started: list['subprocess.Popen[bytes]'] = []
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
            [process] = started
            if harmless:
                with contextlib.suppress(PermissionError):
                    process.kill()
            self._give_up(lambda: process.poll() is not None)
            raise Stuck(_('it took longer than %s seconds') % seconds
                        ) from error
        return str(output)

    def _give_up(self, has_ended: Callable[[], bool]) -> None:
        with self._lock:
            self._stuck.append(has_ended)

    def _hanging(self) -> int:
        with self._lock:
            self._stuck = [has_ended for has_ended in self._stuck
                           if not has_ended()]
            return len(self._stuck)


def died(error: processutils.ProcessExecutionError) -> bool:
    """Return whether a command ended by a signal.

    The status is less than 0 then, or more than 128 where the command ran
    under a shell, ``sudo`` or ``rootwrap``.
    """
    return isinstance(error.exit_code, int) and not (
        0 <= error.exit_code <= 128)


def _settle(outcome: 'futures.Future[Result]',
            function: Callable[..., Result], args: tuple[Any, ...]) -> None:
    try:
        outcome.set_result(function(*args))
    except BaseException as error:
        outcome.set_exception(error)
