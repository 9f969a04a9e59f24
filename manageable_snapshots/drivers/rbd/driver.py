# SPDX-License-Identifier: Apache-2.0

"""Ceph: the snapshots of the RBD images of a pool.

A volume is an image by its name. Names of snapshots are unique in their image
only, so a reference has ``IMAGE@ID`` beside the name, with the id that Ceph
gave the snapshot; a rename leaves it as it is. :mod:`.rbd_images` has what is
done with librbd, and which snapshots it renames.

Nothing waits for ever: each request to Ceph ends after ``rbd_op_timeout``. An
image that a scan cannot read has an entry of its own, which cannot be adopted
(:mod:`.rbd_scan`). The connection mends itself where Ceph was away; where Ceph
has shut it out, another one is made.

In Cinder, a backend can fail over to another cluster. Each use asks which
cluster is active; :mod:`.rbd_cluster` has the details.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import errno
import functools
import threading
import time
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import units

from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import encoding
from manageable_snapshots.drivers import native
from manageable_snapshots.drivers.rbd import cluster as rbd_cluster
from manageable_snapshots.drivers.rbd import images as rbd_images
from manageable_snapshots.drivers.rbd import scan as rbd_scan
from manageable_snapshots.drivers import threads
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import reference

LOG = logging.getLogger(__name__)

#: seconds between two looks at a lock that somebody holds
_PAUSE = 0.02

#: share of list_timeout that a scan takes where images do not answer
_SHARE = 0.75

#: images that a line in the log names
_NAMED = 10


class RBDDriver(native.NativeDriver, base.VolumeDriver):
    """A pool of RBD images as a backend.

    Options: those that begin with ``rbd_`` or ``rados_``.
    """

    NAME = 'rbd'

    def __init__(self, conf: cfg.ConfigOpts, backend: str) -> None:
        super().__init__(conf, backend)
        self._options = conf[backend]
        self._seconds: int = self._options.rbd_op_timeout
        self._active: Callable[[], rbd_cluster.Cluster] = functools.partial(
            rbd_cluster.own, self._options)
        self._switching = threading.Lock()
        self._connection = rbd_cluster.Connection(self._active())

    def follow(self, active: Callable[[], rbd_cluster.Cluster]) -> None:
        """Use the cluster that is active, whichever that is at the time.

        :param active: returns the cluster; called before and after each use.
            It raises ServiceUnavailable while the backend fails over
        """
        self._active = active

    def do_setup(self, context: Any) -> None:
        """Check that librbd is installed.

        :raises ConfigurationError: there is not
        """
        if rbd_images.rbd is None:
            raise self._misconfigured('volume_driver', _(
                'the rbd driver needs the modules rados and rbd of Ceph, '
                'which are packages of the distribution (python3-rados, '
                'python3-rbd on Debian): %s') % rbd_images.missing)

    def check_for_setup_error(self) -> None:
        try:
            self._connected(self._active())
        except rbd_images.rados.Error as error:
            if rbd_images.is_passing(error):
                raise self._unavailable(error) from error
            raise self._misconfigured('rbd_ceph_conf', _(
                'cannot connect to Ceph: %s') % error) from error
        pool, namespace = self._place
        if not self._run(rbd_images.has_pool, pool):
            raise self._misconfigured(
                'rbd_pool', _('there is no pool %s') % pool)
        if namespace and not self._run_in_pool(
                rbd_images.has_namespace, namespace):
            raise self._misconfigured(
                'rbd_namespace', _('pool %(pool)s has no namespace '
                                   '%(namespace)s') % {
                                       'pool': pool, 'namespace': namespace})

    def scan(self, cinder_snapshots: list[Any]
             ) -> Iterator[base.BackendSnapshot]:
        try:
            images = self._run(
                rbd_scan.scan, self._place, self._options.rbd_list_threads,
                self.conf.manageable_snapshots.list_timeout * _SHARE)
        except exception.ServiceUnavailable as error:
            if rbd_images.errno_of(error.__cause__) == errno.ETIMEDOUT:
                raise exception.BackendTimeout(
                    host=self.backend, seconds=self._seconds) from error
            raise
        self._log_unread([image for image in images if image.error])
        clones = collections.Counter(image.parent for image in images)
        for image in images:
            if image.error is not None:
                yield self._unread(image)
            for snapshot in image.snapshots:
                yield self._entry(image, snapshot,
                                  clones[image.name, snapshot.name])

    def managed_name(self, existing_ref: base.Reference) -> str | None:
        if 'source-name' in existing_ref:
            return existing_ref['source-name']
        try:
            image, snapshot_id = rbd_images.split(
                existing_ref.get('source-id', ''))
            return encoding.shown(self._run_in_pool(
                rbd_images.look_up, image, None, snapshot_id).name)
        except rbd_images.Refused:
            return None

    def is_adopted(self, snapshot: Any) -> bool:
        try:
            self._run_in_pool(rbd_images.finish, snapshot.volume.name.encode(),
                              snapshot.name)
        except rbd_images.Refused:
            return False
        return True

    def manage_existing_snapshot_get_size(
            self, snapshot: Any, existing_ref: base.Reference) -> int:
        ref, wanted = self._wanted(snapshot, existing_ref)
        with self._refusals(ref):
            return base.gibibytes(
                self._run_in_pool(rbd_images.look_up_adoptable, *wanted).size)

    def manage_existing_snapshot(
            self, snapshot: Any,
            existing_ref: base.Reference) -> dict[str, Any] | None:
        ref, wanted = self._wanted(snapshot, existing_ref)
        deadline = time.monotonic() + self._seconds + 1
        while True:
            try:
                with self._refusals(ref):
                    self._run_in_pool(
                        rbd_images.adopt, *wanted, snapshot.name.encode(),
                        self._seconds)
                return None
            except FileExistsError as error:
                raise exception.ManageExistingAlreadyManaged(
                    volume_ref=snapshot.name) from error
            except rbd_images.Busy as error:
                if time.monotonic() >= deadline:
                    raise exception.ServiceUnavailable(_(
                        'Another adoption on backend %(backend)s holds the '
                        'lock of image %(image)s.') % {
                            'backend': self.backend,
                            'image': snapshot.volume.name}) from error
            time.sleep(_PAUSE)

    def unmanage_snapshot(self, snapshot: Any) -> None:
        """Unmanage a snapshot; unprotect it unless it has clones."""
        self._run_in_pool(rbd_images.unprotect, snapshot.volume.name.encode(),
                          snapshot.name.encode())

    def create_volume(self, volume: Any) -> None:
        try:
            self._run_in_pool(rbd_images.create_image, volume.name.encode(),
                              volume.size * units.Gi)
        except FileExistsError as error:
            raise exception.InvalidVolume(
                reason=_('the backend has a volume of that name')) from error

    def delete_volume(self, volume: Any) -> None:
        try:
            self._run_in_pool(rbd_images.remove_image, volume.name.encode())
        except rbd_images.Refused as error:
            raise exception.InvalidVolume(reason=str(error)) from error

    def create_snapshot(self, snapshot: Any) -> None:
        try:
            self._run_in_pool(
                rbd_images.create_snapshot, snapshot.volume.name.encode(),
                snapshot.name.encode())
        except rbd_images.Refused as error:
            raise exception.InvalidVolume(reason=str(error)) from error
        except FileExistsError as error:
            raise exception.InvalidSnapshot(
                reason=_('the volume has a snapshot of that name')
            ) from error

    def delete_snapshot(self, snapshot: Any) -> None:
        try:
            self._run_in_pool(
                rbd_images.remove_snapshot, snapshot.volume.name.encode(),
                snapshot.name.encode())
        except rbd_images.Refused as error:
            raise exception.InvalidSnapshot(reason=str(error)) from error

    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:
        space = self._run(rbd_images.space, self._options.rbd_pool)
        total, free = (None, None) if space is None else (
            sum(space), space[1])
        return self.stats('ceph', total, free, thin=True)

    @property
    def _place(self) -> tuple[str, str]:
        return self._options.rbd_pool, self._options.rbd_namespace

    def _entry(self, image: rbd_scan.Image, snapshot: rbd_images.Snapshot,
               clones: int) -> base.BackendSnapshot:
        extra = {}
        if snapshot.protected:
            extra['protected'] = 'true'
        if clones:
            extra['clones'] = str(clones)
        return base.BackendSnapshot(
            reference={'source-name': encoding.shown(snapshot.name),
                       'source-id': rbd_images.join(image.name, snapshot.id)},
            source_reference={'source-name': encoding.shown(image.name)},
            size=base.gibibytes(snapshot.size),
            safe_to_manage=snapshot.fault is None,
            reason_not_safe=snapshot.fault,
            extra_info=extra or None,
            pool=self.pool_name)

    def _unread(self, image: rbd_scan.Image) -> base.BackendSnapshot:
        """Return the entry for an image that could not be read."""
        return base.BackendSnapshot(
            reference={'source-id': rbd_images.join(image.name, None)},
            source_reference={'source-name': encoding.shown(image.name)},
            size=None, safe_to_manage=False, reason_not_safe=image.error,
            pool=self.pool_name, is_unread=True)

    def _log_unread(self, images: list[rbd_scan.Image]) -> None:
        if not images:
            return
        LOG.warning(
            'Images of backend %(backend)s that could not be read: '
            '%(count)d. The list has one entry for each, in place of its '
            'snapshots. %(images)s%(more)s', {
                'backend': self.backend, 'count': len(images),
                'images': '; '.join(
                    f'{reference.shown(encoding.shown(image.name))}: '
                    f'{image.error}' for image in images[:_NAMED]),
                'more': '; ...' if len(images) > _NAMED else ''})

    def _wanted(self, snapshot: Any, existing_ref: Any
                ) -> tuple[base.Reference,
                           tuple[bytes, str | None, int | None]]:
        """What a reference means: image, and name or id of the snapshot.

        :returns: the reference, and that
        :raises ManageExistingInvalidReference: it can mean none of the volume
        """
        ref = reference.parse(existing_ref)
        image = snapshot.volume.name.encode()
        name = snapshot_id = None
        with self._refusals(ref):
            if 'source-id' in ref:
                parent, snapshot_id = rbd_images.split(ref['source-id'])
                if parent != image:
                    raise rbd_images.Refused(_(
                        'it is a snapshot of image %(parent)s, not of '
                        '%(image)s') % {
                            'parent': reference.shown(encoding.shown(parent)),
                            'image': snapshot.volume.name})
            if 'source-name' in ref:
                name = ref['source-name']
            if name is snapshot_id is None:
                raise rbd_images.Refused(
                    _('it needs source-name or source-id'))
        return ref, (image, name, snapshot_id)

    @contextlib.contextmanager
    def _refusals(self, ref: base.Reference) -> Iterator[None]:
        try:
            yield
        except rbd_images.Refused as error:
            raise exception.ManageExistingInvalidReference(
                existing_ref=reference.shown(ref), reason=str(error)
            ) from error

    def _run_in_pool(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function with the open pool.

        :raises ServiceUnavailable: as :meth:`_run`
        """
        return self._run(rbd_images.in_pool, *self._place, function, *args)

    def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function with the connection, in a thread that may block.

        It is called once more where the connection turns out to be broken.

        :raises ServiceUnavailable: Ceph is away, or does not answer in time;
            or the backend failed over meanwhile, so that the result is the
            old cluster's
        """
        cluster = self._active()
        try:
            connected = self._connected(cluster)
            try:
                return threads.call(function, connected, *args)
            except (rbd_images.rados.Error, rbd_images.rbd.Error) as error:
                if rbd_images.errno_of(error) != errno.ESHUTDOWN:
                    raise
                self._forget(connected)
            return threads.call(function, self._connected(cluster), *args)
        except (rbd_images.rados.Error, rbd_images.rbd.Error) as error:
            raise self._unavailable(error) from error
        finally:
            self._check_still_active(cluster)

    def _check_still_active(self, cluster: rbd_cluster.Cluster) -> None:
        if self._active() != cluster:
            raise exception.ServiceUnavailable(
                _('Backend %s has just failed over to another cluster.')
                % self.backend)

    def _connected(self, cluster: rbd_cluster.Cluster) -> Any:
        with self._switching:
            if self._connection.cluster != cluster:
                LOG.info('Backend %(backend)s has failed over: connecting to '
                         'Ceph cluster %(name)s (%(conf)s).', {
                             'backend': self.backend, 'name': cluster.name,
                             'conf': cluster.conf})
                # The old one is closed when the last thread is done with it.
                self._connection = rbd_cluster.Connection(cluster)
            connection = self._connection
        if not connection.guard.acquire(timeout=self._seconds):
            raise self._unavailable(_('the connection is not there yet'))
        try:
            if connection.handle is None:
                connection.handle = threads.call(rbd_images.connect, dict(
                    rados_id=cluster.user, clustername=cluster.name,
                    conffile=cluster.conf), {
                        'rados_osd_op_timeout': self._seconds,
                        'rados_mon_op_timeout': self._seconds,
                        'client_mount_timeout': (
                            self._options.rados_connect_timeout
                            if self._options.rados_connect_timeout > 0
                            else self._seconds)})
            return connection.handle
        finally:
            connection.guard.release()

    def _forget(self, connected: Any) -> None:
        LOG.warning('Ceph has shut out the connection of backend %s; '
                    'connecting again.',
                    self.backend)
        connection = self._connection
        if connection.handle is connected:
            # It is closed when the last thread that uses it has let go.
            connection.handle = None

    def _misconfigured(self, option: str,
                       reason: str) -> exception.ConfigurationError:
        return exception.ConfigurationError(
            option=option, group=self.backend, reason=reason)

    def _unavailable(self, error: Any) -> exception.ServiceUnavailable:
        if rbd_images.errno_of(error) == errno.ETIMEDOUT:
            return exception.ServiceUnavailable(_(
                'Ceph does not answer backend %(backend)s within %(seconds)s '
                'seconds.') % {'backend': self.backend,
                               'seconds': self._seconds})
        return exception.ServiceUnavailable(_(
            'Ceph is in trouble on backend %(backend)s: %(error)s.') % {
                'backend': self.backend, 'error': error})
