# SPDX-License-Identifier: Apache-2.0

"""What the rbd driver uses of Ceph's modules ``rados`` and ``rbd``, in memory.

It does what librbd 16 was seen to do; the integration tests see whether it
still does.
"""

from collections.abc import Callable
import errno
import itertools
import struct
from typing import Any

import fixtures

from manageable_snapshots.drivers.rbd import images as rbd_images

#: bits of Image.features() and namespaces of snapshots
JOURNALING, MIGRATING, NON_PRIMARY = 64, 512, 1024
USER, GROUP, TRASH, MIRROR = range(4)


class Error(Exception):
    """An error of either module.

    :param number: of ``errno``
    """

    def __init__(self, number: int = errno.EIO) -> None:
        super().__init__(f'[errno {number}] it went wrong')
        self.errno = number


def error(name: str) -> type[Error]:
    return type(name, (Error,), {})


class Rados:
    """The module ``rados``."""

    Error = Error
    ObjectBusy = error('ObjectBusy')
    ObjectNotFound = error('ObjectNotFound')

    def __init__(self, storage: 'Storage') -> None:
        self._storage = storage

    def Rados(self, **names: Any) -> 'Cluster':
        return Cluster(self._storage, names)


class Cluster:

    def __init__(self, storage: 'Storage', names: dict[str, Any]) -> None:
        self.storage = storage
        self.names = names
        self.options: dict[str, str] = {}
        storage.clusters.append(self)

    def conf_set(self, option: str, value: str) -> None:
        self.options[option] = value

    def connect(self) -> None:
        self.storage.fail('connect')

    def pool_exists(self, pool: str) -> bool:
        return pool == self.storage.pool

    def mon_command(self, command: str,
                    data: bytes) -> tuple[int, bytes, str]:
        return 0, self.storage.df, ''

    def open_ioctx(self, pool: str) -> 'Ioctx':
        if pool != self.storage.pool:
            raise Error(errno.ENOENT)
        return Ioctx(self.storage)


class Completion:
    """A request that goes on in the background.

    :param silent: Ceph never answers it
    """

    def __init__(self, silent: bool) -> None:
        self._silent = silent

    def wait_for_complete(self) -> None:
        pass

    def is_complete(self) -> bool:
        return True

    def get_return_value(self) -> int:
        return -errno.ETIMEDOUT if self._silent else 0


class Ioctx:

    def __init__(self, storage: 'Storage') -> None:
        self.storage = storage

    def __enter__(self) -> 'Ioctx':
        return self

    def __exit__(self, *args: Any) -> None:
        pass

    def aio_execute(self, key: str, module: str, method: str, data: bytes,
                    length: int) -> Completion:
        return Completion(key in self.storage.silent)

    def set_namespace(self, namespace: str) -> None:
        self.namespace = namespace

    def lock_exclusive(self, key: str, name: str, cookie: str,
                       description: str, seconds: int) -> None:
        if key in self.storage.locks:
            raise Rados.ObjectBusy(errno.EBUSY)
        self.storage.locks[key] = cookie

    def unlock(self, key: str, name: str, cookie: str) -> None:
        self.storage.fail('unlock')
        if self.storage.locks.get(key) == cookie:
            del self.storage.locks[key]

    def execute(self, key: str, module: str, method: str, data: bytes,
                length: int) -> tuple[int, bytes]:
        answer = getattr(self, f'_{method}')(key, data)
        return len(answer), answer

    def read(self, key: str, length: int) -> bytes:
        # The names of images of the older format.
        self.storage.fail('list')
        return self.storage.older

    def _dir_list(self, key: str, data: bytes) -> bytes:
        (length,) = struct.unpack_from('<I', data)
        after = data[4:4 + length]
        names = sorted(name for name in self.storage.images if name > after)
        # Fewer than are asked for: a driver has to ask again.
        names = names[:2]
        return struct.pack('<I', len(names)) + b''.join(
            _string(name) + _string(self.storage.images[name]['id'].encode())
            for name in names)

    def _get_snapcontext(self, key: str, data: bytes) -> bytes:
        ids = list(self._by_header(key))
        return struct.pack(f'<QI{len(ids)}Q', max(ids), len(ids), *ids)

    def _get_snapshot_name(self, key: str, data: bytes) -> bytes:
        (snapshot_id,) = struct.unpack('<Q', data)
        if snapshot_id not in self._by_header(key):
            raise Rados.ObjectNotFound(errno.ENOENT)
        return _string(self._by_header(key)[snapshot_id]['name'])

    def _get_size(self, key: str, data: bytes) -> bytes:
        (snapshot_id,) = struct.unpack('<Q', data)
        return struct.pack('<BQ', 22,
                           self._by_header(key)[snapshot_id]['size'])

    def _by_header(self, key: str) -> dict[int, dict[str, Any]]:
        (image,) = [each for each in self.storage.images.values()
                    if f'rbd_header.{each["id"]}' == key]
        return image['snapshots']


