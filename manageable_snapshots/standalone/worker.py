# SPDX-License-Identifier: Apache-2.0

"""A volume service: the backends of one worker process.

Threads, plain and few: an RPC server for each backend, its adoption threads,
and one for each thing that is done at intervals: to report, to recover, to
clean. A backend that hangs holds up none but its own.
"""

from collections.abc import Callable
from concurrent import futures
import functools
import threading
import time
from typing import Any

import futurist
from futurist import periodics
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import timeutils

from manageable_snapshots.conf import host
from manageable_snapshots.conf import unknown
from manageable_snapshots import context as request_context
from manageable_snapshots.db import engine
from manageable_snapshots.db import quota
from manageable_snapshots.db import schema
from manageable_snapshots.db import services
from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import loader
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots.rpc import notifications
from manageable_snapshots.rpc import server
from manageable_snapshots.rpc import transport as rpc_transport
from manageable_snapshots.rpc import versions
from manageable_snapshots.standalone import coordination
from manageable_snapshots.standalone import scheduler
from manageable_snapshots.standalone import volumes
from manageable_snapshots.volume import manager

LOG = logging.getLogger(__name__)

#: for the notifications that a stop finds unsent
_FLUSH_SECONDS = 5

#: for what is done at intervals and is under way at a stop
_CHORE_SECONDS = 5


class Backend:
    """One backend of the worker.

    It serves requests once its driver is ready; until then it tries again at
    each report, and counts as down.

    :param conf: the configuration
    :param name: the backend's section in it
    """

    def __init__(self, conf: cfg.ConfigOpts, name: str,
                 database: engine.Database, transport: Any,
                 locks: Any) -> None:
        self._conf = conf
        self._database = database
        self._driver = loader.load(conf, name)
        self.host = loader.host(conf, name)
        self._notifier = notifications.Notifier(conf, self.host)
        self._manager = manager.Manager(
            conf, self.host, database, self._driver, locks, self._notifier)
        endpoints: list[Any] = [self._manager]
        if isinstance(self._driver, base.VolumeDriver):
            endpoints.append(volumes.Volumes(
                conf, database, self._driver, self._manager.inventory,
                self._publish))
        self._servers = server.get_servers(
            conf, transport, self.host, endpoints)
        self._scheduler = scheduler.SchedulerClient(conf, transport)
        self._setting_up: futures.Future[None] | None = None
        self._is_set_up = False

    def set_up(self) -> futures.Future[None]:
        """Begin to set the driver up, in a thread of its own."""
        if self._setting_up is None:
            self._setting_up = _in_a_thread(self._set_up)
        return self._setting_up

    def start(self) -> None:
        """Set the driver up, take up what was left, and serve.

        :raises ConfigurationError: an option of the backend is wrong
        :raises BackendTimeout: it goes on; to call this again is to wait for
            it again
        """
        setting_up = self.set_up()
        seconds = self._conf.manageable_snapshots.rpc_timeout
        futures.wait([setting_up], seconds)
        if not setting_up.done():
            raise exception.BackendTimeout(host=self.host, seconds=seconds)
        self._setting_up = None
        setting_up.result()
        self._manager.resume()
        self._is_set_up = True
        self.report()
        LOG.info('Backend %s is ready.', self.host)

    def _set_up(self) -> None:
        self._driver.do_setup(request_context.get_admin_context())
        self._driver.check_for_setup_error()

    def report(self) -> None:
        """Say in the services table that the backend is alive."""
        if not self._is_set_up:
            try:
                self.start()
            except Exception:
                LOG.exception('Backend %s is not ready; trying again.',
                              self.host)
            return
        # Who does not listen yet is not alive.
        self._servers.start()
        self._report()

    def publish(self) -> None:
        """Tell Cinder's schedulers what the backend offers."""
        if self._is_set_up:
            self._publish()

    def resume(self) -> None:
        """Take up adoptions that are not under way, or give them up."""
        if self._is_set_up:
            self._manager.resume()
        self._manager.give_up()

    def stop_listening(self, timeout: float | None) -> bool:
        """Take no more requests.

        :returns: whether those under way were answered
        """
        return self._servers.stop(timeout)

    def finish(self, timeout: float | None) -> bool:
        """Wait for what is under way.

        :returns: whether all of it has finished
        """
        finished = self._manager.stop(timeout)
        self._notifier.flush(_FLUSH_SECONDS)
        return finished

    def _publish(self) -> None:
        if not isinstance(self._driver, base.VolumeDriver):
            return
        try:
            stats = self._driver.get_volume_stats(refresh=True)
        except Exception as error:
            LOG.warning('Backend %s does not say what it offers: %s',
                        self.host, error,
                        exc_info=exception.is_unexpected(error))
        else:
            self._scheduler.update_service_capabilities(self.host, stats)

    @engine.retry
    def _report(self) -> None:
        context = request_context.get_admin_context()
        with self._database.writer(context) as session:
            services.report(
                session, host=self.host, cluster=None,
                availability_zone=self._conf.storage_availability_zone,
                rpc_version=versions.RPC_VERSION,
                object_version=versions.OBJECT_VERSION)


