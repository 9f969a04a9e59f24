# SPDX-License-Identifier: Apache-2.0

"""What the rbd driver does with librbd.

These functions run where they may block (see :mod:`.threads`), so they leave
logs and locks to the driver.

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
- It also renames the snapshots that Cinder takes for itself, and Cinder then
  no longer finds them by name. Cinder's RBD driver lists them as not safe.
  They are refused here with the same reasons.

An image that is open to be changed follows what other clients do to it: a
snapshot that they delete is gone at the next call. An image that is open to be
read stays as it was. :mod:`.rbd_scan` reads all images of a pool.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import errno
import json
import re
import struct
from typing import Any
from typing import NamedTuple
import uuid

from manageable_snapshots.drivers import encoding
from manageable_snapshots.i18n import _

try:
    import rados
    import rbd
except ImportError as error:
    rados = rbd = None
    missing: str = str(error)

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

#: bytes that the answer to one request may take
_ANSWER = 16 * 1024 * 1024

#: requests in flight on one connection. Those that an inactive placement group
#: does not answer count until rbd_op_timeout; with Ceph's default, 1024, they
#: would hold up all others.
_IN_FLIGHT = 65536


class Refused(Exception):
    """What is asked cannot be done; the reason."""


class Gone(Refused):
    """There is no such image, or only parts of one."""


class Busy(Exception):
    """Another process adopts a snapshot of the image."""


class _Listed(NamedTuple):
    """What a list of an image's snapshots has of each.

    :ivar size: bytes
    :ivar kind: librbd's namespace
    """

    id: int
    name: bytes
    size: int
    kind: int


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of an image.

    :ivar size: bytes
    :ivar fault: why it cannot be adopted; None: it can
    """

    id: int
    name: bytes
    size: int
    protected: bool
    fault: str | None


def join(image: bytes, snapshot_id: int | None) -> str:
    """Return the ``source-id`` of a snapshot, for a reference.

    :param snapshot_id: None: for the image itself. No snapshot has the same
    """
    number = '' if snapshot_id is None else snapshot_id
    return f'{encoding.quote(image)}@{number}'


def split(source_id: str) -> tuple[bytes, int]:
    """Return image and snapshot's id.

    :raises Refused: there can be none
    """
    image, at, snapshot_id = source_id.rpartition('@')
    if image and at and not snapshot_id:
        raise Refused(_('source-id names an image, not a snapshot'))
    if not image or not re.fullmatch('[0-9]{1,20}', snapshot_id):
        raise Refused(_('source-id is not of the form IMAGE@ID'))
    return encoding.unquote(image), int(snapshot_id)


def errno_of(error: Any) -> int | None:
    return getattr(error, 'errno', None)


def is_passing(error: Any) -> bool:
    return errno_of(error) in _PASSING


def connect(names: dict[str, Any], timeouts: dict[str, int]) -> Any:
    cluster = rados.Rados(**names)
    cluster.conf_set('objecter_inflight_ops', str(_IN_FLIGHT))
    for option, seconds in timeouts.items():
        cluster.conf_set(option, str(seconds))
    cluster.connect()
    return cluster


def has_pool(cluster: Any, pool: str) -> bool:
    return cluster.pool_exists(pool)


def has_namespace(pool: Any, namespace: str) -> bool:
    return rbd.RBD().namespace_exists(pool, namespace)


def space(cluster: Any, pool: str) -> tuple[int, int] | None:
    """Bytes in use and free, of one pool; None: Ceph cannot say now."""
    _status, answer, _message = cluster.mon_command(
        json.dumps({'prefix': 'df', 'format': 'json'}), b'')
    for each in json.loads(answer or '{}').get('pools', ()):
        if each['name'] == pool:
            stats = each['stats']
            return stats['stored'], stats['max_avail']
    return None


def in_pool(cluster: Any, pool: str, namespace: str,
            function: Callable[..., Any], *args: Any) -> Any:
    with open_pool(cluster, pool, namespace) as opened:
        return function(opened, *args)


def open_pool(cluster: Any, pool: str, namespace: str) -> Any:
    """Return an open pool, which is closed when the last user drops it."""
    opened = cluster.open_ioctx(pool)
    opened.set_namespace(namespace)
    return opened


@contextlib.contextmanager
def open_image(pool: Any, name: bytes,
               read_only: bool = False) -> Iterator[Any]:
    """An open image.

    :raises Gone: no such image
    :raises Refused: it cannot be opened
    """
    try:
        image = rbd.Image(pool, name, read_only=read_only)
    except rbd.ImageNotFound as error:
        raise Gone(_('its image is gone or broken')) from error
    except rbd.Error as error:
        if is_passing(error):
            raise
        raise Refused(
            _('its image cannot be opened: %s') % error) from error
    try:
        yield image
    finally:
        image.close()


