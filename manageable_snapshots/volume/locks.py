# SPDX-License-Identifier: Apache-2.0

"""Locks that adoptions hold, across the workers of a backend (tooz)."""

import collections
from collections.abc import Iterator
import contextlib
import hashlib
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
import tenacity
from tooz import coordination

from manageable_snapshots import exception
from manageable_snapshots.i18n import _

LOG = logging.getLogger(__name__)

#: Lock names are drawn from so many, since the file driver of tooz keeps a
#: file for each name that was ever used.
_NAMES = 256

#: errors of tooz's drivers while the coordination backend is unavailable
AWAY = (coordination.ToozConnectionError, coordination.OperationTimedOut)


class Locks:
    """The locks of one backend.

    :param conf: the configuration
    :param source: tooz's coordinator, or what has its ``get_lock``
    :param queue: the backend's name, ``host@backend``, or its cluster's
    """

    def __init__(self, conf: cfg.ConfigOpts, source: Any, queue: str) -> None:
        self._conf = conf
        self._source = source
        self._queue = queue
        self._unreleased: collections.deque[Any] = collections.deque()

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold the lock of a name.

        :param name: of what is locked: its kind, a hyphen, and which it is
        :raises ServiceUnavailable: somebody has held it for
            ``lock_timeout``, or the coordination backend is away
        """
        self._release_rest()
        lock = self._acquire(name)
        try:
            yield
        finally:
            # What was done meanwhile is done, whether this succeeds or not.
            if not self._release(lock):
                LOG.warning('A lock of %s is not released yet: the '
                            'coordination backend is away.', self._queue)

    def _acquire(self, name: str) -> Any:
        digest = hashlib.sha256(name.encode()).digest()
        kind = name.partition('-')[0]
        seconds = self._conf.manageable_snapshots.lock_timeout
        try:
            lock = self._source.get_lock(
                f'manageable-snapshots-{self._queue}-{kind}-'
                f'{digest[0] % _NAMES}'.encode())
            locked = lock.acquire(blocking=seconds)
        except tenacity.RetryError:
            # So say the drivers of tooz that ask again and again.
            locked = False
        except Exception as error:
            # A driver that is not connected fails of anything.
            raise exception.ServiceUnavailable(
                _('The coordination backend is away: %s')
                % reason(error)) from error
        if not locked:
            raise exception.ServiceUnavailable(
                _('Another adoption holds the lock for more than %s '
                  'seconds.') % seconds)
        return lock

    def _release(self, lock: Any) -> bool:
        """Never raises.

        :returns: whether the lock need not be released any more
        """
        try:
            if not lock.release():
                LOG.warning('A lock of %s was gone before it was released.',
                            self._queue)
        except AWAY:
            self._unreleased.append(lock)
            return False
        except Exception as error:
            LOG.warning('A lock of %s could not be released: %s',
                        self._queue, reason(error))
        return True

    def _release_rest(self) -> None:
        """Release what could not be when the backend was away.

        A lock that has not been is renewed for as long as the process lives.

        :raises ServiceUnavailable: it is away still
        """
        while self._unreleased:
            with contextlib.suppress(IndexError):
                if not self._release(self._unreleased.popleft()):
                    raise exception.ServiceUnavailable(
                        _('The coordination backend is away.'))


def reason(error: Exception) -> str:
    """Return an error's message, or the name of its class if it has none."""
    return str(error) or type(error).__name__
