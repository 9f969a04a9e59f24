# SPDX-License-Identifier: Apache-2.0

"""A worker's coordination backend, which may be away at any time (tooz)."""

from concurrent import futures
import os
import threading
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from stevedore import exception as stevedore_exception
from tooz import coordination

from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots.volume import locks

LOG = logging.getLogger(__name__)

#: seconds after which a backend that is away is tried again
_PAUSE = 1.0

#: for an attempt that is under way at a stop
_STOP_SECONDS = 5


class Coordinator:
    """The configured backend's locks.

    Not tooz's own heart: while its backend is away, it cannot be stopped.

    :param conf: the configuration
    :raises ConfigurationError: there is no such backend
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._seconds = conf.manageable_snapshots.rpc_timeout
        self._coordinator = _coordinator(conf)
        self._is_started = False
        self._is_away = False
        self._begun: futures.Future[None] = futures.Future()
        self._stopping = threading.Event()
        self._heart = threading.Thread(
            target=self._live, name='coordination', daemon=True)

    def get_lock(self, name: bytes) -> Any:
        """A lock of tooz's, whether the backend is there or not."""
        return self._coordinator.get_lock(name)

    def start(self) -> None:
        """Connect, and renew from now on the locks that are held.

        A backend that does not answer within ``rpc_timeout``, or cannot be
        reached, is tried again in the background.

        :raises ConfigurationError: the backend will not do
        """
        self._heart.start()
        try:
            self._begun.result(self._seconds)
        except exception.ConfigurationError:
            self._stopping.set()
            raise
        except exception.ServiceUnavailable:
            pass
        except futures.TimeoutError:
            LOG.warning('The coordination backend has not answered within '
                        '%s seconds; going on without it.', self._seconds)

    def stop(self) -> None:
        """Disconnect, and renew no locks any more. Never raises."""
        self._stopping.set()
        if self._heart.is_alive():
            self._heart.join(_STOP_SECONDS)
        if not self._is_started:
            return
        try:
            self._coordinator.stop()
        except Exception as error:
            LOG.warning('Cannot take leave of the coordination backend: %s',
                        locks.reason(error))

    def _live(self) -> None:
        pause: float | None = 0
        while pause is not None and not self._stopping.wait(pause):
            pause = self._try_to_beat()

    def _try_to_beat(self) -> float | None:
        """Connect, or renew.

        :returns: seconds until the next time; None: there need be none
        """
        try:
            pause = self._beat()
        except Exception as error:
            failure = _failure(error)
            if not self._is_away:
                LOG.warning('Adoptions wait: %s', failure.msg)
            self._is_away = True
            if not self._begun.done():
                self._begun.set_exception(failure)
            return _PAUSE
        if self._is_away:
            LOG.info('The coordination backend is there again.')
        self._is_away = False
        if not self._begun.done():
            self._begun.set_result(None)
        return pause

    def _beat(self) -> float | None:
        if not self._is_started:
            self._coordinator.start()
            self._is_started = True
        if not self._coordinator.requires_beating:
            return None
        # Soon enough for a second attempt, should one fail.
        return self._coordinator.heartbeat() / 3


def _coordinator(conf: cfg.ConfigOpts) -> Any:
    try:
        return coordination.get_coordinator(
            conf.coordination.backend_url,
            f'{conf.host}-{os.getpid()}'.encode())
    except (coordination.ToozError, stevedore_exception.NoMatches,
            ImportError, ValueError) as error:
        raise _wrong(error) from None


def _failure(error: Exception) -> exception.ManageableSnapshotsException:
    if isinstance(error, (coordination.ToozError, ValueError)) and (
            not isinstance(error, locks.AWAY)):
        return _wrong(error)
    # Not every driver translates what it raises at the start.
    return exception.ServiceUnavailable(
        _('The coordination backend is away: %s') % locks.reason(error))


def _wrong(error: Exception) -> exception.ConfigurationError:
    # A part of its password may have been taken for the port: the error of
    # who did so would tell it.
    return exception.ConfigurationError(
        option='backend_url', group='coordination',
        reason=_('it is not the URL of a coordination backend')
        if isinstance(error, ValueError) else locks.reason(error))
