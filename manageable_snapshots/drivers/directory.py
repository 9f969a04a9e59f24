# SPDX-License-Identifier: Apache-2.0

"""Volumes and snapshots as files below a folder: the embedded default.

::

    volumes/VOLUME               a volume, as a sparse file
    snapshots/VOLUME/SNAPSHOT    its snapshots, a file each
    tmp/                         files that are being made

A file that somebody puts into the folder of a volume is a snapshot of it. It
should come there by a rename, since a copy that is under way looks like any
other file.

Adopting is one ``renameat2(RENAME_NOREPLACE)``. ``link`` and ``unlink`` would
not overwrite either, but a crash between the two leaves two names of one
file, and nobody could tell later whether that was a crash or somebody's hard
link. A file system that cannot do it (NFS) is refused at set-up.

Names come from requests. Each is checked to be the name of a file, and is
looked up in a folder that is open already, never through a symbolic link.
"""

from collections.abc import Iterator
import contextlib
import ctypes
import dataclasses
import errno
import fcntl
import os
import stat
import time
from typing import Any
from typing import NoReturn
import uuid

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import units

from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import encoding
from manageable_snapshots.drivers import native
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import reference

LOG = logging.getLogger(__name__)

VOLUMES = 'volumes'
SNAPSHOTS = 'snapshots'
TEMPORARY = 'tmp'

#: seconds that one waits for the lock of a folder
LOCK_SECONDS = 10

_LIBC = ctypes.CDLL(None, use_errno=True)
# Of linux/fs.h; Python has no names for them.
_RENAME_NOREPLACE = 1
_FICLONE = 0x40049409

_FOLDER_MODE = 0o750
_FILE_MODE = 0o640
_MAX_NAME = 255


