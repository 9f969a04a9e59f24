# SPDX-License-Identifier: Apache-2.0

"""Cinder's volume manager, with two of its methods replaced.

Three more are extended: to log unmanaging, and to forget the old storage after
a failover.
"""

from collections.abc import Callable
import contextlib
import functools
import threading
import time
from typing import Any

from cinder import context as cinder_context
from cinder import coordination
from cinder import objects as cinder_objects
from cinder.privsep import lvm as cinder_privsep_lvm
from cinder import rpc as cinder_rpc
from cinder import utils as cinder_utils
from cinder.volume import manager as cinder_manager
from oslo_config import cfg
from oslo_log import log as logging

from manageable_snapshots.cinder import driver as cinders
from manageable_snapshots.cinder import lazy
from manageable_snapshots.conf import host
from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import schema
from manageable_snapshots.db import services
from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import loader
from manageable_snapshots.drivers import lvm
from manageable_snapshots.drivers import rbd
from manageable_snapshots.drivers.rbd import cluster as rbd_cluster
from manageable_snapshots import exception
from manageable_snapshots.rpc import notifications
from manageable_snapshots.rpc import serializer
from manageable_snapshots.rpc import server
from manageable_snapshots.volume import manager

LOG = logging.getLogger(__name__)

#: for the notifications that a stop finds unsent
_FLUSH_SECONDS = 2


