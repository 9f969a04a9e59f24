# SPDX-License-Identifier: Apache-2.0

"""What a volume service answers over RPC: adopting and listing.

Cinder's methods and arguments; ``adoption`` and ``inventory`` do the work.
"""

from collections.abc import Sequence
import functools
import time
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
import oslo_messaging as messaging

from manageable_snapshots import context as request_context
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import snapshots
from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import paging
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import names
from manageable_snapshots import reference
from manageable_snapshots.rpc import notifications
from manageable_snapshots.rpc import objects
from manageable_snapshots.rpc import versions
from manageable_snapshots.volume import adoption
from manageable_snapshots.volume import backlog
from manageable_snapshots.volume import inventory
from manageable_snapshots.volume import owners

LOG = logging.getLogger(__name__)

_LONGEST_NAME = 255


class Manager:
    """Adopts and lists the snapshots of one backend.

    :param conf: the configuration
    :param host: the backend's name, ``host@backend``
    :param database: where the rows are
    :param driver: the backend
    :param locks: tooz's coordinator, or what has its ``get_lock``
    :param notifier: for notifications
    """

    target = messaging.Target(version=versions.RPC_VERSION)

    def __init__(self, conf: cfg.ConfigOpts, host: str,
                 database: engine.Database, driver: base.SnapshotDriver,
                 locks: Any, notifier: notifications.Notifier) -> None:
        self._conf = conf
        self._host = host
        self._database = database
        self._driver = driver
        own = conf.manageable_snapshots
        self.inventory = inventory.Inventory(
            host, functools.partial(driver.scan, []),
            max_age=own.inventory_max_age, keep=own.inventory_keep,
            scans=own.inventory_scans, max_memory=own.inventory_max_memory,
            timeout=own.list_timeout)
        self._adopter = adoption.Adopter(
            conf, database, driver, locks, notifier, host, self.inventory)
        #: seconds between two calls of ``resume``, and of ``give_up``
        self.recovery_interval = own.recovery_interval
        self._backlog = backlog.Backlog(
            own.adoption_threads, own.adoption_backlog, self._refill)
        #: since when nothing is taken up as the driver is not ready
        self._idle_since: float | None = time.monotonic()

    def manage_existing_snapshot(
            self, ctxt: request_context.RequestContext,
            snapshot: dict[str, Any], ref: Any = None) -> str:
        """Adopt a snapshot, in the background.

        :param snapshot: Cinder's Snapshot object
        :param ref: the reference, as the API was given it
        :returns: the row's id
        """
        snapshot_id = objects.identifier(snapshot, 'Snapshot')
        task = self._adopter.accept(ctxt, snapshot_id, ref)
        if task is not None and not self._take_up(task):
            LOG.info('The adoption of snapshot %s waits in the database.',
                     snapshot_id)
        return snapshot_id

    def storage_changed(self) -> None:
        """Forget what was read: the backend has failed over, or back."""
        self._driver.forget()
        self.inventory.forget()

    def resume(self) -> None:
        """Take up the adoptions that were accepted and are not under way.

        Left by a process that died, or by a backlog that was full. One that
        was accepted just now is left to its own message.
        """
        self._idle_since = None
        own = self._conf.manageable_snapshots
        left = 0
        # A start waits for this, so no more are fetched than can wait.
        for task in self._accepted(own.rpc_timeout,
                                   fetch=own.adoption_backlog):
            if self._backlog.has(task.snapshot_id):
                continue
            if self._take_up(task):
                LOG.info('Taking up the adoption of snapshot %s again.',
                         task.snapshot_id)
            else:
                left += 1
        if left:
            LOG.info('%d adoptions of %s wait in the database.', left,
                     self._host)

    def give_up(self) -> None:
        """Make errors of what gets nowhere, and is older than it may be."""
        seconds = self._conf.manageable_snapshots.adoption_timeout
        if not seconds:
            return
        for task in self._accepted(seconds):
            if (self._backlog.gets_nowhere(task.snapshot_id)
                    if self._idle_since is None else
                    time.monotonic() - self._idle_since >= backlog.HANGING):
                self._adopter.give_up(task)

    def _accepted(self, older_than: float,
                  fetch: int = 0) -> list[adoption.Task]:
        """Return the adoptions that were accepted some time ago.

        It looks at the database once, whatever the number of references to
        fetch.

        :param older_than: minimum age, in seconds
        :param fetch: maximum number of references to fetch that the API set
            aside for a worker of Cinder's own; the rows of the others are
            left out
        """
        with self._database.reader(
                request_context.get_admin_context()) as session:
            rows = snapshots.creating_on(
                session, self._host, older_than=older_than)
        aside = [row.id for row in rows if snapshots.is_aside(row)][:fetch]
        fetched = {snapshot_id: self._fetch_reference(snapshot_id)
                   for snapshot_id in aside}
        rows = [fetched.get(row.id) or row for row in rows]
        return [
            adoption.Task(
                request_context.RequestContext(
                    user_id=row.user_id, project_id=row.project_id,
                    overwrite=False),
                row.id, row.volume_id, row.project_id,
                snapshots.recorded_reference(row), row.created_at)
            for row in rows if snapshots.has_reference(row)]

    def _fetch_reference(self, snapshot_id: str) -> models.Snapshot | None:
        """Record a reference that was set aside, and return its row."""
        context = request_context.get_admin_context()
        with self._database.writer(context) as session:
            if not snapshots.fetch_reference(session, snapshot_id):
                return None
            return snapshots.get(session, context, snapshot_id)

    def stop(self, timeout: float | None) -> bool:
        """Finish what is under way.

        :param timeout: seconds; None: as long as it takes
        :returns: whether all of it has finished
        """
        return self._backlog.stop(timeout)

    def _refill(self) -> None:
        try:
            self.resume()
        except exception.ServiceUnavailable as error:
            LOG.warning('Cannot resume adoptions of %s now: %s', self._host,
                        error)
        except Exception:
            LOG.exception('Cannot resume adoptions of %s now.', self._host)

    def _take_up(self, task: adoption.Task) -> bool:
        """Have it adopted; False: it has to wait in the database."""
        return self._backlog.put(
            task.snapshot_id, task.project_id,
            functools.partial(self._adopter.adopt, task))

    def get_manageable_snapshots(
            self, ctxt: request_context.RequestContext, marker: Any,
            limit: int | None, offset: int | None, sort_keys: list[str],
            sort_dirs: list[str], want_objects: bool = False,
            pool: str | None = None, source_name: str | None = None,
            volume_id: str | None = None,
            safe_to_manage: bool | None = None,
            marker_size: int | None = None) -> list[dict[str, Any]]:
        """A page of what the backend holds, marked with what is managed.

        :param marker: the reference after which the page starts, as a dict
            or as JSON
        :param limit: most entries
        :param offset: entries to leave out after the marker
        :param sort_keys: of ``reference`` and ``size``
        :param sort_dirs: of ``asc`` and ``desc``, one for each key
        :param want_objects: answer with Cinder's ManageableSnapshot objects
        :param pool: show only this pool and unknown pools. Cinder's method
            has neither this parameter nor the following ones.
        :param source_name: show only names that begin with this
        :param volume_id: show only this volume's snapshots; the id that the
            volume's name on the backend has
        :param safe_to_manage: show only safe ones, or only unsafe ones
        :param marker_size: the size that the marker's snapshot had, GiB, or
            -1 for none; says that it was the last one of a page
        :raises InvalidInput: an argument that cannot be, or a filter that
            the driver knows too little for
        :raises DriverCannot: the driver cannot list
        :raises BackendTimeout: it does not answer within ``list_timeout``
        """
        _check_page({'limit': limit, 'offset': offset},
                    {'sort_keys': sort_keys, 'sort_dirs': sort_dirs},
                    {'pool': pool, 'source_name': source_name,
                     'volume_id': volume_id}, safe_to_manage, marker_size)
        if volume_id is not None and not self._driver.knows_volumes:
            raise exception.InvalidInput(reason=_(
                'the driver %s does not tell snapshots by their volumes, so '
                'they cannot be listed by volume_id') % self._driver.NAME)
        view = paging.View(
            tuple(sort_keys), tuple(sort_dirs), pool=_short(pool),
            source_name=_short(source_name) or '',
            volume_name=None if volume_id is None else names.volume_name(
                self._conf, volume_id),
            safe_to_manage=safe_to_manage)
        try:
            entries = self.inventory.page(
                view, marker=reference.parse_marker(marker),
                limit=self._conf.osapi_max_limit if limit is None else limit,
                offset=offset, marker_size=marker_size,
                mark=functools.partial(self._mark, ctxt, safe_to_manage))
        except NotImplementedError as error:
            raise exception.DriverCannot(
                driver=self._driver.NAME,
                what=_('list snapshots')) from error
        return objects.manageable_snapshots(entries) if want_objects else (
            entries)

    def _mark(self, context: request_context.RequestContext,
              safe_to_manage: bool | None,
              page: Sequence[base.BackendSnapshot],
              ) -> list[dict[str, Any] | None]:
        found = owners.find(self._conf, self._database, context,
                            self._driver, self._host, page)
        entries = [base.describe(snapshot, owner)
                   for snapshot, owner in zip(page, found)]
        return [entry if safe_to_manage in (None, entry['safe_to_manage'])
                else None for entry in entries]


def _short(text: str | None) -> str | None:
    """As much of a text as names have, as the inventory may remember it."""
    return text if text is None else text[:_LONGEST_NAME]


def _check_page(numbers: dict[str, Any], lists: dict[str, Any],
                texts: dict[str, Any], safe_to_manage: Any,
                marker_size: Any) -> None:
    for name, value in numbers.items():
        if value is not None and (not _is_number(value) or value < 0):
            raise exception.InvalidInput(
                reason=_('%s must be a number that is not negative') % name)
    for name, value in lists.items():
        if not isinstance(value, list) or not all(
                isinstance(item, str) for item in value):
            raise exception.InvalidInput(
                reason=_('%s must be a list of strings') % name)
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise exception.InvalidInput(
                reason=_('%s must be a string') % name)
    if not isinstance(safe_to_manage, (bool, type(None))):
        raise exception.InvalidInput(
            reason=_('safe_to_manage must be true or false'))
    if marker_size is not None and not _is_number(marker_size):
        raise exception.InvalidInput(
            reason=_('marker_size must be a number'))


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