class Module:
    """The module ``rbd``."""

    Error = Error
    ImageNotFound = error('ImageNotFound')
    ImageExists = error('ImageExists')
    ImageHasSnapshots = error('ImageHasSnapshots')
    ImageBusy = error('ImageBusy')
    FunctionNotSupported = error('FunctionNotSupported')
    InvalidArgument = error('InvalidArgument')
    ReadOnlyImage = error('ReadOnlyImage')
    RBD_FEATURE_JOURNALING = JOURNALING
    RBD_FEATURE_MIGRATING = MIGRATING
    RBD_FEATURE_NON_PRIMARY = NON_PRIMARY
    RBD_MIRROR_IMAGE_ENABLED = 1

    class RBD:

        def namespace_exists(self, ioctx: Ioctx, namespace: str) -> bool:
            return namespace == ioctx.storage.namespace

        def create(self, ioctx: Ioctx, name: bytes, size: int,
                   old_format: bool) -> None:
            if name in ioctx.storage.images:
                raise Module.ImageExists(errno.EEXIST)
            ioctx.storage.images[name] = {
                'id': f'{next(ioctx.storage.numbers):x}', 'size': size,
                'features': 61, 'snapshots': {}, 'parent': None,
                'primary': True, 'old': old_format, 'in_use': False}

        def remove(self, ioctx: Ioctx, name: bytes) -> None:
            if name not in ioctx.storage.images:
                raise Module.ImageNotFound(errno.ENOENT)
            if ioctx.storage.images[name]['snapshots']:
                raise Module.ImageHasSnapshots(errno.ENOTEMPTY)
            if ioctx.storage.images[name]['in_use']:
                raise Module.ImageBusy(errno.EBUSY)
            del ioctx.storage.images[name]

    class Image:

        def __init__(self, ioctx: Ioctx, name: bytes,
                     read_only: bool = False) -> None:
            step = f'open {name.decode(errors="replace")}'
            ioctx.storage.happen(step)
            ioctx.storage.fail(step)
            if name not in ioctx.storage.images:
                raise Module.ImageNotFound(errno.ENOENT)
            self._name = name
            self._storage = ioctx.storage
            self._image = ioctx.storage.images[name]
            self._snapshots = self._image['snapshots']
            self._read_only = read_only
            self._storage.opened += 1

        def __enter__(self) -> 'Module.Image':
            return self

        def __exit__(self, *args: Any) -> None:
            self.close()

        def close(self) -> None:
            self._storage.opened -= 1

        def id(self) -> str:
            return self._image['id']

        def get_name(self) -> str:
            return self._name.decode()

        def old_format(self) -> bool:
            return self._image['old']

        def features(self) -> int:
            return self._image['features']

        def mirror_image_get_info(self) -> dict[str, Any]:
            return {'state': 1, 'primary': self._image['primary']}

        def get_parent_image_spec(self) -> dict[str, str]:
            if self._image['parent'] is None:
                raise Module.ImageNotFound(errno.ENOENT)
            return dict(zip(
                ('pool_name', 'pool_namespace', 'image_name', 'snap_name'),
                self._image['parent']))

        def list_snaps(self) -> Any:
            for number, each in list(self._snapshots.items()):
                self._storage.happen('list_snaps')
                if number not in self._snapshots:
                    raise Module.ImageNotFound(errno.ENOENT)
                yield {'id': number, 'name': each['name'].decode(),
                       'size': each['size'], 'namespace': each['namespace']}

        def snap_get_namespace_type(self, snapshot_id: int) -> int:
            if snapshot_id not in self._snapshots:
                raise Module.ImageNotFound(errno.ENOENT)
            return self._snapshots[snapshot_id]['namespace']

        def is_protected_snap(self, name: bytes) -> bool:
            return self._by_name(name)['protected']

        def rename_snap(self, old: bytes, new: bytes) -> None:
            self._storage.happen('rename')
            self._storage.fail('rename')
            if self._read_only:
                raise Module.ReadOnlyImage(errno.EROFS)
            snapshot = self._by_name(old)
            self._refuse_name(new)
            snapshot['name'] = new

        def create_snap(self, name: bytes) -> None:
            self._refuse_name(name)
            number = next(self._storage.numbers)
            self._snapshots[number] = {
                'name': name, 'size': self._image['size'], 'namespace': USER,
                'protected': False, 'clones': 0}

        def set_snap(self, name: bytes | None) -> None:
            self._clones = 0 if name is None else self._by_name(
                name)['clones']

        def list_children2(self) -> Any:
            yield from range(self._clones)

        def protect_snap(self, name: bytes) -> None:
            self._storage.happen('protect')
            self._storage.fail('protect')
            snapshot = self._by_name(name)
            if snapshot['protected']:
                raise Module.ImageBusy(errno.EBUSY)
            snapshot['protected'] = True

        def unprotect_snap(self, name: bytes) -> None:
            snapshot = self._by_name(name)
            if not snapshot['protected']:
                raise Module.InvalidArgument(errno.EINVAL)
            self._storage.fail('unprotect')
            if snapshot['clones']:
                raise Module.ImageBusy(errno.EBUSY)
            snapshot['protected'] = False

        def remove_snap(self, name: bytes) -> None:
            snapshot = self._by_name(name)
            if snapshot['protected']:
                raise Module.ImageBusy(errno.EBUSY)
            for number, each in list(self._snapshots.items()):
                if each is snapshot:
                    del self._snapshots[number]

        def _refuse_name(self, name: bytes) -> None:
            if any(each['name'] == name and each['namespace'] == USER
                   for each in self._snapshots.values()):
                raise Module.ImageExists(errno.EEXIST)

        def _by_name(self, name: bytes) -> dict[str, Any]:
            for each in self._snapshots.values():
                if each['name'] == name and each['namespace'] == USER:
                    return each
            raise Module.ImageNotFound(errno.ENOENT)


