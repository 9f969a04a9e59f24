# SPDX-License-Identifier: Apache-2.0

"""LVM: copy-on-write snapshots, and those of thin volumes.

What there is comes from one ``lvs`` over the volume group, whatever the
question (``lvm_report`` reads it, ``lvm_commands`` runs it).

Adopting is one ``lvrename``, which LVM commits as a whole, and which never
overwrites. It takes names only, no UUIDs. So the volume that is meant is
looked up by its UUID just before, and just that one must have the new name
afterwards; another one that somebody gave the old name in between gets it
back.

LVM reserves names that begin with ``snapshot``. What a row calls
``snapshot-UUID`` is ``_snapshot-UUID`` there, as with Cinder's LVM driver.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import re
import time
from typing import Any
from typing import NoReturn
import uuid

from oslo_config import cfg
from oslo_log import log as logging

from manageable_snapshots.drivers import base
from manageable_snapshots.drivers.lvm import commands as lvm_commands
from manageable_snapshots.drivers.lvm import report as lvm_report
from manageable_snapshots.drivers import native
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import names
from manageable_snapshots import reference

LOG = logging.getLogger(__name__)

# Of lvm(8), "Valid names". What else is reserved, LVM itself refuses.
_NAME = re.compile(r'[A-Za-z0-9+_.][A-Za-z0-9+_.-]*')
_MAX_NAME = 127
_UUID = re.compile(r'[A-Za-z0-9]{6}(-[A-Za-z0-9]{4}){5}-[A-Za-z0-9]{6}')

_RESERVED = 'snapshot'


class LVMDriver(native.NativeDriver, base.VolumeDriver):
    """A volume group as a backend.

    Options: ``volume_group``, ``lvm_type``, ``lvm_conf_file``,
    ``lvm_suppress_fd_warnings``, ``lvm_root_helper``,
    ``lvm_command_timeout``.
    """

    NAME = 'lvm'

    def __init__(self, conf: cfg.ConfigOpts, backend: str) -> None:
        super().__init__(conf, backend)
        self._options = conf[backend]
        self._group: str = self._options.volume_group
        self._thin_pool = f'{self._group}-pool'
        self.commands = lvm_commands.Commands(self._options, backend)

    def check_for_setup_error(self) -> None:
        self._check_names()
        try:
            there = {record['lv_name'] for record in self._lvs()}
        except exception.ServiceUnavailable as error:
            raise exception.ConfigurationError(
                option='volume_group', group=self.backend,
                reason=error.msg) from error
        if (self._options.lvm_type == 'thin'
                and self._thin_pool not in there):
            raise exception.ConfigurationError(
                option='lvm_type', group=self.backend,
                reason=_('there is no thin pool %s') % self._thin_pool)

    def scan(self, cinder_snapshots: list[Any]
             ) -> Iterator[base.BackendSnapshot]:
        for found in self._snapshots():
            # A volume that was cloned from a thin snapshot is a snapshot to
            # LVM.
            if self._is_volume(found):
                continue
            yield base.BackendSnapshot(
                reference={'source-name': found.name,
                           'source-id': found.uuid},
                source_reference={'source-name': found.origin},
                size=base.gibibytes(found.size),
                safe_to_manage=found.fault is None,
                reason_not_safe=found.fault,
                extra_info=found.extra_info,
                pool=self.pool_name)

    def managed_name(self, existing_ref: base.Reference) -> str | None:
        """What the row of a snapshot would call it.

        An id that comes without a name costs an ``lvs``.
        """
        try:
            name, identifier = self._parse(existing_ref)
        except ValueError:
            return None
        if name is None:
            found = _by_uuid(self._snapshots(), identifier)
            name = None if found is None else found.name
        return None if name is None else _unescaped(name)

    def is_adopted(self, snapshot: Any) -> bool:
        found = _by_name(self._snapshots(), _escaped(snapshot.name))
        return found is not None and found.origin == snapshot.volume.name

    def manage_existing_snapshot_get_size(
            self, snapshot: Any, existing_ref: base.Reference) -> int:
        found, _there = self._look_up(snapshot, existing_ref)
        return base.gibibytes(found.size)

    def manage_existing_snapshot(
            self, snapshot: Any,
            existing_ref: base.Reference) -> dict[str, Any] | None:
        new = _escaped(snapshot.name)
        found, there = self._look_up(snapshot, existing_ref)
        if found.name == new:
            return None
        if _by_name(there, new) is not None:
            raise exception.ManageExistingAlreadyManaged(
                volume_ref=snapshot.name)
        renamed = self.commands.rename(found.name, new)
        there = self._snapshots()
        now, other = _by_uuid(there, found.uuid), _by_name(there, new)
        if now is not None and now == other:
            return None
        if renamed and other is not None:
            self.commands.rename(new, found.name)
        elif other is not None:
            raise exception.ManageExistingAlreadyManaged(
                volume_ref=snapshot.name)
        if now is None or now.name != found.name:
            self._refuse(existing_ref, _(
                'it has just been renamed or deleted'))
        self._refuse(existing_ref, now.fault or _(
            'LVM does not rename it; the log of the volume service has the '
            'reason'))

    def create_volume(self, volume: Any) -> None:
        there = self._lvs()
        name = _checked(volume.name)
        if any(record['lv_name'] == name for record in there):
            raise exception.InvalidVolume(
                reason=_('the backend has a volume of that name'))
        size = f'{volume.size}g'
        if self._makes_thin(there):
            self.commands.change(
                'lvcreate', '--yes', '--name', name, '--virtualsize', size,
                '--thinpool', f'{self._group}/{self._thin_pool}')
        else:
            self.commands.change('lvcreate', '--yes', '--name', name,
                                 '--size', size, self._group)

    def delete_volume(self, volume: Any) -> None:
        """Delete a volume; none of that name is fine.

        :raises InvalidVolume: it has snapshots, which LVM would delete with
            it, or, thin ones, leave without an origin
        """
        if any(found.origin == volume.name for found in self._snapshots()):
            raise exception.InvalidVolume(
                reason=_('the volume group has snapshots of it'))
        self._delete(volume.name)

    def create_snapshot(self, snapshot: Any) -> None:
        """Take a snapshot, thin if the volume is, else copy-on-write.

        A copy-on-write snapshot has room for all of the volume, so that it
        never becomes invalid.
        """
        name, origin = _escaped(snapshot.name), snapshot.volume.name
        there = {record['lv_name']: record for record in self._lvs()}
        if origin not in there:
            raise exception.InvalidVolume(
                reason=_('the volume is not on the backend'))
        if name in there:
            raise exception.InvalidSnapshot(
                reason=_('the volume group has a volume of that name'))
        room = (() if 'thin' in there[origin]['lv_layout'].split(',')
                else ('--extents', '100%ORIGIN'))
        self.commands.change(
            'lvcreate', '--yes', '--snapshot', '--name', name, *room,
            f'{self._group}/{origin}')

    def delete_snapshot(self, snapshot: Any) -> None:
        if self.is_adopted(snapshot):
            self._delete(_escaped(snapshot.name))

    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:
        there = self._lvs()
        thin = self._makes_thin(there)
        if thin:
            pool = next(record for record in there
                        if record['lv_name'] == self._thin_pool)
            total = int(pool['lv_size'])
            free = total * (1 - float(pool['data_percent'] or 0) / 100)
        else:
            [group] = self.commands.report(
                'vgs', 'vg', ('vg_size', 'vg_free'))
            total, free = int(group['vg_size']), int(group['vg_free'])
        return self.stats('local', total, free, thin=thin)

    def _look_up(self, snapshot: Any, existing_ref: Any
                 ) -> tuple[lvm_report.Snapshot, list[lvm_report.Snapshot]]:
        """The snapshot that is to be adopted.

        A device that is open is waited for: udev or blkid may have opened it.

        :returns: it, and all that there are
        :raises ManageExistingInvalidReference: it is not among them, not of
            the volume, or cannot be adopted
        """
        ref = reference.parse(existing_ref)
        try:
            name, identifier = self._parse(ref)
        except ValueError as error:
            self._refuse(ref, str(error))
        found, there = self._among_all(snapshot, ref, name, identifier)
        end = time.monotonic() + lvm_commands.OPEN_SECONDS
        while found.open and time.monotonic() < end:
            time.sleep(lvm_commands.PAUSE)
            found, there = self._among_all(snapshot, ref, name, identifier)
        if found.fault is not None:
            self._refuse(ref, found.fault)
        return found, there

    def _among_all(self, snapshot: Any, ref: base.Reference,
                   name: str | None, identifier: str | None
                   ) -> tuple[lvm_report.Snapshot,
                              list[lvm_report.Snapshot]]:
        """Return the snapshot of a volume that a reference names, and all.

        :raises ManageExistingInvalidReference: no such snapshot, or it
            is another volume's
        """
        there = self._snapshots()
        found = (_by_name(there, name) if identifier is None
                 else _by_uuid(there, identifier))
        if found is None:
            self._refuse(ref, _('the volume group has no such snapshot'))
        if name not in (None, found.name):
            self._refuse(ref, _('source-name and source-id do not belong '
                                'together'))
        if self._is_volume(found):
            self._refuse(ref, _('it has the name of a volume'))
        if found.origin != snapshot.volume.name:
            self._refuse(ref, _(
                'it is a snapshot of %(origin)s, not of %(volume)s') % {
                    'origin': found.origin, 'volume': snapshot.volume.name})
        return found, there

    def _parse(self, ref: base.Reference) -> tuple[str | None, str | None]:
        """The name and the UUID of the LV, as far as a reference says.

        :raises ValueError: there can be none
        """
        name, identifier = ref.get('source-name'), ref.get('source-id')
        if name is None and identifier is None:
            raise ValueError(_('it needs source-name or source-id'))
        if identifier is not None and not _UUID.fullmatch(identifier):
            raise ValueError(_('source-id is not the UUID of a logical '
                               'volume'))
        if name is not None:
            group, slash, last = name.partition('/')
            if slash and group != self._group:
                raise ValueError(_('it is not in volume group %s')
                                 % self._group)
            name = _escaped(last if slash else name)
        return name, identifier

    def _is_volume(self, found: lvm_report.Snapshot) -> bool:
        prefix, _percent, suffix = (
            self.conf.volume_name_template.partition('%s'))
        return re.fullmatch(
            re.escape(prefix) + '[0-9a-f-]{36}' + re.escape(suffix),
            found.name) is not None

    def _refuse(self, ref: Any, reason: str) -> NoReturn:
        raise exception.ManageExistingInvalidReference(
            existing_ref=reference.shown(ref), reason=reason)

    def _check_names(self) -> None:
        one = str(uuid.uuid4())
        for option, section, make in (
                ('volume_group', self.backend, lambda: self._group),
                ('volume_name_template', 'DEFAULT',
                 lambda: names.volume_name(self.conf, one)),
                ('snapshot_name_template', 'DEFAULT',
                 lambda: names.snapshot_name(self.conf, one))):
            try:
                _escaped(make())
            except (TypeError, ValueError) as error:
                raise exception.ConfigurationError(
                    option=option, group=section, reason=str(error)
                ) from error

    def _makes_thin(self, there: Iterable[lvm_report.Record]) -> bool:
        return self._options.lvm_type == 'thin' or (
            self._options.lvm_type == 'auto' and any(
                record['lv_name'] == self._thin_pool for record in there))

    def _delete(self, name: str) -> None:
        if any(record['lv_name'] == name for record in self._lvs()):
            self.commands.change('lvremove', '--yes', f'{self._group}/{name}')

    def _snapshots(self) -> list[lvm_report.Snapshot]:
        """Return all snapshots, in LVM's order."""
        found = []
        for record in self._lvs():
            try:
                if lvm_report.is_snapshot(record):
                    found.append(lvm_report.snapshot(record))
            except ValueError as error:
                LOG.warning('Cannot make sense of %s, an LV of volume group '
                            '%s: %r', record.get('lv_name'), self._group,
                            error)
        return found

    def _lvs(self) -> list[lvm_report.Record]:
        return self.commands.report('lvs', 'lv', lvm_report.FIELDS)


def _checked(name: str) -> str:
    """A name of an LV or a volume group.

    :raises ValueError: LVM allows none like that
    """
    if not _NAME.fullmatch(name) or name in ('.', '..'):
        raise ValueError(_('no logical volume can have that name'))
    if len(name) > _MAX_NAME:
        raise ValueError(_('the name is longer than %s bytes') % _MAX_NAME)
    return name


def _escaped(name: str) -> str:
    """What LVM has for a name.

    :raises ValueError: LVM allows none like that
    """
    return _checked('_' + name if name.startswith(_RESERVED) else name)


def _unescaped(name: str) -> str:
    return name[1:] if name.startswith('_' + _RESERVED) else name


def _by_name(there: Iterable[lvm_report.Snapshot],
             name: str | None) -> lvm_report.Snapshot | None:
    return next((found for found in there if found.name == name), None)


def _by_uuid(there: Iterable[lvm_report.Snapshot],
             identifier: str | None) -> lvm_report.Snapshot | None:
    return next((found for found in there if found.uuid == identifier), None)