class DirectoryDriver(native.NativeDriver, base.VolumeDriver):
    """A folder of image files as a backend.

    Options: ``directory_path``.
    """

    NAME = 'directory'

    def __init__(self, conf: cfg.ConfigOpts, backend: str) -> None:
        super().__init__(conf, backend)
        self._path = os.path.abspath(
            conf[backend].directory_path
            or os.path.join(conf.state_path, backend))

    def do_setup(self, context: Any) -> None:
        """Make the folders that are missing; remove what a crash left.

        :raises ConfigurationError: they cannot be made
        """
        with self._configuration():
            os.makedirs(self._path, _FOLDER_MODE, exist_ok=True)
            for name in (VOLUMES, SNAPSHOTS, TEMPORARY):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(os.path.join(self._path, name), _FOLDER_MODE)
            self._clean()

    def check_for_setup_error(self) -> None:
        for option in ('volume_name_template', 'snapshot_name_template'):
            try:
                _filename(self.conf[option] % uuid.uuid4())
            except (TypeError, ValueError) as error:
                raise exception.ConfigurationError(
                    option=option, group='DEFAULT',
                    reason=_('it makes no name of a file: %s') % error
                ) from error
        with self._configuration():
            for top in (VOLUMES, SNAPSHOTS):
                with self._open(top) as folder:
                    if not os.access('.', os.R_OK | os.W_OK | os.X_OK,
                                     dir_fd=folder, effective_ids=True):
                        raise PermissionError(
                            errno.EACCES, os.strerror(errno.EACCES))
            with self._open(TEMPORARY) as folder:
                probe = uuid.uuid4().hex.encode()
                with self._new_file(folder, probe):
                    pass
                # Another worker that starts may have removed it already.
                _unlink(probe, folder)

    def prepare_to_read(self, context: Any) -> None:
        """Create no folder: a missing folder is an error here."""

    def scan(self, cinder_snapshots: list[Any]
             ) -> Iterator[base.BackendSnapshot]:
        with self._storage(), self._open(VOLUMES) as volumes, \
                self._open(SNAPSHOTS) as parents:
            with os.scandir(parents) as entries:
                for entry in entries:
                    for found in _scan_volume(
                            os.fsencode(entry.name), volumes, parents):
                        yield dataclasses.replace(found, pool=self.pool_name)

    def managed_name(self, existing_ref: base.Reference) -> str | None:
        if 'source-id' not in existing_ref:
            return existing_ref.get('source-name')
        try:
            return encoding.shown(_split(existing_ref['source-id'])[1])
        except ValueError:
            return None

    def is_adopted(self, snapshot: Any) -> bool:
        volume, name = _filename(snapshot.volume.name), _filename(
            snapshot.name)
        with self._storage(), self._open(SNAPSHOTS) as parents:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), \
                    _folder(volume, parents) as folder:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                # The process that renamed it may have died before this.
                os.fsync(folder)
                return stat.S_ISREG(found.st_mode)
        return False

    def manage_existing_snapshot_get_size(
            self, snapshot: Any, existing_ref: base.Reference) -> int:
        with self._storage():
            _name, size = self._look_up(snapshot, existing_ref)
        return base.gibibytes(size)

    def manage_existing_snapshot(
            self, snapshot: Any,
            existing_ref: base.Reference) -> dict[str, Any] | None:
        new = _filename(snapshot.name)
        with self._storage():
            name, _size = self._look_up(snapshot, existing_ref)
            if name == new:
                return None
            with self._open(SNAPSHOTS) as parents, _folder(
                    _filename(snapshot.volume.name), parents) as folder:
                try:
                    with _locked(folder, fcntl.LOCK_EX):
                        _rename(folder, name, folder, new)
                except FileExistsError as error:
                    raise exception.ManageExistingAlreadyManaged(
                        volume_ref=snapshot.name) from error
                except FileNotFoundError:
                    self._refuse(existing_ref, _(
                        'it has just been renamed or deleted'))
                os.fsync(folder)
        return None

    def create_volume(self, volume: Any) -> None:
        name = _filename(volume.name)
        with self._storage(), self._open(VOLUMES) as volumes:
            try:
                with self._new_file(volumes, name) as file:
                    os.ftruncate(file, volume.size * units.Gi)
                    self._make_folder(name)
            except FileExistsError as error:
                raise exception.InvalidVolume(
                    reason=_('the backend has a volume of that name')
                ) from error

    def delete_volume(self, volume: Any) -> None:
        """Delete a volume; snapshots that others put beside it stay."""
        name = _filename(volume.name)
        with self._storage():
            with self._open(VOLUMES) as volumes:
                _unlink(name, volumes)
            with self._open(SNAPSHOTS) as parents:
                try:
                    os.rmdir(name, dir_fd=parents)
                except FileNotFoundError:
                    return
                except OSError as error:
                    if error.errno != errno.ENOTEMPTY:
                        raise
                    LOG.warning('Volume %s is deleted, and there are '
                                'snapshots left of it.', volume.name)

    def create_snapshot(self, snapshot: Any) -> None:
        """Take a snapshot: a clone where the file system can, else a copy.

        A copy does not show one moment if the volume is written to meanwhile.
        """
        volume = _filename(snapshot.volume.name)
        with self._storage(), self._open_volume(volume) as source:
            self._make_folder(volume)
            with self._open(SNAPSHOTS) as parents, \
                    _folder(volume, parents) as folder:
                try:
                    with self._new_file(
                            folder, _filename(snapshot.name)) as target:
                        _copy(source, target)
                except FileExistsError as error:
                    raise exception.InvalidSnapshot(
                        reason=_('the volume has a snapshot of that name')
                    ) from error

    def delete_snapshot(self, snapshot: Any) -> None:
        with self._storage(), self._open(SNAPSHOTS) as parents, \
                contextlib.suppress(FileNotFoundError), _folder(
                    _filename(snapshot.volume.name), parents) as folder:
            _unlink(_filename(snapshot.name), folder)

    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:
        with self._storage():
            space = os.statvfs(self._path)
        return self.stats('file', space.f_blocks * space.f_frsize,
                          space.f_bavail * space.f_frsize, thin=True)

    def _look_up(self, snapshot: Any,
                 existing_ref: Any) -> tuple[bytes, int]:
        """The name and the size in bytes of a snapshot to be adopted.

        :raises ManageExistingInvalidReference: no such snapshot of the
            volume
        """
        ref = reference.parse(existing_ref)
        try:
            parent, name = _parse(ref)
        except ValueError as error:
            self._refuse(ref, str(error))
        volume = _filename(snapshot.volume.name)
        if parent not in (None, volume):
            self._refuse(ref, _(
                'it is a snapshot of volume %(parent)s, not of %(volume)s'
            ) % {'parent': encoding.shown(parent),
                 'volume': snapshot.volume.name})
        with self._open(VOLUMES) as volumes, \
                self._open(SNAPSHOTS) as parents:
            reason = _volume_fault(volume, volumes)
            if reason is not None:
                self._refuse(ref, reason)
            try:
                with _folder(volume, parents) as folder:
                    found = os.stat(
                        name, dir_fd=folder, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                self._refuse(ref, _missing(name, snapshot.volume.name,
                                           parents))
        reason = _file_fault(found)
        if reason is not None:
            self._refuse(ref, reason)
        return name, found.st_size

    def _refuse(self, ref: Any, reason: str) -> NoReturn:
        raise exception.ManageExistingInvalidReference(
            existing_ref=reference.shown(ref), reason=reason)

    @contextlib.contextmanager
    def _storage(self) -> Iterator[None]:
        """Make errors of the file system errors of the backend."""
        try:
            yield
        except OSError as error:
            raise exception.ServiceUnavailable(
                _('The folder of backend %(backend)s is in trouble: '
                  '%(error)s.') % {'backend': self.backend,
                                   'error': error.strerror}) from error

    @contextlib.contextmanager
    def _configuration(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise exception.ConfigurationError(
                option='directory_path', group=self.backend,
                reason=_('cannot use %(path)s: %(error)s') % {
                    'path': self._path, 'error': error.strerror}) from error

    @contextlib.contextmanager
    def _open(self, top: str) -> Iterator[int]:
        with _folder(self._path) as root, _folder(top, root) as folder:
            yield folder

    @contextlib.contextmanager
    def _open_volume(self, name: bytes) -> Iterator[int]:
        with self._open(VOLUMES) as volumes:
            reason = _volume_fault(name, volumes)
            if reason is not None:
                raise exception.InvalidVolume(reason=reason)
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC,
                           dir_fd=volumes)
        try:
            yield file
        finally:
            os.close(file)

    def _make_folder(self, volume: bytes) -> None:
        with self._open(SNAPSHOTS) as parents, \
                contextlib.suppress(FileExistsError):
            os.mkdir(volume, _FOLDER_MODE, dir_fd=parents)

    @contextlib.contextmanager
    def _new_file(self, folder: int, name: bytes) -> Iterator[int]:
        """A file that has its name once it is complete.

        :param folder: an open folder
        :returns: an open file, empty
        :raises FileExistsError: the name is in use
        """
        with self._open(TEMPORARY) as temporary, \
                _locked(temporary, fcntl.LOCK_SH):
            draft = uuid.uuid4().hex.encode()
            file = os.open(
                draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
                _FILE_MODE, dir_fd=temporary)
            try:
                yield file
                os.fsync(file)
                _rename(temporary, draft, folder, name)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=temporary)
                raise
            finally:
                os.close(file)
        os.fsync(folder)

    def _clean(self) -> None:
        with self._open(TEMPORARY) as temporary:
            try:
                fcntl.flock(temporary, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Another worker of this folder is making a file.
                return
            for name in os.listdir(temporary):
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=temporary)