class VolumeManager(cinder_manager.VolumeManager):
    """Cinder's, with the two methods replaced."""

    target = cinder_manager.VolumeManager.target

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._snapshots = lazy.Lazy(self._start)
        self._presence: Any = None
        self._recovery: list[threading.Thread] = []

    def init_host(self, *args: Any, **kwargs: Any) -> None:
        super().init_host(*args, **kwargs)
        # What is wrong with us is in the log from the start on, and is no
        # trouble of Cinder's.
        self._started()

    def init_host_with_rpc(self) -> None:
        super().init_host_with_rpc()
        if self._started() is not None:
            self._say_that_it_is_there()
        # Cinder's service comes here again on SIGHUP.
        if not self._recovery:
            self._recovery = [
                threading.Thread(target=target, name='recovery', daemon=True)
                for target in (self._keep_resuming, self._keep_giving_up)]
            for thread in self._recovery:
                thread.start()

    def get_manageable_snapshots(
            self, ctxt: cinder_context.RequestContext, marker: Any,
            limit: int | None, offset: int | None, sort_keys: list[str],
            sort_dirs: list[str], want_objects: bool = False,
            **ours: Any) -> list[dict[str, Any]]:
        """As :meth:`manager.Manager.get_manageable_snapshots`.

        :param ours: what Cinder's method does not have
        """
        return self._ready().get_manageable_snapshots(
            _context(ctxt), marker=marker, limit=limit, offset=offset,
            sort_keys=sort_keys, sort_dirs=sort_dirs,
            want_objects=want_objects, **ours)

    def manage_existing_snapshot(
            self, ctxt: cinder_context.RequestContext,
            snapshot: cinder_objects.Snapshot, ref: Any = None) -> str:
        """As :meth:`manager.Manager.manage_existing_snapshot`."""
        return self._ready().manage_existing_snapshot(
            _context(ctxt), snapshot={'id': snapshot.id}, ref=ref)

    def delete_snapshot(
            self, context: cinder_context.RequestContext,
            snapshot: cinder_objects.Snapshot, unmanage_only: bool = False,
            **kwargs: Any) -> Any:
        """As Cinder's; its own line about unmanaging does not have the id."""
        skipped = super().delete_snapshot(
            context, snapshot, unmanage_only=unmanage_only, **kwargs)
        if unmanage_only and not skipped:
            LOG.info('unmanaged %s', snapshot.id)
        return skipped

    def finish_failover(self, *args: Any, **kwargs: Any) -> None:
        """As Cinder's; the driver has failed over, or tried to."""
        self._forget_storage()
        super().finish_failover(*args, **kwargs)

    def failover_completed(self, *args: Any, **kwargs: Any) -> None:
        """As Cinder's; another service of the cluster has failed over."""
        try:
            super().failover_completed(*args, **kwargs)
        finally:
            self._forget_storage()

    def _forget_storage(self) -> None:
        parts = self._started()
        if parts is not None:
            parts.storage_changed()

    def _keep_resuming(self) -> None:
        """Take up the adoptions that a process left when it died.

        Not a periodic task of Cinder's: those wait for periodic_interval,
        first of all, and hold each other up.
        """
        while True:
            parts = self._started()
            if parts is not None and self.driver.initialized:
                self._say_that_it_is_there()
                self._try_to('resume', parts.resume)
                time.sleep(parts.recovery_interval)
            else:
                time.sleep(lazy.PAUSE)

    def _keep_giving_up(self) -> None:
        """Apart from what a driver may hold up."""
        while True:
            parts = self._started()
            if parts is not None:
                self._try_to('give up', parts.give_up)
            time.sleep(lazy.PAUSE if parts is None
                       else parts.recovery_interval)

    def _try_to(self, what: str, call: Callable[[], None]) -> None:
        """Call what is called again, where what is away is no surprise."""
        try:
            call()
        except Exception as error:
            LOG.warning('Cannot %s adoptions of %s now: %s', what,
                        self.service_topic_queue, error,
                        exc_info=exception.is_unexpected(error))

    def _say_that_it_is_there(self) -> None:
        # Cinder's service knows of its own servers only. This one ends with
        # the process.
        if self._presence is not None:
            return
        try:
            presence = cinder_rpc.get_server(
                server.presence(self.service_topic_queue),
                [server.Presence()])
            presence.start()
            self._presence = presence
        except Exception as error:
            LOG.warning('The API takes %s for a worker of Cinder\'s own: %s',
                        self.service_topic_queue, error,
                        exc_info=exception.is_unexpected(error))

    def _ready(self) -> server.Endpoint:
        """What answers.

        :raises DriverNotInitialized: the driver is not set up
        :raises ServiceUnavailable: this could not start
        """
        parts = self._started()
        if parts is None:
            raise serializer.expected(exception.ServiceUnavailable())
        if not self.driver.initialized:
            raise serializer.expected(exception.DriverNotInitialized())
        return server.Endpoint(parts)

    def _started(self) -> manager.Manager | None:
        return self._snapshots.get(
            f'listing and adopting snapshots on {self.service_topic_queue}')

    def _start(self) -> manager.Manager:
        conf = host.load(cfg.CONF)
        database = engine.Database(conf)
        schema.check(database, in_cinder=True)
        notifier = notifications.Notifier(conf, self.host)
        parts = manager.Manager(
            conf, self.service_topic_queue, database,
            self._native(conf, database) or cinders.Driver(conf, self),
            Locks(), notifier)

        def finish() -> None:
            # Cinder's launcher has registered the option, and ends the
            # process when that time is over; 0: it does not.
            parts.stop(cfg.CONF.graceful_shutdown_timeout or None)
            notifier.flush(_FLUSH_SECONDS)

        _before_the_locks_are_gone(finish)
        return parts

    def _native(self, conf: cfg.ConfigOpts,
                database: engine.Database) -> base.SnapshotDriver | None:
        """Return our driver for the backend, set up, or None."""
        driver = loader.native(
            conf, self.configuration.config_group, type(self.driver))
        if isinstance(driver, lvm.LVMDriver):
            driver.commands.become_root_by(
                cinder_utils.get_root_helper(), cinder_privsep_lvm.lvrename)
        elif (isinstance(driver, rbd.RBDDriver)
              and self.configuration.safe_get('replication_device')):
            driver.follow(functools.partial(self._active_cluster, database))
        if driver is not None:
            driver.do_setup(context.get_admin_context())
            driver.check_for_setup_error()
        return driver

    def _active_cluster(self,
                        database: engine.Database) -> rbd_cluster.Cluster:
        """Return the Ceph cluster that Cinder's driver uses now.

        :raises ServiceUnavailable: the backend is failing over, or Cinder's
            driver is not set up
        """
        if not self.driver.initialized:
            raise exception.DriverNotInitialized()
        with database.reader(context.get_admin_context()) as session, \
                contextlib.suppress(exception.ServiceNotFound):
            services.active_backend_id(session, host=self.host)
        active = self.driver._active_config
        return rbd_cluster.Cluster(
            active['name'], active['conf'], active['user'])


def _before_the_locks_are_gone(finish: Callable[[], None]) -> None:
    """Call a function when Cinder's service stops, before its locks go.

    Cinder does not tell a manager that it stops, and has no hook for that. In
    every release, with and without eventlet, its service stops the RPC
    servers first, then the coordinator, and ends the process later. Adoptions
    hold the coordinator's locks, so the coordinator's stop is the place to
    wait for them.

    The function is called once. A second stop, after the parent process has
    died, ends the service at once.
    """
    coordinator = coordination.COORDINATOR
    stop = coordinator.stop

    def finish_and_stop() -> None:
        coordinator.stop = stop
        try:
            finish()
        finally:
            stop()

    coordinator.stop = finish_and_stop


class Locks:
    """Cinder's own coordinator, which its service has started."""

    def get_lock(self, name: bytes) -> Any:
        return coordination.COORDINATOR.get_lock(name.decode())


def _context(ctxt: cinder_context.RequestContext) -> context.RequestContext:
    return context.RequestContext.from_dict(ctxt.to_dict())
