# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Ceph: the snapshots of the RBD images of a pool.

A volume is an image by its name. Names of snapshots are unique in their image
only, so a reference has ``IMAGE@ID`` beside the name, with the id that Ceph
gave the snapshot; a rename leaves it as it is.

What librbd 16 does with a snapshot was tried out, and what is safe to manage
goes by it:

- It renames protected snapshots and those with clones, of either format; a
  clone does not notice. It renames while somebody else writes to the image,
  and holds its exclusive lock.
- It does not rename snapshots that are not a user's own (of a group, of
  mirroring, deleted ones that clones still need), nor in an image that is not
  the primary one of its mirror.
- It does rename in an image that is being migrated, but if the migration is
  aborted the snapshot has its old name again. That is refused here.

Cost of a scan: one request for the pool, then a few for each image,
``rbd_list_threads`` images at a time; nothing for a snapshot. 300 images with
3,000 snapshots take 0.7 s here, with two cores that Ceph shares, and
3,000 images with as many 6 s.

Nothing waits for ever: each request to Ceph ends after ``rbd_op_timeout``, and
a scan ends with the first that does. The connection mends itself where Ceph
was away; where Ceph has shut it out, another one is made.

What is called in threads (see :mod:`.threads`) are the functions at the end of
the module.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import errno
import functools
import json
import re
import struct
import threading
import time
from typing import Any
import urllib.parse
import uuid

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import units

from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import native
from manageable_snapshots.drivers import threads
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import reference
from manageable_snapshots import version

try:
    import rados
    import rbd
except ImportError as error:
    rados = rbd = None
    _missing: str = str(error)

LOG = logging.getLogger(__name__)

#: seconds between two looks at a lock that somebody holds
_PAUSE = 0.02

_LOCK = 'manageable-snapshots'

# librbd's RBD_SNAP_NAMESPACE_TYPE_USER, and what the others are.
_USER = 0
_KINDS = {
    1: _('it is a part of a snapshot of a group of images'),
    2: _('it is deleted, and there only for the clones that it has'),
    3: _('it belongs to the mirroring of its image'),
}

#: errors that are Ceph's, not an image's
_PASSING = (errno.ETIMEDOUT, errno.ESHUTDOWN, errno.ENOTCONN, errno.EAGAIN,
            errno.EINTR)

#: names that one request for names returns, and bytes that it may take
_NAMES = 1024
_ANSWER = 16 * 1024 * 1024


class _Refused(Exception):
    """What is asked cannot be done; the reason."""


