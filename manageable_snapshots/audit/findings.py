# SPDX-License-Identifier: Apache-2.0

"""What an audit can find."""

from collections.abc import Callable
import dataclasses
import shlex


@dataclasses.dataclass(frozen=True)
class Breach:
    """Something that is not as it must be.

    :ivar kind: a word for programs
    :ivar text: a sentence, of one line
    :ivar command: what an operator can mend it with
    :ivar backend: ``host@backend``, or a cluster's
    :ivar snapshot_id: of which row
    :ivar project_id: whose row or quota
    :ivar mend: mends it, and says what it did; None: there was nothing left
        to mend. Not there where only the operator can decide.
    """

    kind: str
    text: str
    command: str
    backend: str | None = None
    snapshot_id: str | None = None
    project_id: str | None = None
    mend: Callable[[], str | None] | None = None


@dataclasses.dataclass(frozen=True)
class Note:
    """Something to know that is no breach.

    :ivar text: a sentence, of one line
    """

    text: str


@dataclasses.dataclass(frozen=True)
class Gap:
    """Something that should have been looked at, and could not be.

    :ivar text: a sentence, of one line
    """

    text: str


Finding = Breach | Note | Gap


def set_state(state: str, snapshot_id: str) -> str:
    """The command that gives a row another status, and does no more."""
    return f'openstack volume snapshot set --state {state} {snapshot_id}'


def unmanage(snapshot_id: str) -> str:
    """The command that takes a row away, and leaves the backend alone."""
    return f'openstack volume snapshot delete --remote {snapshot_id}'


def adopt(volume: str, name: str) -> str:
    """The command that adopts a backend's snapshot.

    :param volume: the id of its volume
    :param name: its name on the backend
    """
    return shlex.join([
        'openstack', 'volume', 'snapshot', 'create', '--volume', volume,
        '--remote-source', f'source-name={name}', name])
