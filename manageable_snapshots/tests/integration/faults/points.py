# SPDX-License-Identifier: Apache-2.0

"""Where a process can be made to die while a snapshot is adopted.

Run as a module it is one of the project's commands, whose functions named in
:data:`STEPS` look for a file before and after what they do. Whoever removes
it dies of SIGKILL: one process, once. ``python -m MODULE FOLDER COMMAND
[ARGUMENT...]``.
"""

from collections.abc import Callable
import dataclasses
import functools
import importlib
import os
import pkgutil
import signal
import sys
from typing import Any

from manageable_snapshots import exception

_API = 'manageable_snapshots.api.adoption'
_WORKER = 'manageable_snapshots.volume.adoption:Adopter'
_ROWS = 'manageable_snapshots.db.snapshots'

#: the modules that have the steps of an adoption
MODULES = ('manageable_snapshots.api.adoption',
           'manageable_snapshots.volume.adoption')


@dataclasses.dataclass(frozen=True)
class Step:
    """A function that an adoption goes through.

    :ivar process: ``api`` or ``worker``
    :ivar target: ``module:name``
    :ivar when: what leads there: ``adopted``, what is asked for is done;
        ``refused``, it cannot be; ``unsent``, the message cannot be;
        ``again``, a worker died of the rename; ``away``, the backend does
        not answer; ``overdue``, nor has it for long
    """

    process: str
    target: str
    when: str = 'adopted'

    @property
    def name(self) -> str:
        """Of the file, but for what :data:`SIDES` has."""
        return self.target.removeprefix('manageable_snapshots.').replace(
            ':', '.')


SIDES = ('before', 'after')

#: the variable that tells a Cinder where points are armed
FOLDER = 'MANAGEABLE_SNAPSHOTS_TEST_POINTS'

RENAME = Step(
    'worker', 'manageable_snapshots.drivers.rbd.images:rename')
CAST = Step(
    'api', 'manageable_snapshots.rpc.client:VolumeClient.'
    'manage_existing_snapshot')

ACCEPT = Step('worker', f'{_WORKER}.accept')
SIZE = Step('worker', 'manageable_snapshots.drivers.rbd.driver:RBDDriver.'
            'manage_existing_snapshot_get_size')

#: In the order of the steps. A function of ``db`` ends before its transaction
#: does.
STEPS = (
    Step('api', f'{_API}:authorize'),
    Step('api', f'{_API}:accept'),
    Step('api', f'{_API}:_record'),
    Step('api', 'manageable_snapshots.db.quota:charge'),
    Step('api', f'{_ROWS}:create'),
    CAST,
    Step('api', f'{_API}:_withdraw', 'unsent'),
    Step('api', f'{_API}:undo', 'unsent'),
    Step('api', f'{_ROWS}:withdraw', 'unsent'),

    Step('worker', 'manageable_snapshots.volume.manager:Manager.'
         'manage_existing_snapshot'),
    ACCEPT,
    Step('worker', 'manageable_snapshots.volume.backlog:Backlog.put'),
    Step('worker', f'{_WORKER}.adopt'),
    Step('worker', f'{_WORKER}._claim'),
    Step('worker', 'manageable_snapshots.volume.owners:confirm'),
    Step('worker', f'{_ROWS}:claim'),
    Step('worker', f'{_WORKER}._notify'),
    SIZE,
    Step('worker', f'{_WORKER}._resize'),
    Step('worker', f'{_ROWS}:update'),
    Step('worker', f'{_WORKER}._rename'),
    RENAME,
    Step('worker', 'manageable_snapshots.drivers.rbd.images:protect'),
    Step('worker', f'{_WORKER}._finish'),
    Step('worker', f'{_ROWS}:make_available'),
    Step('worker', f'{_WORKER}._fail', 'refused'),
    Step('worker', f'{_WORKER}._make_error', 'refused'),
    Step('worker', f'{_ROWS}:make_error', 'refused'),
    Step('worker', f'{_WORKER}._put_off', 'away'),
    Step('worker', f'{_ROWS}:put_off', 'away'),
    Step('worker', f'{_WORKER}.give_up', 'away'),
    Step('worker', f'{_WORKER}._give_up', 'overdue'),
    Step('worker', f'{_ROWS}:give_up', 'overdue'),
    Step('worker', 'manageable_snapshots.volume.manager:Manager.resume',
         'again'),
    Step('worker',
         'manageable_snapshots.drivers.rbd.driver:RBDDriver.is_adopted',
         'again'),
)

#: Functions of :data:`MODULES` that are no steps: they change nothing, or a
#: step is all that they do.
OTHERS = frozenset((
    f'{_API}:_refuse_managed',
    'manageable_snapshots.volume.adoption:Task.__str__',
    'manageable_snapshots.volume.adoption:_explained',
    f'{_API}:_withdraw_lost',
    f'{_API}:_may_go_on',
    f'{_WORKER}.__init__',
    f'{_WORKER}._adopt',
    f'{_WORKER}._before_the_rename',
    f'{_WORKER}._creating',
    f'{_WORKER}._on_backend',
    f'{_WORKER}._outcome',
    f'{_WORKER}._payload',
    f'{_WORKER}._reason',
))


def arm(folder: str, step: Step, action: str) -> str:
    """Let the next process that comes to a point die there.

    :param action: of :data:`SIDES`, or ``fail``: let the step fail
    :returns: the path of a file that is gone when it has happened
    """
    path = os.path.join(folder, f'{step.name}.{action}')
    with open(path, 'w'):
        return path


def _is_armed(folder: str, step: Step, action: str) -> bool:
    try:
        os.unlink(os.path.join(folder, f'{step.name}.{action}'))
    except FileNotFoundError:
        return False
    return True


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _watched(function: Callable[..., Any], folder: str,
             step: Step) -> Callable[..., Any]:
    @functools.wraps(function)
    def watched(*args: Any, **kwargs: Any) -> Any:
        if _is_armed(folder, step, 'before'):
            _die()
        if _is_armed(folder, step, 'fail'):
            raise exception.ServiceUnavailable()
        try:
            return function(*args, **kwargs)
        finally:
            if _is_armed(folder, step, 'after'):
                _die()

    return watched


def watch_in_cinder(process: str) -> None:
    """Let a process of a Cinder die at the points that are armed for it.

    :param process: ``api`` or ``worker``
    """
    _watch(os.environ[FOLDER], process)


def _watch(folder: str, process: str) -> None:
    for step in STEPS:
        if step.process == process:
            owner, name = found(step.target)
            setattr(owner, name, _watched(
                getattr(owner, name), folder, step))


def found(target: str) -> tuple[Any, str]:
    """The module or class that a function is in, and its name there."""
    module, _, name = target.partition(':')
    holder, _, name = name.rpartition('.')
    return pkgutil.resolve_name(f'{module}:{holder}'), name


def main(folder: str, command: str, *arguments: str) -> int:
    """Run a command of the project.

    :param folder: where files tell which points are armed
    :param command: as the user calls it
    """
    kind = command.rpartition('-')[2]
    _watch(folder, {'volume': 'worker'}.get(kind, kind))
    sys.argv = [command, *arguments]
    return importlib.import_module(f'manageable_snapshots.cmd.{kind}').main()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