def _filename(name: str) -> bytes:
    """A name as the file system has it.

    :raises ValueError: no file can have it, or it leads out of its folder
    """
    return _checked(name.encode('utf-8'))


def _checked(name: bytes) -> bytes:
    if name in (b'', b'.', b'..') or b'/' in name or b'\0' in name:
        raise ValueError(_('no file can have that name'))
    if len(name) > _MAX_NAME:
        raise ValueError(_('the name is longer than %s bytes') % _MAX_NAME)
    return name


def _join(volume: bytes, name: bytes) -> str:
    """The id of a snapshot: its path below ``snapshots``."""
    return f'{encoding.quote(volume)}/{encoding.quote(name)}'


def _split(source_id: str) -> tuple[bytes, bytes]:
    """Volume and name of a snapshot with this id.

    :raises ValueError: there can be none
    """
    volume, slash, name = source_id.partition('/')
    if not slash:
        raise ValueError(_('source-id is not of the form VOLUME/SNAPSHOT'))
    return (_checked(encoding.unquote(volume)),
            _checked(encoding.unquote(name)))


def _parse(ref: base.Reference) -> tuple[bytes | None, bytes]:
    """The volume, if it says so, and the name that a reference means.

    :raises ValueError: it cannot mean any
    """
    if 'source-id' in ref:
        volume, name = _split(ref['source-id'])
        shown = encoding.shown(name)
        if ref.get('source-name', shown) != shown:
            raise ValueError(_('source-name and source-id do not belong '
                               'together'))
        return volume, name
    if 'source-name' in ref:
        return None, _filename(ref['source-name'])
    raise ValueError(_('it needs source-name or source-id'))