class _Busy(Exception):
    """Another process adopts a snapshot of the image."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Snapshot:
    """A snapshot of an image.

    :ivar size: bytes
    :ivar own: it is one that a user has taken, by this name
    :ivar fault: why it cannot be adopted; None: it can
    """

    id: int
    name: bytes
    size: int
    own: bool
    protected: bool
    fault: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class _Image:
    """What there is to know of an image.

    :ivar parent: image and snapshot in the same pool that it is a clone of
    :ivar error: why it could not be read; None: it could
    """

    name: bytes
    snapshots: tuple[_Snapshot, ...] = ()
    parent: tuple[bytes, bytes] | None = None
    error: str | None = None


class RBDDriver(native.NativeDriver, base.VolumeDriver):
    """A pool of RBD images as a backend.

    Options: those that begin with ``rbd_`` or ``rados_``.
    """

    NAME = 'rbd'

    def __init__(self, conf: cfg.ConfigOpts, backend: str) -> None:
        super().__init__(conf, backend)
        self._options = conf[backend]
        self._seconds: int = self._options.rbd_op_timeout
        self._connecting = threading.Lock()
        self._cluster: Any = None

    def do_setup(self, context: Any) -> None:
        """See to it that there is librbd.

        :raises ConfigurationError: there is not
        """
        if rbd is None:
            raise self._misconfigured('volume_driver', _(
                'the rbd driver needs the modules rados and rbd of Ceph, '
                'which are packages of the distribution (python3-rados, '
                'python3-rbd on Debian): %s') % _missing)

    def check_for_setup_error(self) -> None:
        try:
            self._connected()
        except rados.Error as error:
            if _is_passing(error):
                raise self._unavailable(error) from error
            raise self._misconfigured('rbd_ceph_conf', _(
                'cannot connect to Ceph: %s') % error) from error
        pool, namespace = self._place
        if not self._run(_has_pool, pool):
            raise self._misconfigured(
                'rbd_pool', _('there is no pool %s') % pool)
        if namespace and not self._run_in_pool(_has_namespace, namespace):
            raise self._misconfigured(
                'rbd_namespace', _('pool %(pool)s has no namespace '
                                   '%(namespace)s') % {
                                       'pool': pool, 'namespace': namespace})

    def scan(self, cinder_snapshots: list[Any]
             ) -> Iterator[base.BackendSnapshot]:
        try:
            images = self._run_in_pool(
                _scan, self._place, self._options.rbd_list_threads)
        except exception.ServiceUnavailable as error:
            if _errno(error.__cause__) == errno.ETIMEDOUT:
                raise exception.BackendTimeout(
                    host=self.backend, seconds=self._seconds) from error
            raise
        clones = collections.Counter(image.parent for image in images)
        for image in images:
            if image.error is not None:
                LOG.warning('Leaving the snapshots of image %s of backend %s '
                            'out of the list: %s',
                            reference.shown(_text(image.name)), self.backend,
                            image.error)
            for snapshot in image.snapshots:
                yield self._entry(image, snapshot,
                                  clones[image.name, snapshot.name])

    def managed_name(self, existing_ref: base.Reference) -> str | None:
        if 'source-name' in existing_ref:
            return existing_ref['source-name']
        try:
            image, snapshot_id = _split(existing_ref.get('source-id', ''))
            return _text(self._run_in_pool(
                _look_up, image, None, snapshot_id).name)
        except _Refused:
            return None

    def is_adopted(self, snapshot: Any) -> bool:
        try:
            self._run_in_pool(_finish, snapshot.volume.name.encode(),
                              snapshot.name)
        except _Refused:
            return False
        return True

    def manage_existing_snapshot_get_size(
            self, snapshot: Any, existing_ref: base.Reference) -> int:
        ref, wanted = self._wanted(snapshot, existing_ref)
        with self._refusals(ref):
            return base.gibibytes(
                self._run_in_pool(_look_up_adoptable, *wanted).size)

    def manage_existing_snapshot(
            self, snapshot: Any,
            existing_ref: base.Reference) -> dict[str, Any] | None:
        ref, wanted = self._wanted(snapshot, existing_ref)
        deadline = time.monotonic() + self._seconds + 1
        while True:
            try:
                with self._refusals(ref):
                    self._run_in_pool(
                        _adopt, *wanted, snapshot.name.encode(),
                        self._seconds)
                return None
            except FileExistsError as error:
                raise exception.ManageExistingAlreadyManaged(
                    volume_ref=snapshot.name) from error
            except _Busy as error:
                if time.monotonic() >= deadline:
                    raise exception.ServiceUnavailable(_(
                        'Another adoption on backend %(backend)s holds the '
                        'lock of image %(image)s.') % {
                            'backend': self.backend,
                            'image': snapshot.volume.name}) from error
            time.sleep(_PAUSE)

    def unmanage_snapshot(self, snapshot: Any) -> None:
        """Let go of a snapshot, unprotected unless it has clones."""
        self._run_in_pool(_unprotect, snapshot.volume.name.encode(),
                          snapshot.name.encode())

    def create_volume(self, volume: Any) -> None:
        try:
            self._run_in_pool(_create_image, volume.name.encode(),
                              volume.size * units.Gi)
        except FileExistsError as error:
            raise exception.InvalidVolume(
                reason=_('the backend has a volume of that name')) from error

    def delete_volume(self, volume: Any) -> None:
        try:
            self._run_in_pool(_remove_image, volume.name.encode())
        except _Refused as error:
            raise exception.InvalidVolume(reason=str(error)) from error

    def create_snapshot(self, snapshot: Any) -> None:
        try:
            self._run_in_pool(_create_snapshot, snapshot.volume.name.encode(),
                              snapshot.name.encode())
        except _Refused as error:
            raise exception.InvalidVolume(reason=str(error)) from error
        except FileExistsError as error:
            raise exception.InvalidSnapshot(
                reason=_('the volume has a snapshot of that name')
            ) from error

    def delete_snapshot(self, snapshot: Any) -> None:
        try:
            self._run_in_pool(_remove_snapshot, snapshot.volume.name.encode(),
                              snapshot.name.encode())
        except _Refused as error:
            raise exception.InvalidSnapshot(reason=str(error)) from error

    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:
        total: float | str = 'unknown'
        free: float | str = 'unknown'
        space = self._run(_space, self._options.rbd_pool)
        if space is not None:
            total = round(sum(space) / units.Gi, 2)
            free = round(space[1] / units.Gi, 2)
        return {
            'volume_backend_name': self._pool_name,
            'vendor_name': 'Open Source',
            'driver_version': version.version_string(),
            'storage_protocol': 'ceph',
            'total_capacity_gb': total,
            'free_capacity_gb': free,
            'reserved_percentage': 0,
            'thin_provisioning_support': True,
            'thick_provisioning_support': False,
            'multiattach': False,
            'QoS_support': False,
        }

    @property
    def _place(self) -> tuple[str, str]:
        return self._options.rbd_pool, self._options.rbd_namespace

    @property
    def _pool_name(self) -> str:
        return self._options.volume_backend_name or self.backend

    def _entry(self, image: _Image, snapshot: _Snapshot,
               clones: int) -> base.BackendSnapshot:
        extra = {}
        if snapshot.protected:
            extra['protected'] = 'true'
        if clones:
            extra['clones'] = str(clones)
        return base.BackendSnapshot(
            reference={'source-name': _text(snapshot.name),
                       'source-id': _join(image.name, snapshot.id)},
            source_reference={'source-name': _text(image.name)},
            size=base.gibibytes(snapshot.size),
            safe_to_manage=snapshot.fault is None,
            reason_not_safe=snapshot.fault,
            extra_info=extra or None,
            pool=self._pool_name)

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
                parent, snapshot_id = _split(ref['source-id'])
                if parent != image:
                    raise _Refused(_(
                        'it is a snapshot of image %(parent)s, not of '
                        '%(image)s') % {
                            'parent': reference.shown(_text(parent)),
                            'image': snapshot.volume.name})
            if 'source-name' in ref:
                name = ref['source-name']
            if name is snapshot_id is None:
                raise _Refused(_('it needs source-name or source-id'))
        return ref, (image, name, snapshot_id)

    @contextlib.contextmanager
    def _refusals(self, ref: base.Reference) -> Iterator[None]:
        try:
            yield
        except _Refused as error:
            raise exception.ManageExistingInvalidReference(
                existing_ref=reference.shown(ref), reason=str(error)
            ) from error

    def _run_in_pool(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function with the open pool.

        :raises ServiceUnavailable: as :meth:`_run`
        """
        return self._run(_in_pool, *self._place, function, *args)

    def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function with the connection, in a thread that may block.

        It is called once more where the connection turns out to be broken.

        :raises ServiceUnavailable: Ceph is away, or does not answer in time
        """
        try:
            cluster = self._connected()
            try:
                return threads.call(function, cluster, *args)
            except (rados.Error, rbd.Error) as error:
                if _errno(error) != errno.ESHUTDOWN:
                    raise
                self._forget(cluster)
            return threads.call(function, self._connected(), *args)
        except (rados.Error, rbd.Error) as error:
            raise self._unavailable(error) from error

    def _connected(self) -> Any:
        if not self._connecting.acquire(timeout=self._seconds):
            raise self._unavailable(_('the connection is not there yet'))
        try:
            if self._cluster is None:
                self._cluster = threads.call(_connect, dict(
                    rados_id=self._options.rbd_user,
                    clustername=self._options.rbd_cluster_name,
                    conffile=self._options.rbd_ceph_conf), {
                        'rados_osd_op_timeout': self._seconds,
                        'rados_mon_op_timeout': self._seconds,
                        'client_mount_timeout': (
                            self._options.rados_connect_timeout
                            if self._options.rados_connect_timeout > 0
                            else self._seconds)})
            return self._cluster
        finally:
            self._connecting.release()

    def _forget(self, cluster: Any) -> None:
        LOG.warning('Ceph has shut out backend %s, which connects anew.',
                    self.backend)
        if self._cluster is cluster:
            # It is closed when the last thread that uses it has let go.
            self._cluster = None

    def _misconfigured(self, option: str,
                       reason: str) -> exception.ConfigurationError:
        return exception.ConfigurationError(
            option=option, group=self.backend, reason=reason)

    def _unavailable(self, error: Any) -> exception.ServiceUnavailable:
        if _errno(error) == errno.ETIMEDOUT:
            return exception.ServiceUnavailable(_(
                'Ceph does not answer backend %(backend)s within %(seconds)s '
                'seconds.') % {'backend': self.backend,
                               'seconds': self._seconds})
        return exception.ServiceUnavailable(_(
            'Ceph is in trouble on backend %(backend)s: %(error)s.') % {
                'backend': self.backend, 'error': error})


def _text(name: bytes) -> str:
    return name.decode('utf-8', 'backslashreplace')


def _join(image: bytes, snapshot_id: int) -> str:
    """The id of a snapshot, for a reference.

    What is not text, and what would be taken for something else, is
    percent-encoded.
    """
    text = re.sub(
        '[%\x00-\x1f\x7f-\x9f\udc80-\udcff]',
        lambda match: ''.join(f'%{byte:02X}' for byte in match.group().encode(
            'utf-8', 'surrogateescape')),
        image.decode('utf-8', 'surrogateescape'))
    return f'{text}@{snapshot_id}'


def _split(source_id: str) -> tuple[bytes, int]:
    """Image and snapshot's id.

    :raises _Refused: there can be none
    """
    image, _at, snapshot_id = source_id.rpartition('@')
    if not image or not re.fullmatch('[0-9]{1,20}', snapshot_id):
        raise _Refused(_('source-id is not of the form IMAGE@ID'))
    return urllib.parse.unquote_to_bytes(image), int(snapshot_id)


def _errno(error: Any) -> int | None:
    return getattr(error, 'errno', None)


def _is_passing(error: Any) -> bool:
    return _errno(error) in _PASSING


def _connect(names: dict[str, Any], timeouts: dict[str, int]) -> Any:
    cluster = rados.Rados(**names)
    for option, seconds in timeouts.items():
        cluster.conf_set(option, str(seconds))
    cluster.connect()
    return cluster


def _has_pool(cluster: Any, pool: str) -> bool:
    return cluster.pool_exists(pool)


def _has_namespace(pool: Any, namespace: str) -> bool:
    return rbd.RBD().namespace_exists(pool, namespace)


def _space(cluster: Any, pool: str) -> tuple[int, int] | None:
    """Bytes in use and free, of one pool; None: Ceph cannot say now."""
    _status, answer, _message = cluster.mon_command(
        json.dumps({'prefix': 'df', 'format': 'json'}), b'')
    for each in json.loads(answer or '{}').get('pools', ()):
        if each['name'] == pool:
            stats = each['stats']
            return stats['stored'], stats['max_avail']
    return None


def _in_pool(cluster: Any, pool: str, namespace: str,
             function: Callable[..., Any], *args: Any) -> Any:
    with cluster.open_ioctx(pool) as opened:
        opened.set_namespace(namespace)
        return function(opened, *args)


def _scan(pool: Any, place: tuple[str, str], count: int) -> list[_Image]:
    """Everything there is in a pool.

    :param place: the names of pool and namespace
    :param count: how many images are read at the same time
    """
    return threads.map(functools.partial(_read, pool, place),
                       _image_names(pool), count)


def _image_names(pool: Any) -> list[bytes]:
    try:
        return [name.encode() for name in rbd.RBD().list(pool)]
    except UnicodeDecodeError:
        pass
    # One that is not UTF-8 is enough to get none from librbd's binding, so
    # ask for them as librbd does.
    names: list[bytes] = []
    found: list[bytes] = [b'']
    while found:
        answer = _ask(pool, 'rbd_directory', 'dir_list',
                      _string(found[-1]) + struct.pack('<Q', _NAMES))
        # How many, and then names and ids in turn.
        found = list(_strings(answer[4:]))[::2]
        names += found
    return names


def _read(pool: Any, place: tuple[str, str], name: bytes) -> _Image:
    try:
        with _opened(pool, name, read_only=True) as image:
            return _Image(name, tuple(_snapshots(pool, image)),
                          _parent(image, place))
    except _Refused as error:
        return _Image(name, error=str(error))
    except (rados.Error, rbd.Error) as error:
        if _is_passing(error):
            raise
        return _Image(name, error=str(error))


def _parent(image: Any, place: tuple[str, str]) -> tuple[bytes, bytes] | None:
    try:
        spec = image.get_parent_image_spec()
    except (rbd.ImageNotFound, UnicodeDecodeError):
        return None
    if (spec['pool_name'], spec['pool_namespace']) != place:
        return None
    return spec['image_name'].encode(), spec['snap_name'].encode()


@contextlib.contextmanager
def _opened(pool: Any, name: bytes, read_only: bool = False) -> Iterator[Any]:
    """An open image.

    :raises _Refused: it cannot be opened
    """
    try:
        image = rbd.Image(pool, name, read_only=read_only)
    except rbd.ImageNotFound as error:
        raise _Refused(_('its image is gone or broken')) from error
    except rbd.Error as error:
        if _is_passing(error):
            raise
        raise _Refused(
            _('its image cannot be opened: %s') % error) from error
    try:
        yield image
    finally:
        image.close()


def _snapshots(pool: Any, image: Any) -> Iterator[_Snapshot]:
    fault = _image_fault(image)
    for snapshot_id, name, size, kind in _listed(pool, image):
        own = kind == _USER
        yield _Snapshot(
            snapshot_id, name, size, own,
            protected=own and image.is_protected_snap(name),
            fault=_fault(kind) or fault or (
                None if name else _('it has no name')))


def _fault(kind: int) -> str | None:
    if kind == _USER:
        return None
    return _KINDS.get(kind, _('it is not a snapshot that a user has taken'))


def _image_fault(image: Any) -> str | None:
    """Why no snapshot of an image can be adopted; None: they can."""
    features = image.features()
    if features & rbd.RBD_FEATURE_MIGRATING:
        return _('its image is being migrated')
    if features & rbd.RBD_FEATURE_NON_PRIMARY or (
            # Only a journal has to be asked for what it is.
            features & rbd.RBD_FEATURE_JOURNALING and _is_demoted(image)):
        return _('its image is not the primary one of its mirror')
    return None


def _is_demoted(image: Any) -> bool:
    mirror = image.mirror_image_get_info()
    return (mirror['state'] == rbd.RBD_MIRROR_IMAGE_ENABLED
            and not mirror['primary'])


def _listed(pool: Any, image: Any) -> list[tuple[int, bytes, int, int]]:
    """Id, name, size in bytes and kind of each snapshot."""
    try:
        return [(each['id'], each['name'].encode(), each['size'],
                 each['namespace']) for each in image.list_snaps()]
    except UnicodeDecodeError:
        pass
    # As with the names of images.
    header = _header(image)
    context = _ask(pool, header, 'get_snapcontext')
    _newest, count = struct.unpack_from('<QI', context)
    found = []
    for snapshot_id in struct.unpack_from(f'<{count}Q', context, 12):
        packed = struct.pack('<Q', snapshot_id)
        (name,) = _strings(_ask(pool, header, 'get_snapshot_name', packed))
        _order, size = struct.unpack_from(
            '<BQ', _ask(pool, header, 'get_size', packed))
        found.append((snapshot_id, name, size,
                      image.snap_get_namespace_type(snapshot_id)))
    return found


def _ask(pool: Any, key: str, method: str, argument: bytes = b'') -> bytes:
    """Call a method of Ceph's class of RBD objects (``cls_rbd``)."""
    return pool.execute(key, 'rbd', method, argument, _ANSWER)[1]


