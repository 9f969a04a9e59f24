# SPDX-License-Identifier: Apache-2.0

"""Servers that go away and come back.

They are those that ``tools/rig`` has started, on this machine. One that was
killed is started again as it was.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import signal
import socket
import subprocess

from manageable_snapshots.tests.integration.faults import deployment


class Server:
    """A process of a server.

    :param pid: its id
    :param folder: where ``tools/rig`` keeps it
    :param answers: whether it serves
    """

    def __init__(self, pid: int, folder: str,
                 answers: Callable[[], bool]) -> None:
        self._folder = folder
        self._pid = pid
        self._answers = answers

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """While it is there, but does nothing (SIGSTOP)."""
        os.kill(self._pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pid, signal.SIGCONT)

    @contextlib.contextmanager
    def killed(self) -> Iterator[None]:
        """While it is not there (SIGKILL)."""
        arguments, variables = command(self._pid), environ(self._pid)
        place = os.readlink(f'/proc/{self._pid}/cwd')
        os.kill(self._pid, signal.SIGKILL)
        deployment.wait_for(lambda: not _runs(self._pid))
        try:
            yield
        finally:
            # As it was: the rig is not the test's, and others need it.
            with open(os.path.join(self._folder, 'log'), 'a') as log:
                self._pid = subprocess.Popen(
                    arguments, env=variables, cwd=place,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True).pid
            with open(os.path.join(self._folder, 'pids'), 'a') as pids:
                pids.write(f'{self._pid} TERM\n')
            deployment.wait_for(self._answers)


def listener(port: int) -> int:
    """The process that listens on a port."""
    sockets = {f'socket:[{inode}]' for inode in _listening(port)}
    (pid,) = [int(entry) for entry in os.listdir('/proc') if entry.isdigit()
              and sockets & set(files(int(entry)))]
    return pid


def children(pid: int) -> set[int]:
    """The processes that a process has started, and that run."""
    return {int(entry) for entry in os.listdir('/proc') if entry.isdigit()
            and _runs(int(entry)) and _stat(int(entry))[1:2] == [str(pid)]}


def listens(port: int) -> bool:
    """Whether a server answers on a port."""
    try:
        with socket.create_connection(('127.0.0.1', port), timeout=1):
            return True
    except OSError:
        return False


def server(port: int, option: str) -> Server:
    """The server that listens on a port.

    :param option: of its command, that says where its data is
    """
    pid = listener(port)
    (data,) = [word.partition('=')[2] for word in command(pid)
               if word.startswith(f'{option}=')]
    return Server(pid, os.path.dirname(data), lambda: listens(port))


def command(pid: int) -> list[str]:
    return _strings(f'/proc/{pid}/cmdline')


def environ(pid: int) -> dict[str, str]:
    return dict(entry.split('=', 1)
                for entry in _strings(f'/proc/{pid}/environ'))


def files(pid: int) -> Iterator[str]:
    """What a process has open."""
    folder = f'/proc/{pid}/fd'
    with contextlib.suppress(OSError):
        for entry in os.listdir(folder):
            with contextlib.suppress(OSError):
                yield os.readlink(f'{folder}/{entry}')


def _listening(port: int) -> Iterator[str]:
    """Inodes of listening sockets."""
    with open('/proc/net/tcp') as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if fields[3] == '0A' and int(
                    fields[1].partition(':')[2], 16) == port:
                yield fields[9]


def _strings(path: str) -> list[str]:
    with open(path, 'rb') as file:
        return os.fsdecode(file.read()).split('\0')[:-1]


def _runs(pid: int) -> bool:
    """A zombie does not."""
    return _stat(pid)[:1] not in ([], ['Z'])


def _stat(pid: int) -> list[str]:
    """Its state, its parent, and more; nothing where it is not there."""
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()
    except OSError:
        return []