def _missing(name: bytes, volume: str, parents: int) -> str:
    """Why a volume does not have a snapshot."""
    for parent in map(os.fsencode, os.listdir(parents)):
        with contextlib.suppress(OSError), _folder(parent, parents) as folder:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
            return _('it is a snapshot of volume %(parent)s, not of '
                     '%(volume)s') % {
                         'parent': encoding.shown(parent), 'volume': volume}
    return _('volume %s has no such snapshot') % volume


def _volume_fault(name: bytes, volumes: int) -> str | None:
    """Why a volume cannot be the parent of a snapshot; None: it can."""
    try:
        found = os.stat(name, dir_fd=volumes, follow_symlinks=False)
    except FileNotFoundError:
        return _('its volume is not on the backend')
    if not stat.S_ISREG(found.st_mode):
        return _('its volume is not a regular file')
    return None


def _file_fault(found: os.stat_result) -> str | None:
    """Why an entry of a folder is no snapshot; None: it is."""
    if stat.S_ISREG(found.st_mode):
        return None
    if stat.S_ISLNK(found.st_mode):
        return _('it is a symbolic link, not a file')
    if stat.S_ISDIR(found.st_mode):
        return _('it is a folder, not a file')
    return _('it is a device, a pipe or a socket, not a file')


def _scan_volume(volume: bytes, volumes: int,
                 parents: int) -> Iterator[base.BackendSnapshot]:
    try:
        fault = _volume_fault(volume, volumes)
        with _folder(volume, parents) as folder, \
                _locked(folder, fcntl.LOCK_SH):
            found = list(_entries(volume, folder))
    except OSError as error:
        LOG.warning('Leaving the snapshots of %s out of the list: %s',
                    encoding.shown(volume), error.strerror)
        return
    for name, status in found:
        reason = _file_fault(status) or fault
        yield base.BackendSnapshot(
            reference={'source-name': encoding.shown(name),
                       'source-id': _join(volume, name)},
            source_reference={'source-name': encoding.shown(volume)},
            size=base.gibibytes(status.st_size),
            safe_to_manage=reason is None,
            reason_not_safe=reason)


def _entries(volume: bytes,
             folder: int) -> Iterator[tuple[bytes, os.stat_result]]:
    for name in map(os.fsencode, os.listdir(folder)):
        try:
            yield name, os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            LOG.warning('Leaving snapshot %s out of the list: %s',
                        _join(volume, name), error.strerror)


@contextlib.contextmanager
def _folder(name: str | bytes, parent: int | None = None) -> Iterator[int]:
    """An open folder.

    :param parent: the open folder that it is in; it is not followed as a
        symbolic link then
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    if parent is not None:
        flags |= os.O_NOFOLLOW
    folder = os.open(name, flags, dir_fd=parent)
    try:
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def _locked(folder: int, kind: int) -> Iterator[None]:
    """Hold a lock on an open folder, in competition with all processes.

    A folder that is renamed in while it is read shows a file under both of
    its names or under none. That is what the lock is for; nothing is lost
    without it, so a wait that takes too long ends in going on.

    :param kind: ``fcntl.LOCK_SH`` or ``LOCK_EX``
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(folder, kind | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                LOG.warning('Somebody holds the lock of a folder for more '
                            'than %s seconds; going on without it.',
                            LOCK_SECONDS)
                break
            time.sleep(0.005)
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)


def _rename(source: int, old: bytes, target: int, new: bytes) -> None:
    """Rename a file, and overwrite none.

    :param source: the open folder that it is in
    :param target: the open folder that it gets into
    """
    if not hasattr(_LIBC, 'renameat2'):
        raise OSError(errno.ENOSYS, _('the C library has no renameat2'))
    if _LIBC.renameat2(source, old, target, new, _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, (
            _('the file system cannot rename without overwriting')
            if number == errno.EINVAL else os.strerror(number)))


def _unlink(name: bytes, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
        os.fsync(folder)


def _copy(source: int, target: int) -> None:
    """Copy what is not a hole into an empty file."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(target, _FICLONE, source)
        return
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    end = 0
    while end < size:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(source, start, os.SEEK_HOLE)
        os.lseek(target, start, os.SEEK_SET)
        while start < end:
            sent = os.sendfile(target, source, start, end - start)
            if sent == 0:
                return
            start += sent