def _string(text: bytes) -> bytes:
    return struct.pack('<I', len(text)) + text


def _strings(encoded: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(encoded):
        (length,) = struct.unpack_from('<I', encoded, place)
        place += 4
        yield encoded[place:place + length]
        place += length


def _header(image: Any) -> str:
    """The object in which Ceph keeps what it knows of an image."""
    if image.old_format():
        return f'{image.get_name()}.rbd'
    return f'rbd_header.{image.id()}'


def _find(pool: Any, image: Any, name: str | None,
          snapshot_id: int | None) -> _Snapshot:
    """A snapshot by its name or by its id; given both, it must have both.

    :raises _Refused: there is none
    """
    for found in _snapshots(pool, image):
        if snapshot_id is None:
            if found.own and name is not None and (
                    found.name == name.encode()):
                return found
        elif found.id == snapshot_id:
            if name not in (None, _text(found.name)):
                raise _Refused(_(
                    'source-name and source-id do not belong together'))
            return found
    raise _Refused(_('its image has no such snapshot'))


def _adoptable(pool: Any, image: Any, name: str | None,
               snapshot_id: int | None) -> _Snapshot:
    found = _find(pool, image, name, snapshot_id)
    if found.fault is not None:
        raise _Refused(found.fault)
    return found


def _look_up(pool: Any, image: bytes, name: str | None,
             snapshot_id: int | None) -> _Snapshot:
    with _opened(pool, image, read_only=True) as opened:
        return _find(pool, opened, name, snapshot_id)


def _look_up_adoptable(pool: Any, image: bytes, name: str | None,
                       snapshot_id: int | None) -> _Snapshot:
    with _opened(pool, image, read_only=True) as opened:
        return _adoptable(pool, opened, name, snapshot_id)


def _adopt(pool: Any, image: bytes, name: str | None,
           snapshot_id: int | None, new: bytes, seconds: int) -> None:
    """Rename a snapshot.

    librbd renames by name, which it looks up in what it knows of the open
    image, and tells Ceph the id. What it knows was read when the image was
    opened, or again when another client said that it had changed something.
    So:

    - No other worker does the same at the time. It would not be told of a
      rename early enough, and rename by the id what has a row already.
    - What is looked up here and what librbd looks up is the same, unless
      somebody has just swapped the names of two snapshots. That shows
      afterwards, and is undone.

    :param seconds: how long the lock of a worker that dies holds
    :raises _Refused: there is no such snapshot, or it cannot be adopted
    :raises FileExistsError: the image has another one of the new name
    :raises _Busy: somebody else does the same
    """
    # An image that is open, other than to read, cannot be deleted; to lock
    # what is gone would make it anew.
    with _opened(pool, image) as held, _locked(pool, held, seconds), \
            _opened(pool, image) as opened:
        found = _adoptable(pool, opened, name, snapshot_id)
        if found.name == new:
            _protect(opened, new)
            return
        try:
            _rename(opened, found.name, new)
        except rbd.ImageNotFound as error:
            raise _Refused(_('it has just been renamed or deleted')) from error
        except rbd.ImageExists as error:
            raise FileExistsError() from error
        except rbd.Error as error:
            if _is_passing(error):
                raise
            raise _Refused(_('Ceph does not rename it: %s') % error) from error
        renamed = [each.id for each in _snapshots(pool, opened)
                   if each.own and each.name == new]
        if renamed != [found.id]:
            if renamed:
                _rename(opened, new, found.name)
            raise _Refused(_('it has just been renamed or deleted'))
        _protect(opened, new)


def _finish(pool: Any, image: bytes, name: str) -> None:
    """See to what a worker that died after a rename did not come to.

    :raises _Refused: there is no snapshot of that name
    """
    if not _look_up(pool, image, name, None).protected:
        with _opened(pool, image) as opened:
            _protect(opened, name.encode())


def _protect(image: Any, name: bytes) -> None:
    """Protect a snapshot, if it is not yet.

    Cinder does, when it adopts and when it takes one, since clones of the
    older format need it. An image without layering cannot be cloned anyway.
    """
    with contextlib.suppress(rbd.ImageBusy, rbd.FunctionNotSupported):
        image.protect_snap(name)


def _unprotect(pool: Any, image: bytes, name: bytes) -> None:
    # Busy is one that has clones, and invalid one that is not protected.
    with contextlib.suppress(rbd.ImageNotFound, rbd.ImageBusy,
                             rbd.InvalidArgument), \
            rbd.Image(pool, image) as opened:
        opened.unprotect_snap(name)


@contextlib.contextmanager
def _locked(pool: Any, image: Any, seconds: int) -> Iterator[None]:
    """Hold a lock on an image, in competition with all workers.

    It has nothing to do with the locks of RBD, which others hold.

    :param seconds: after which it ends by itself
    :raises _Busy: somebody else holds it
    """
    key, cookie = _header(image), uuid.uuid4().hex
    try:
        pool.lock_exclusive(key, _LOCK, cookie, 'adopting', seconds)
    except rados.ObjectBusy as error:
        raise _Busy() from error
    try:
        yield
    finally:
        with contextlib.suppress(rados.Error):
            pool.unlock(key, _LOCK, cookie)


def _rename(image: Any, old: bytes, new: bytes) -> None:
    image.rename_snap(old, new)


def _create_image(pool: Any, name: bytes, size: int) -> None:
    try:
        rbd.RBD().create(pool, name, size, old_format=False)
    except rbd.ImageExists as error:
        raise FileExistsError() from error


def _remove_image(pool: Any, name: bytes) -> None:
    try:
        rbd.RBD().remove(pool, name)
    except rbd.ImageNotFound:
        pass
    except rbd.ImageHasSnapshots as error:
        raise _Refused(_('it has snapshots')) from error
    except rbd.ImageBusy as error:
        raise _Refused(_('it is in use')) from error


def _create_snapshot(pool: Any, image: bytes, name: bytes) -> None:
    with _opened(pool, image) as opened:
        try:
            opened.create_snap(name)
        except rbd.ImageExists as error:
            raise FileExistsError() from error


def _remove_snapshot(pool: Any, image: bytes, name: bytes) -> None:
    """Remove a snapshot, protected or not, that has no clones.

    :raises _Refused: it has some
    """
    with contextlib.suppress(rbd.ImageNotFound), \
            rbd.Image(pool, image) as opened:
        opened.set_snap(name)
        clones = list(opened.list_children2())
        opened.set_snap(None)
        if clones:
            raise _Refused(_('it has clones'))
        if opened.is_protected_snap(name):
            opened.unprotect_snap(name)
        opened.remove_snap(name)