class Storage(fixtures.Fixture):
    """A Ceph with one pool, in place of the real modules.

    :ivar images: name → its fields
    :ivar faults: what fails, and with which errors, one after the other; None:
        it does not fail this time
    :ivar meanwhile: what others do in the midst of a step, by its name
    :ivar silent: objects that do not answer
    :ivar older: the part of the pool's directory for the older format
    :ivar opened: images that are open
    :ivar clusters: the connections that were made
    """

    pool = 'volumes'
    namespace = 'mine'

    def __init__(self) -> None:
        super().__init__()
        self.images: dict[bytes, dict[str, Any]] = {}
        self.faults: dict[str, list[Error | None]] = {}
        self.meanwhile: dict[str, Callable[[], None]] = {}
        self.silent: set[str] = set()
        self.older = b''
        self.locks: dict[str, str] = {}
        self.clusters: list[Cluster] = []
        self.opened = 0
        self.df = b''
        self.numbers = itertools.count(4)

    def _setUp(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            f'{rbd_images.__name__}.rados', Rados(self)))
        self.useFixture(fixtures.MonkeyPatch(
            f'{rbd_images.__name__}.rbd', Module))

    def fail(self, step: str) -> None:
        fault = self.faults[step].pop(0) if self.faults.get(step) else None
        if fault is not None:
            raise fault

    def happen(self, step: str) -> None:
        self.meanwhile.pop(step, lambda: None)()

    def image(self, name: str) -> Any:
        """An image, open as librbd opens it."""
        return Module.Image(Ioctx(self), name.encode())

    def snapshot(self, image: str, name: str) -> dict[str, Any]:
        (found,) = [
            each for each in self.images[image.encode()]['snapshots'].values()
            if each['name'] == name.encode()]
        return found


def _string(text: bytes) -> bytes:
    return struct.pack('<I', len(text)) + text
