# SPDX-License-Identifier: Apache-2.0

"""Run LVM's commands for one volume group."""

from collections.abc import Callable
from collections.abc import Iterable
import os
import re
import time
from typing import Any
from typing import TypeVar

from oslo_concurrency import processutils
from oslo_log import log as logging

from manageable_snapshots.drivers.lvm import report as lvm_report
from manageable_snapshots.drivers import processes
from manageable_snapshots import exception
from manageable_snapshots.i18n import _

LOG = logging.getLogger(__name__)

Result = TypeVar('Result')

#: renames an LV: volume group, old name, new name
Rename = Callable[[str, str, str], object]

#: Seconds to wait for a device that is open. udev and blkid open each new or
#: changed device for a moment.
OPEN_SECONDS = 5

#: seconds between two looks at it
PAUSE = 0.5

# What LVM says of a device that is open. A name has no spaces.
_BUSY = re.compile('device or resource busy| in use|used by another device',
                   re.IGNORECASE)

# What LVM says where it does not get a lock: lvmlockd's or clvmd's of a host,
# a volume group or an LV, or its own in a file.
_LOCKED = re.compile(
    'lvmlockd|lock manager|lock (failed|skipped|is held)|failed (to )?lock|'
    'locking failed|locking on|locked by|held by|with incompatible mode|'
    'get lock for|flock failed|waiting for lock', re.IGNORECASE)


class Commands:
    """LVM's commands, run as root for one volume group.

    :param options: the backend's section of the configuration
    :param backend: its name
    """

    def __init__(self, options: Any, backend: str) -> None:
        self._options = options
        self._backend = backend
        self._group: str = options.volume_group
        self._seconds: int = options.lvm_command_timeout
        self._runner = processes.Runner(options.lvm_root_helper)
        self._cinders_rename: Rename | None = None

    def become_root_by(self, root_helper: str, rename: Rename) -> None:
        """Run commands in another way than the options say.

        For Cinder, whose rootwrap lets ``lvs`` pass and not ``lvrename``.

        :param root_helper: what goes before a command
        :param rename: raises ProcessExecutionError where LVM refuses, and
            anything else where it is not known what became of it
        """
        self._runner = processes.Runner(root_helper)
        self._cinders_rename = rename

    def report(self, command: str, kind: str,
               fields: Iterable[str]) -> list[lvm_report.Record]:
        """Run a command that reports, and return its rows.

        :param command: ``lvs``, say
        :param kind: ``lv``, say
        :raises ServiceUnavailable: LVM fails, or leaves out a field
        :raises BackendTimeout: LVM takes too long
        """
        output = self._run(command, *lvm_report.arguments(fields),
                           self._group, harmless=True)
        try:
            return lvm_report.parse(output, kind, fields)
        except ValueError as error:
            LOG.error('%s of volume group %s gives no usable report: %s',
                      command, self._group, error)
            raise exception.ServiceUnavailable(
                _('%(command)s gives no usable report of the volume group of '
                  'backend %(backend)s: %(reason)s.') % {
                      'command': command, 'backend': self._backend,
                      'reason': error}) from error

    def change(self, command: str, *arguments: str) -> None:
        """Run a command that changes something.

        :raises ServiceUnavailable: it fails
        :raises BackendTimeout: it takes too long
        """
        self._run(command, *arguments, harmless=False)

    def rename(self, old: str, new: str) -> bool:
        """Rename an LV.

        :returns: False: LVM refuses
        :raises ServiceUnavailable: LVM does not get a lock, or the outcome
            is unknown; a later attempt may succeed
        :raises BackendTimeout: it takes too long, likewise
        """
        try:
            _while_busy(self.lvrename, old, new)
        except processes.Stuck as error:
            raise self._too_slow('lvrename', error) from error
        except processutils.ProcessExecutionError as error:
            LOG.warning('LVM does not rename %s of volume group %s: %s', old,
                        self._group, _words(error))
            if processes.died(error) or _is_locked(error):
                raise self._in_trouble() from error
            return False
        except Exception as error:
            LOG.warning('It is unknown whether %s of volume group %s was '
                        'renamed to %s: %s', old, self._group, new,
                        _words(error))
            raise self._in_trouble() from error
        return True

    def lvrename(self, old: str, new: str) -> None:
        """Rename an LV by the command of that name, or by Cinder's call.

        :raises ProcessExecutionError: LVM refuses
        :raises Stuck: it takes too long
        :raises Exception: the outcome is unknown
        """
        if self._cinders_rename is None:
            self._execute('lvrename', self._group, old, new, harmless=False)
        else:
            self._runner.call(self._cinders_rename, self._group, old, new,
                              seconds=self._seconds)

    def _run(self, command: str, *arguments: str, harmless: bool) -> str:
        """Run a command, and return what it prints.

        :raises ServiceUnavailable: it fails
        :raises BackendTimeout: it takes too long
        """
        try:
            return _while_busy(self._execute, command, *arguments,
                               harmless=harmless)
        except processes.Stuck as error:
            raise self._too_slow(command, error) from error
        except (processutils.ProcessExecutionError, OSError) as error:
            LOG.error('%s fails for volume group %s: %s', command,
                      self._group, _words(error))
            raise self._in_trouble() from error

    def _execute(self, command: str, *arguments: str, harmless: bool) -> str:
        # The order is that of the filters of Cinder's rootwrap.
        environment = ['LC_ALL=C']
        file = self._options.lvm_conf_file
        if file and file.lower() != 'none' and os.path.isfile(file):
            environment.append(f'LVM_SYSTEM_DIR={os.path.dirname(file)}')
        if self._options.lvm_suppress_fd_warnings:
            environment.append('LVM_SUPPRESS_FD_WARNINGS=1')
        return self._runner.run('env', *environment, command, *arguments,
                                seconds=self._seconds, harmless=harmless)

    def _in_trouble(self) -> exception.ServiceUnavailable:
        return exception.ServiceUnavailable(
            _('The volume group of backend %s is in trouble; the log of the '
              'volume service has what LVM says.') % self._backend)

    def _too_slow(self, command: str,
                  error: Exception) -> exception.BackendTimeout:
        LOG.error('%s of volume group %s hangs: %s', command, self._group,
                  error)
        return exception.BackendTimeout(
            host=self._backend, seconds=self._seconds)


def _while_busy(function: Callable[..., Result], *args: Any,
                **options: Any) -> Result:
    """Call a function again while LVM finds a device open, for a while.

    :raises ProcessExecutionError: the device stays open, or another error
    """
    end = time.monotonic() + OPEN_SECONDS
    while True:
        try:
            return function(*args, **options)
        except processutils.ProcessExecutionError as error:
            if not _BUSY.search(_words(error)) or time.monotonic() > end:
                raise
        time.sleep(PAUSE)


def _is_locked(error: processutils.ProcessExecutionError) -> bool:
    """Return whether LVM failed because it did not get a lock."""
    return any(_LOCKED.search(line) for line in str(error.stderr).splitlines()
               if 'WARNING' not in line)


def _words(error: Exception) -> str:
    """What a command said, in a line."""
    return ' '.join(str(getattr(error, 'stderr', None) or error).split())
