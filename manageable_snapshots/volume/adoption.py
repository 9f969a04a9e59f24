# SPDX-License-Identifier: Apache-2.0

"""Adopt one snapshot: what a POST asks a worker to do.

The steps, in the order that makes each of them safe to repeat:

1. ``accept``: the row is there and ``creating``, and has the reference
   recorded. From here on the adoption is carried on after a crash.
2. Lock the volume, and the reference where it may name the snapshot of
   another one, across workers.
3. Where a worker got to step 6 before: if the backend has the snapshot under
   its new name, it is adopted, only the row does not say so yet. On to 7.
4. Refuse what another row manages.
5. Ask the driver for the size, and mend the quota and the row by it. The row
   is claimed with that: the API cannot withdraw it any more.
6. The driver adopts. Its rename is the commit point.
7. The row is ``available``.

What fails for good leaves the row in ``error`` with its reason. What fails
because the backend, the database or a lock is away leaves it ``creating``, to
be taken up again, and becomes an ``error`` after ``adoption_timeout``. But for
what may have got to step 6: who deletes a row that is in ``error`` does not
mean to delete a snapshot of the backend.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import datetime
import threading
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import timeutils
from sqlalchemy import orm

from manageable_snapshots import context as request_context
from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import quota
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volume_types
from manageable_snapshots.db import volumes
from manageable_snapshots.drivers import base
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import reference
from manageable_snapshots.rpc import notifications
from manageable_snapshots.volume import inventory
from manageable_snapshots.volume import locks
from manageable_snapshots.volume import owners
from manageable_snapshots.volume import rows
from manageable_snapshots.volume import updates as updates_of_driver

LOG = logging.getLogger(__name__)

#: characters of a reference in a reason, which has 255 in all
_SHORT = 100

#: the row stays ``creating`` then, and is taken up again
_AWAY = (exception.ServiceUnavailable, exception.BackendTimeout)


@dataclasses.dataclass(frozen=True)
class Task:
    """An adoption that was accepted, and its row.

    :ivar context: who asked, or who that was
    :ivar ref: as it came over the wire, or as it was recorded; None: it is
        lost
    :ivar made_at: when it was accepted, naive UTC
    """

    context: request_context.RequestContext
    snapshot_id: str
    volume_id: str
    project_id: str
    ref: Any
    made_at: datetime.datetime

    def __str__(self) -> str:
        """Say in a log line what is adopted."""
        ref = ('a lost reference' if self.ref is None
               else reference.shown(self.ref))
        return f'{ref} of volume {self.volume_id}'


@dataclasses.dataclass(frozen=True)
class _Claim:
    """What there was to know when a row was claimed.

    :ivar view: the row as it was before
    :ivar refusal: why it must not be adopted, unless that is done already
    :ivar payload: of the notification; None: nothing to send
    """

    view: rows.Row
    refusal: exception.Invalid | None
    payload: dict[str, Any] | None


class Adopter:
    """Adopts snapshots of one backend.

    :param conf: the configuration
    :param database: where the rows are
    :param driver: the backend
    :param lock_source: tooz's coordinator, or what has its ``get_lock``
    :param notifier: for ``snapshot.manage_existing_snapshot.*``
    :param queue: the backend's name, ``host@backend``, or its cluster's
    :param stock: the inventory that is to show what was adopted
    """

    def __init__(self, conf: cfg.ConfigOpts, database: engine.Database,
                 driver: base.SnapshotDriver, lock_source: Any,
                 notifier: notifications.Notifier, queue: str,
                 stock: inventory.Inventory) -> None:
        self._conf = conf
        self._database = database
        self._driver = driver
        self._locks = locks.Locks(conf, lock_source, queue)
        self._notifier = notifier
        self._queue = queue
        self._inventory = stock
        self._guard = threading.Lock()
        #: rows whose snapshots the driver is only asked about, so far
        self._asking: set[str] = set()

    @engine.retry
    def accept(self, context: request_context.RequestContext,
               snapshot_id: str, ref: Any) -> Task | None:
        """Record the reference, if a stock API did not.

        :param ref: as it came over the wire
        :returns: None: there is nothing to do; the message came twice or
            too late
        :raises InvalidInput: the row belongs to another project
        """
        with self._database.writer(context) as session:
            snapshot = self._creating(session, context, snapshot_id)
            if snapshot is None:
                LOG.info('Snapshot %s is not being adopted; ignoring the '
                         'message about %s.', snapshot_id,
                         reference.shown(ref))
                return None
            context.require_right_to(snapshot.project_id)
            if ref is not None and snapshots.recorded_reference(
                    snapshot) is None:
                snapshots.record_reference(session, snapshot_id, ref)
            return Task(context, snapshot_id, snapshot.volume_id,
                        snapshot.project_id, ref, snapshot.created_at)

    def adopt(self, task: Task) -> bool:
        """Adopt a snapshot that was accepted. Never raises.

        :returns: False: it was put off, as something is away
        """
        # This thread's log lines name the request.
        task.context.update_store()
        try:
            self._adopt(task)
            return True
        except Exception as error:
            failure = error
        if isinstance(failure, _AWAY):
            LOG.warning('Adopting snapshot %s is put off (%s): %s',
                        task.snapshot_id, task, failure)
            self.give_up(task)
            return False
        self._fail(task, failure)
        return True

    def give_up(self, task: Task) -> None:
        """Make an error of what has waited for too long. Never raises.

        What the driver may have adopted, or is young enough, is left as it
        is. An attempt that is under way goes no further.
        """
        seconds = self._conf.manageable_snapshots.adoption_timeout
        if not seconds or not timeutils.is_older_than(task.made_at, seconds):
            return
        with self._guard:
            is_asking = task.snapshot_id in self._asking
            self._asking.discard(task.snapshot_id)
        reason = _('It could not be adopted within %s seconds. On the '
                   'backend nothing has changed.') % seconds
        try:
            given_up, payload = self._give_up(task, reason, is_asking)
        except exception.ServiceUnavailable as away:
            LOG.warning('Snapshot %s stays "creating" for now: %s',
                        task.snapshot_id, away)
            return
        if given_up:
            LOG.error('Adopting snapshot %s failed (%s): %s',
                      task.snapshot_id, task, reason)
            self._notify(task, 'error', payload)

    def _adopt(self, task: Task) -> None:
        """What lasts of an adoption: claimed, renamed, available.

        A worker that resumes it after a crash finds out how far it came.
        """
        # A stock API lets anything pass.
        wanted = None if task.ref is None else reference.parse(task.ref)
        with contextlib.ExitStack() as held:
            held.enter_context(
                self._locks.hold(f'volume-{task.volume_id}'))
            if wanted is not None and not self._driver.knows_volumes:
                # Else a snapshot is one volume's, which is locked.
                held.enter_context(
                    self._locks.hold(f'ref-{reference.key(wanted)}'))
            claim = self._claim(
                task, wanted, None if wanted is None else owners.candidate(
                    self._conf, self._driver, wanted))
            if claim is None:
                LOG.info('Snapshot %s is not being adopted any more.',
                         task.snapshot_id)
                return
            view = claim.view
            self._notify(task, 'start', claim.payload)
            finished, payload = self._finish(task, updates_of_driver.usable(
                self._driver.NAME, task.snapshot_id,
                self._on_backend(task, claim, wanted)))
            if not finished:
                LOG.error('Snapshot %s was adopted on the backend as %s '
                          '(%s), but its row was changed meanwhile.',
                          view.id, view.name, task)
                return
        if wanted is None:
            self._inventory.changed()
        else:
            self._inventory.adopted(wanted, view.volume_name, view.id)
        self._notify(task, 'end', payload)
        LOG.info('Snapshot %s is adopted (%s).', view.id, task)

    def _on_backend(self, task: Task, claim: _Claim,
                    wanted: base.Reference | None) -> dict[str, Any] | None:
        """Have the driver adopt, if it has not.

        :returns: what it says
        """
        view = claim.view
        # Claimed before means that it may be renamed by now.
        adopted = view.claimed and self._driver.is_adopted(view)
        if adopted:
            return self._driver.lost_updates(view)
        if wanted is None:
            raise exception.InvalidInput(reason=_(
                'the reference is lost: it was too long to be recorded'))
        if claim.refusal is not None:
            raise claim.refusal
        # A driver that cannot say may have adopted it.
        with (contextlib.nullcontext() if adopted is None
              else self._before_the_rename(task)):
            size = base.check_size(
                self._driver.manage_existing_snapshot_get_size(view, wanted))
            if size != view.volume_size:
                self._resize(task, size)
        return self._rename(view, wanted)

    @contextlib.contextmanager
    def _before_the_rename(self, task: Task) -> Iterator[None]:
        """What is done in this may be given up meanwhile.

        :raises ServiceUnavailable: it was
        """
        with self._guard:
            self._asking.add(task.snapshot_id)
        try:
            yield
            with self._guard:
                # From here on it is too late to give it up.
                if task.snapshot_id not in self._asking:
                    raise exception.ServiceUnavailable(
                        _('It has been given up.'))
                self._asking.remove(task.snapshot_id)
        except _AWAY:
            self._put_off(task)
            raise
        finally:
            with self._guard:
                self._asking.discard(task.snapshot_id)

    def _rename(self, view: rows.Row,
                wanted: base.Reference) -> dict[str, Any] | None:
        try:
            return self._driver.manage_existing_snapshot(view, wanted)
        except Exception:
            # The answer may have been lost after the deed was done.
            if not self._driver.is_adopted(view):
                raise
            LOG.warning('The driver reported a failure to adopt %s as '
                        'snapshot %s, which is adopted.',
                        reference.shown(wanted), view.id, exc_info=True)
            return self._driver.lost_updates(view)

    @engine.retry
    def _claim(self, task: Task, wanted: base.Reference | None,
               candidate: str | None) -> _Claim | None:
        """Note that nobody may withdraw the row from now on.

        :param candidate: the row that the reference may belong to
        :returns: None: the row has been withdrawn, or is finished
        """
        with self._database.writer(task.context) as session:
            snapshot = self._creating(
                session, task.context, task.snapshot_id)
            if snapshot is None:
                return None
            volume = volumes.get(
                session, task.context.elevated(), snapshot.volume_id)
            view = rows.snapshot(self._conf, snapshot, volume)
            asked_for = base.BackendSnapshot(
                reference=wanted or {}, size=None,
                source_reference={'source-name': view.volume_name})
            [owner] = owners.confirm(
                session, self._conf, self._driver, self._queue, [asked_for],
                [candidate])
            payload = self._payload(session, snapshot, volume)
            refusal: exception.Invalid | None = (
                volumes.why_not_snapshottable(volume))
            if refusal is None and owner is not None:
                refusal = exception.ManagedByAnother(
                    existing_ref=reference.shown(wanted), owner=owner)
            if not snapshots.claim(session, task.snapshot_id):
                return None
            return _Claim(view, refusal, payload)

    @engine.retry
    def _resize(self, task: Task, size: int) -> None:
        """Mend the row and the quota by the size that the backend tells.

        :raises QuotaError: the project has no room for it
        """
        with self._database.writer(task.context) as session:
            snapshot = self._creating(
                session, task.context, task.snapshot_id)
            if snapshot is None or snapshot.volume_size == size:
                return
            quota.charge(
                session, self._conf, task.context,
                project_id=snapshot.project_id,
                volume_type=volume_types.get(
                    session, snapshot.volume_type_id),
                gigabytes=(
                    quota.snapshot_gigabytes(self._conf, size)
                    - quota.snapshot_gigabytes(
                        self._conf, snapshot.volume_size)),
                size=size)
            snapshots.update(session, task.snapshot_id, volume_size=size)

    @engine.retry
    def _finish(self, task: Task, columns: dict[str, Any]
                ) -> tuple[bool, dict[str, Any] | None]:
        with self._database.writer(task.context) as session:
            finished = snapshots.make_available(
                session, task.snapshot_id, **columns)
            return finished, self._outcome(session, task)

    @engine.retry
    def _put_off(self, task: Task) -> None:
        with self._database.writer(task.context) as session:
            snapshots.put_off(session, task.snapshot_id)

    @engine.retry
    def _give_up(self, task: Task, reason: str, is_asking: bool
                 ) -> tuple[bool, dict[str, Any] | None]:
        """Make it an error, unless the driver may have adopted it.

        :param is_asking: the driver has not, whatever the row says
        """
        with self._database.writer(task.context) as session:
            if is_asking:
                snapshots.put_off(session, task.snapshot_id)
            if not snapshots.give_up(
                    session, task.snapshot_id, _explained(task, reason)):
                return False, None
            return True, self._outcome(session, task)

    def _fail(self, task: Task, error: Exception) -> None:
        reason = self._reason(error)
        expected = isinstance(error, (
            exception.ManageableSnapshotsException, NotImplementedError))
        LOG.error('Adopting snapshot %s failed (%s): %s', task.snapshot_id,
                  task, reason, exc_info=None if expected else error)
        try:
            failed, payload = self._make_error(task, error, reason)
        except exception.ServiceUnavailable as away:
            LOG.warning('Snapshot %s stays "creating" for now: %s',
                        task.snapshot_id, away)
            return
        if failed:
            self._notify(task, 'error', payload)

    @engine.retry
    def _make_error(self, task: Task, error: Exception, reason: str
                    ) -> tuple[bool, dict[str, Any] | None]:
        with self._database.writer(task.context) as session:
            if (isinstance(error, exception.ManagedByAnother)
                    and not snapshots.is_visible(
                        session, task.context, error.owner)):
                reason = _('The reference is invalid: another snapshot '
                           'manages it already')
            failed = snapshots.make_error(
                session, task.snapshot_id, _explained(task, reason))
            return failed, self._outcome(session, task)

    def _reason(self, error: Exception) -> str:
        """What the owner of the snapshot may read of an error."""
        if isinstance(error, NotImplementedError):
            error = exception.DriverCannot(
                driver=self._driver.NAME, what=_('adopt snapshots'))
        if isinstance(error, exception.ManageExistingInvalidReference):
            # The reference itself is told anyway, and there is little room.
            return _('The reference is invalid: %s') % (
                error.reason or error.msg)
        if isinstance(error, exception.ManageableSnapshotsException):
            return error.msg
        return _('The driver %s failed; the log of the volume service has '
                 'the cause.') % self._driver.NAME

    def _creating(self, session: Any,
                  context: request_context.RequestContext,
                  snapshot_id: str) -> models.Snapshot | None:
        try:
            snapshot = snapshots.get(session, context.elevated(), snapshot_id)
        except exception.SnapshotNotFound:
            return None
        return snapshot if snapshot.status == 'creating' else None

    def _outcome(self, session: orm.Session,
                 task: Task) -> dict[str, Any] | None:
        """What to notify of, as the row is now; None: nothing."""
        if not self._notifier.is_on:
            return None
        try:
            snapshot = snapshots.get(
                session, task.context.elevated(), task.snapshot_id)
            volume = volumes.get(
                session, task.context.elevated(), snapshot.volume_id)
        except exception.NotFound as error:
            LOG.warning('Not notifying of snapshot %s: %s', task.snapshot_id,
                        error)
            return None
        return self._payload(session, snapshot, volume)

    def _payload(self, session: orm.Session, snapshot: models.Snapshot,
                 volume: models.Volume) -> dict[str, Any] | None:
        if not self._notifier.is_on:
            return None
        return notifications.snapshot_usage(
            snapshot, volume, snapshots.metadata(session, snapshot.id))

    def _notify(self, task: Task, suffix: str,
                payload: dict[str, Any] | None) -> None:
        if payload is not None:
            self._notifier.snapshot(
                task.context, f'manage_existing_snapshot.{suffix}', payload)


def _explained(task: Task, reason: str) -> str:
    """Return the reason with the reference, for the snapshot's metadata."""
    if task.ref is None:
        return reason
    return _('%(ref)s was not adopted: %(reason)s') % {
        'ref': reference.shown(task.ref, _SHORT), 'reason': reason}
