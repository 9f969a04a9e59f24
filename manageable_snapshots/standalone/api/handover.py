# SPDX-License-Identifier: Apache-2.0

"""Write rows and send a message to a worker: both, or neither."""

from collections.abc import Callable
from typing import TypeVar

from oslo_log import log

from manageable_snapshots.db import engine
from manageable_snapshots import exception

LOG = log.getLogger(__name__)

Written = TypeVar('Written')


def hand_over(write: Callable[[], Written], send: Callable[[Written], None],
              undo: Callable[[], bool], left: str) -> Written:
    """Write rows, then send the message that they are for.

    If the message cannot be sent, or the database does not say whether it
    committed the rows, they are undone and the error is raised again.

    :param write: the transaction
    :param send: sends the message; is given what ``write`` returned
    :param undo: undoes ``write``; returns False if a worker has begun, which
        makes the request a success
    :param left: a sentence that names what stays behind if ``undo`` fails
    :raises ServiceUnavailable: nothing is left, or the message is ``left``
    """
    try:
        written = write()
    except engine.CommitLost:
        _undo(undo, left)
        raise
    try:
        send(written)
    except Exception:
        if _undo(undo, left):
            raise
        LOG.info('The message reached a worker, although sending it failed.')
    return written


def _undo(undo: Callable[[], bool], left: str) -> bool:
    try:
        return undo()
    except exception.ServiceUnavailable as error:
        LOG.error('%s %s', error, left)
        raise exception.ServiceUnavailable(left) from error