class Worker:
    """The backends named in ``enabled_backends``.

    :param conf: the configuration
    :param database: None: as configured
    :param transport: None: as configured
    :raises ConfigurationError: an option is missing or wrong
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 database: engine.Database | None = None,
                 transport: Any = None) -> None:
        if not conf.enabled_backends:
            raise exception.ConfigurationError(
                option='enabled_backends', group='DEFAULT',
                reason=_('it names no backend'))
        self._conf = conf
        self._database = database or engine.Database(conf)
        transport = transport or rpc_transport.get_transport(conf)
        self._coordinator = coordination.Coordinator(conf)
        self.backends = [
            Backend(conf, name, self._database, transport,
                    self._coordinator)
            for name in conf.enabled_backends]
        self._periodics: periodics.PeriodicWorker | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start every backend.

        A backend whose storage is away is tried again; the others serve.

        :raises ConfigurationError: an option of a backend is wrong, or the
            database will not do
        """
        schema.check_if_there(self._database, inserts=schema.WORKING)
        self._coordinator.start()
        for backend in self.backends:
            backend.set_up()
        for backend in self.backends:
            try:
                backend.start()
            except exception.ConfigurationError:
                raise
            except Exception:
                LOG.exception('Backend %s is not ready; trying again.',
                              backend.host)
        chores = self._chores()
        # Each has a thread, so that nothing holds up the reports.
        self._periodics = periodics.PeriodicWorker(
            [(chore, (), {}) for chore in chores],
            executor_factory=functools.partial(
                futurist.ThreadPoolExecutor, max_workers=len(chores)))
        self._thread = threading.Thread(
            target=functools.partial(self._periodics.start, allow_empty=True),
            name='periodics', daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Take no more requests, and finish what is under way.

        :returns: whether all of it has finished within
            ``graceful_shutdown_timeout``
        """
        timeout = self._conf.graceful_shutdown_timeout or None
        deadline = None if timeout is None else time.monotonic() + timeout

        def left() -> float | None:
            return None if deadline is None else max(
                0, deadline - time.monotonic())

        if self._periodics is not None and self._thread is not None:
            self._periodics.stop()
            self._thread.join(min(_CHORE_SECONDS, timeout or _CHORE_SECONDS))
        stops = [
            _in_a_thread(functools.partial(backend.stop_listening, left()))
            for backend in self.backends]
        answered = all([stop.result() for stop in stops])
        finished = all([backend.finish(left()) for backend in self.backends])
        self._coordinator.stop()
        return answered and finished

    def _chores(self) -> list[Any]:
        chores = []

        def every(seconds: float, call: Any, what: str,
                  at_once: bool = False) -> None:
            @periodics.periodic(seconds, run_immediately=at_once)
            def chore() -> None:
                try:
                    call()
                except exception.ServiceUnavailable as error:
                    LOG.warning('Cannot %s now: %s', what, error)
            chores.append(chore)

        own = self._conf.manageable_snapshots
        for backend in self.backends:
            every(self._conf.report_interval, backend.report,
                  f'report {backend.host}')
            every(self._conf.report_interval, backend.publish,
                  f'say what {backend.host} offers', at_once=True)
            every(own.recovery_interval, backend.resume,
                  f'resume the adoptions of {backend.host}')
        if self._conf.reservation_clean_interval:
            every(self._conf.reservation_clean_interval,
                  self._expire_reservations, 'expire reservations')
        return chores

    @engine.retry
    def _expire_reservations(self) -> None:
        context = request_context.get_admin_context()
        with self._database.writer(context) as session:
            count = quota.expire_reservations(session, timeutils.utcnow())
        if count:
            LOG.info('%d quota reservations expired.', count)


def run(conf: cfg.ConfigOpts, stopping: threading.Event) -> int:
    """Serve until it is time to stop.

    Not oslo.service: up to its release 4 it needs eventlet, and a worker of
    threads needs no more of it than this.

    :param stopping: is set when it is time
    :returns: exit status; 1: work was cut short
    :raises ConfigurationError: an option is missing or wrong
    """
    unknown.warn(conf, in_cinder=host.is_hosts(conf))
    worker = Worker(conf)
    worker.start()
    stopping.wait()
    LOG.info('Stopping.')
    return 0 if worker.stop() else 1


def _in_a_thread(function: Callable[[], Any]) -> futures.Future[Any]:
    future: futures.Future[Any] = futures.Future()

    def run() -> None:
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)

    # A daemon: the process must be able to end while the backend hangs.
    threading.Thread(target=run, name='backend', daemon=True).start()
    return future