def snapshots(pool: Any, image: Any) -> Iterator[Snapshot]:
    """Yield every snapshot of an image that is open to be read."""
    fault = _image_fault(image)
    for listed in _listed(pool, image):
        found = _described(image, listed, fault)
        if found is not None:
            yield found


def _described(image: Any, listed: _Listed,
               image_fault: str | None) -> Snapshot | None:
    """Return a snapshot of a list; None: it has been deleted since.

    :param image_fault: of :func:`_image_fault`
    """
    try:
        protected = (listed.kind == _USER
                     and image.is_protected_snap(listed.name))
    except rbd.ImageNotFound:
        return None
    return Snapshot(
        listed.id, listed.name, listed.size, protected,
        fault=_cinders_own(listed.name) or _fault(listed.kind) or image_fault
        or (None if listed.name else _('it has no name')))


def _cinders_own(name: bytes) -> str | None:
    """Return what Cinder has taken a snapshot for, by its name.

    Rules and words are those of ``get_manageable_snapshots`` in Cinder's RBD
    driver.

    :returns: None: it is not one of these
    """
    if name.endswith(b'.clone_snap'):
        return _('used for clone snap')
    if name.startswith(b'backup') and b'.snap.' in name:
        return _('used for volume backup')
    return None


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


def _listed(pool: Any, image: Any) -> list[_Listed]:
    try:
        return [_Listed(each['id'], each['name'].encode(), each['size'],
                        each['namespace']) for each in image.list_snaps()]
    except (UnicodeDecodeError, rbd.ImageNotFound):
        # One name that is not UTF-8 is enough to get none from librbd's
        # binding, as is one snapshot that is deleted meanwhile.
        return list(_listed_by_id(pool, image))


def _listed_by_id(pool: Any, image: Any) -> Iterator[_Listed]:
    """Ask for each snapshot, as librbd does."""
    header = _header(image)
    context = ask(pool, header, 'get_snapcontext')
    _newest, count = struct.unpack_from('<QI', context)
    for snapshot_id in struct.unpack_from(f'<{count}Q', context, 12):
        packed = struct.pack('<Q', snapshot_id)
        # It may be deleted meanwhile.
        with contextlib.suppress(rados.ObjectNotFound, rbd.ImageNotFound):
            (name,) = decoded_texts(
                ask(pool, header, 'get_snapshot_name', packed))
            _order, size = struct.unpack_from(
                '<BQ', ask(pool, header, 'get_size', packed))
            yield _Listed(snapshot_id, name, size,
                          image.snap_get_namespace_type(snapshot_id))


def ask(pool: Any, key: str, method: str, argument: bytes = b'') -> bytes:
    """Call a method of Ceph's class of RBD objects (``cls_rbd``)."""
    return pool.execute(key, 'rbd', method, argument, _ANSWER)[1]


def encoded_text(text: bytes) -> bytes:
    """Return a text as Ceph encodes it."""
    return struct.pack('<I', len(text)) + text


def decoded_texts(encoded: bytes) -> Iterator[bytes]:
    """Yield the texts that Ceph has encoded, one after the other."""
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
          snapshot_id: int | None) -> Snapshot:
    """Return a snapshot by its name or its id; given both, it has both.

    Only this one is asked about: others may be deleted meanwhile.

    :raises Refused: no such snapshot
    """
    for listed in _listed(pool, image):
        if snapshot_id is None:
            if (listed.kind != _USER or name is None
                    or listed.name != name.encode()):
                continue
        elif listed.id != snapshot_id:
            continue
        elif name not in (None, encoding.shown(listed.name)):
            raise Refused(_(
                'source-name and source-id do not belong together'))
        found = _described(image, listed, _image_fault(image))
        if found is not None:
            return found
    raise Refused(_('its image has no such snapshot'))


def _adoptable(pool: Any, image: Any, name: str | None,
               snapshot_id: int | None) -> Snapshot:
    found = _find(pool, image, name, snapshot_id)
    if found.fault is not None:
        raise Refused(found.fault)
    return found


def look_up(pool: Any, image: bytes, name: str | None,
            snapshot_id: int | None) -> Snapshot:
    with open_image(pool, image, read_only=True) as opened:
        return _find(pool, opened, name, snapshot_id)


def look_up_adoptable(pool: Any, image: bytes, name: str | None,
                      snapshot_id: int | None) -> Snapshot:
    with open_image(pool, image, read_only=True) as opened:
        return _adoptable(pool, opened, name, snapshot_id)


def adopt(pool: Any, image: bytes, name: str | None,
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
    :raises Refused: there is no such snapshot, or it cannot be adopted
    :raises FileExistsError: the image has another one of the new name
    :raises Busy: somebody else does the same
    """
    # An image that is open, other than to read, cannot be deleted; to lock
    # what is gone would make it anew.
    with open_image(pool, image) as held, _locked(pool, held, seconds), \
            open_image(pool, image) as opened:
        found = _adoptable(pool, opened, name, snapshot_id)
        if found.name == new:
            protect(opened, new)
            return
        try:
            rename(opened, found.name, new)
        except rbd.ImageNotFound as error:
            raise Refused(_('it has just been renamed or deleted')) from error
        except rbd.ImageExists as error:
            raise FileExistsError() from error
        except rbd.Error as error:
            if is_passing(error):
                raise
            raise Refused(_('Ceph does not rename it: %s') % error) from error
        renamed = [each.id for each in _listed(pool, opened)
                   if each.kind == _USER and each.name == new]
        if renamed != [found.id]:
            if renamed:
                rename(opened, new, found.name)
            raise Refused(_('it has just been renamed or deleted'))
        protect(opened, new)


def finish(pool: Any, image: bytes, name: str) -> None:
    """See to what a worker that died after a rename did not come to.

    :raises Refused: there is no snapshot of that name
    """
    if not look_up(pool, image, name, None).protected:
        with open_image(pool, image) as opened:
            protect(opened, name.encode())


def protect(image: Any, name: bytes) -> None:
    """Protect a snapshot, if it is not yet.

    Cinder does, when it adopts and when it takes one, since clones of the
    older format need it. An image without layering cannot be cloned anyway,
    and one that is no longer the primary one of its mirror is read-only.

    :raises Refused: somebody has renamed or deleted it since
    """
    try:
        with contextlib.suppress(rbd.ImageBusy, rbd.FunctionNotSupported,
                                 rbd.ReadOnlyImage):
            image.protect_snap(name)
    except rbd.ImageNotFound as error:
        raise Refused(_('it has just been renamed or deleted')) from error


def unprotect(pool: Any, image: bytes, name: bytes) -> None:
    # Busy is one that has clones, and invalid one that is not protected.
    with contextlib.suppress(rbd.ImageNotFound, rbd.ImageBusy,
                             rbd.InvalidArgument, rbd.ReadOnlyImage), \
            rbd.Image(pool, image) as opened:
        opened.unprotect_snap(name)


@contextlib.contextmanager
def _locked(pool: Any, image: Any, seconds: int) -> Iterator[None]:
    """Hold a lock on an image, in competition with all workers.

    It has nothing to do with the locks of RBD, which others hold.

    :param seconds: after which it ends by itself
    :raises Busy: somebody else holds it
    """
    key, cookie = _header(image), uuid.uuid4().hex
    try:
        pool.lock_exclusive(key, _LOCK, cookie, 'adopting', seconds)
    except rados.ObjectBusy as error:
        raise Busy() from error
    try:
        yield
    finally:
        with contextlib.suppress(rados.Error):
            pool.unlock(key, _LOCK, cookie)


def rename(image: Any, old: bytes, new: bytes) -> None:
    image.rename_snap(old, new)


def create_image(pool: Any, name: bytes, size: int) -> None:
    try:
        rbd.RBD().create(pool, name, size, old_format=False)
    except rbd.ImageExists as error:
        raise FileExistsError() from error


def remove_image(pool: Any, name: bytes) -> None:
    try:
        rbd.RBD().remove(pool, name)
    except rbd.ImageNotFound:
        pass
    except rbd.ImageHasSnapshots as error:
        raise Refused(_('it has snapshots')) from error
    except rbd.ImageBusy as error:
        raise Refused(_('it is in use')) from error


def create_snapshot(pool: Any, image: bytes, name: bytes) -> None:
    with open_image(pool, image) as opened:
        try:
            opened.create_snap(name)
        except rbd.ImageExists as error:
            raise FileExistsError() from error


def remove_snapshot(pool: Any, image: bytes, name: bytes) -> None:
    """Remove a snapshot, protected or not, that has no clones.

    :raises Refused: it has some
    """
    with contextlib.suppress(rbd.ImageNotFound), \
            rbd.Image(pool, image) as opened:
        opened.set_snap(name)
        clones = list(opened.list_children2())
        opened.set_snap(None)
        if clones:
            raise Refused(_('it has clones'))
        if opened.is_protected_snap(name):
            opened.unprotect_snap(name)
        opened.remove_snap(name)
