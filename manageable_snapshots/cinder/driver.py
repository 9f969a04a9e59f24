# SPDX-License-Identifier: Apache-2.0

"""A driver of Cinder's, as one of ours."""

import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import functools
import re
import sys
from typing import Any

from cinder import context as cinder_context
from cinder import exception as cinder_exception
from cinder import objects as cinder_objects
from oslo_config import cfg
from oslo_log import log as logging

from manageable_snapshots.cinder import last_list
from manageable_snapshots.drivers import base
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import reference

LOG = logging.getLogger(__name__)

_PROVIDER_COLUMNS = ('provider_id', 'provider_location', 'provider_auth')

#: how often a driver is asked for its list before it counts as failed
_ATTEMPTS = 5


class Driver(base.SnapshotDriver):
    """Cinder's driver, with its four methods.

    Where its drivers differ, this is in between:

    - A name is ``source-name`` or ``name``, and some list the one and take
      the other (3PAR, Pure Storage). Either is accepted, and they get both.
    - Names may repeat across volumes (RBD, Zadara), and a reference has no
      more than the name. Those that do repeat are listed with a
      ``source-id`` of ours, ``VOLUME/NAME``, which is taken off again before
      the driver is asked.
    - Not every one names its snapshots by ``snapshot_name_template``. So its
      list has the word on whether a snapshot is managed.
    - Most adopt what they list as not safe. Here that is refused.

    :param conf: the configuration
    :param volume_manager: whose driver it is
    """

    def __init__(self, conf: cfg.ConfigOpts,
                 volume_manager: Any) -> None:
        super().__init__(conf, volume_manager.configuration.config_group)
        self._manager = volume_manager
        self.NAME = type(volume_manager.driver).__name__
        own = conf.manageable_snapshots
        self._last = last_list.LastList(
            lambda: self._with_owners(self._objects([])),
            own.inventory_max_age, own.list_timeout)
        #: what lost_updates is asked for next: references, by the rows' ids
        self._adopted: dict[str, base.Reference] = {}

    def get_manageable_snapshots(
            self, cinder_snapshots: list[Any], marker: Any, limit: int,
            offset: int | None, sort_keys: list[str],
            sort_dirs: list[str]) -> list[dict[str, Any]]:
        return self._method('get_manageable_snapshots')(
            self._objects(cinder_snapshots), marker, limit, offset,
            sort_keys, sort_dirs)

    def scan(self, cinder_snapshots: list[Any]
             ) -> Iterator[base.BackendSnapshot]:
        entries = self._last.renew()
        seen = collections.Counter(
            reference.key(entry.reference) for entry in entries)
        for entry in entries:
            if entry.cinder_id is not None:
                # What is managed is looked up when the page is made.
                entry = dataclasses.replace(
                    entry, safe_to_manage=True, reason_not_safe=None)
            if seen[reference.key(entry.reference)] > 1:
                entry = dataclasses.replace(entry, reference={
                    **entry.reference, 'source-id': _identifier(entry)})
            yield entry

    def forget(self) -> None:
        self._last.forget()
        self._adopted = {}

    def is_adopted(self, snapshot: Any) -> bool | None:
        try:
            entries = self._list(self._objects([snapshot]))
        except NotImplementedError:
            return None
        except Exception as error:
            LOG.warning('%s could not list its snapshots: %s', self.NAME,
                        _shown(error),
                        exc_info=exception.is_unexpected(error))
            raise exception.ServiceUnavailable(
                _('The driver %s cannot list its snapshots now.')
                % self.NAME) from error
        found = next((entry.reference for entry in entries
                      if entry.cinder_id == snapshot.id), None)
        if found is not None:
            self._adopted[snapshot.id] = found
        return found is not None

    def lost_updates(self, snapshot: Any) -> dict[str, Any] | None:
        # By the name that it has now, most say the same once more; the rest
        # refuse.
        ref = self._adopted.pop(snapshot.id, None)
        if ref is None:
            return None
        try:
            return self.manage_existing_snapshot(snapshot, ref)
        except Exception as error:
            LOG.info('%s has no more to say of snapshot %s: %s', self.NAME,
                     snapshot.id, _shown(error),
                     exc_info=exception.is_unexpected(error))
            return None

    def manage_existing_snapshot(
            self, snapshot: Any,
            existing_ref: base.Reference) -> dict[str, Any] | None:
        own = self._drivers_own(snapshot, existing_ref)
        with _refusals(existing_ref):
            updates = self._method('manage_existing_snapshot')(
                snapshot=self._object(snapshot), existing_ref=own)
        # Not every driver gives it another name (Datera).
        for entry in self._find(snapshot, own)[0]:
            self._last.add(
                dataclasses.replace(entry, cinder_id=snapshot.id))
        return updates

    def manage_existing_snapshot_get_size(
            self, snapshot: Any, existing_ref: base.Reference) -> int:
        own = self._drivers_own(snapshot, existing_ref)
        method = self._method('manage_existing_snapshot_get_size')
        self._refuse_unsafe(snapshot, own, existing_ref)
        with _refusals(existing_ref):
            return base.check_size(method(
                snapshot=self._object(snapshot), existing_ref=own))

    def unmanage_snapshot(self, snapshot: Any) -> None:
        self._method('unmanage_snapshot')(self._object(snapshot))

    def _method(self, name: str) -> Callable[..., Any]:
        """A method of the driver.

        :raises NotImplementedError: it has none of that name
        """
        method = getattr(self._manager.driver, name, None)
        if method is None:
            raise NotImplementedError(name)
        return method

    def _list(self, rows: list[Any]) -> list[base.BackendSnapshot]:
        """The driver's whole list.

        :param rows: as the driver takes them
        """
        ask = functools.partial(
            self._method('get_manageable_snapshots'), rows, None, sys.maxsize,
            0, ['reference'], ['asc'])
        for _attempt in range(_ATTEMPTS - 1):
            try:
                return list(base.entries(self.NAME, ask()))
            except NotImplementedError:
                raise
            except Exception as error:
                # A volume that is deleted meanwhile fails the whole listing
                # of some of Cinder's drivers (RBD).
                LOG.info('%s could not list its snapshots, asking again: %s',
                         self.NAME, _shown(error))
        return list(base.entries(self.NAME, ask()))

    def _with_owners(self, rows: list[Any]) -> list[base.BackendSnapshot]:
        """The driver's whole list, and the row that manages each entry.

        :param rows: as the driver takes them
        """
        known = {row.id for row in rows}
        noted = {text: row.id for row in rows
                 for text in (row.provider_id, row.provider_location) if text}
        entries = []
        for entry in self._list(rows):
            owner = entry.cinder_id if entry.cinder_id in known else None
            if owner is None and not entry.safe_to_manage:
                # Some say no more than that it is managed (Datera).
                owner = next((noted[text] for text
                              in entry.reference.values() if text in noted),
                             None)
            entries.append(dataclasses.replace(entry, cinder_id=owner))
        return entries

    def _refuse_unsafe(self, snapshot: Any, own: base.Reference,
                       ref: base.Reference) -> None:
        """Refuse what the driver lists as not safe, or as of another volume.

        What is listed as the row's own may be adopted: an adoption that was
        cut short.

        :param own: the reference as the driver takes it
        :param ref: the reference as it was asked for
        :raises ManageExistingInvalidReference: it is another row's or
            volume's, or is not safe for another reason
        :raises ServiceUnavailable: the driver has never listed its
            snapshots, and cannot now
        """
        here, elsewhere = self._find(snapshot, own)
        # What becomes a row's gets another name, but stays under its id: a
        # name that was nobody's in a list still is.
        if (not self._last.exists or not self._last.is_fresh
                or not here or 'source-id' in own
                or any(entry.cinder_id or not entry.safe_to_manage
                       for entry in here)):
            try:
                self._last.renew_once()
            except NotImplementedError:
                return
            except Exception as error:
                LOG.warning('%s could not list its snapshots: %s', self.NAME,
                            _shown(error),
                            exc_info=exception.is_unexpected(error))
                if not self._last.exists:
                    # Nothing tells whether the snapshot is safe to manage.
                    raise exception.ServiceUnavailable(
                        _('The driver %s cannot list its snapshots now.')
                        % self.NAME) from error
            here, elsewhere = self._find(snapshot, own)
        if elsewhere and not here:
            raise _another_volumes(snapshot, ref)
        owner = next((entry.cinder_id for entry in here
                      if entry.cinder_id not in (None, snapshot.id)), None)
        if owner is not None:
            raise exception.ManagedByAnother(
                existing_ref=reference.shown(ref), owner=owner)
        reason = self._reason_not_safe(snapshot, here)
        if reason is not None:
            raise exception.ManageExistingInvalidReference(
                existing_ref=reference.shown(ref), reason=reason)

    def _reason_not_safe(self, snapshot: Any,
                         entries: list[base.BackendSnapshot]) -> str | None:
        """Return why a row must not adopt what has one of these entries.

        A name may be of several volumes, of which a driver tells with names
        of its own.
        """
        others = [entry for entry in entries if entry.cinder_id is None]
        of_volume = [entry for entry in others if _source(entry)
                     and self._is_named(snapshot.volume, _source(entry))]
        reasons = [
            None if entry.safe_to_manage else entry.reason_not_safe
            or _('the driver lists it as not safe to manage')
            for entry in of_volume or others]
        return reasons[0] if reasons and all(reasons) else None

    def _find(self, snapshot: Any, own: base.Reference
              ) -> tuple[list[base.BackendSnapshot],
                         list[base.BackendSnapshot]]:
        """What the last list has for a reference, and of other volumes."""
        name, identifier = _name(own), own.get('source-id')
        here, elsewhere = [], []
        for entry in self._last.entries:
            if (name is not None and name == _name(entry.reference)
                    or identifier is not None
                    and identifier == entry.reference.get('source-id')):
                source = _source(entry)
                if (self._is_by_template(source)
                        and source != snapshot.volume_name):
                    elsewhere.append(entry)
                else:
                    here.append(entry)
        return here, elsewhere

    def _objects(self, snapshots: list[Any]) -> list[cinder_objects.Snapshot]:
        """Rows as Cinder's drivers take them; for none, the backend's all."""
        if snapshots:
            return [self._object(snapshot) for snapshot in snapshots]
        found = self._manager._get_my_snapshots(
            cinder_context.get_admin_context())
        for each in found:
            if each.status == 'creating':
                _set_provider(each, dict.fromkeys(_PROVIDER_COLUMNS))
        return list(found)

    def _object(self, snapshot: Any) -> cinder_objects.Snapshot:
        """The row as Cinder's drivers take it."""
        found = cinder_objects.Snapshot.get_by_id(
            cinder_context.get_admin_context(), snapshot.id)
        _set_provider(found, snapshot)
        return found

    def _drivers_own(self, snapshot: Any,
                     ref: base.Reference) -> base.Reference:
        """A reference as the driver takes it.

        :raises ManageExistingInvalidReference: it is another volume's
        """
        own = dict(ref)
        name = _name(ref)
        volume, its_name = self._parts(ref)
        if volume is not None:
            if name not in (None, its_name) or not self._is_named(
                    snapshot.volume, volume):
                raise _another_volumes(snapshot, ref)
            name = its_name
            del own['source-id']
        if name is not None:
            own = {'source-name': name, 'name': name, **own}
        return own

    def _parts(self, ref: base.Reference) -> tuple[str | None, str | None]:
        """The volume and the name in a ``source-id`` that is ours."""
        identifier = ref.get('source-id', '')
        name = _name(ref)
        if name is not None and identifier.endswith(f'/{name}'):
            return identifier[:-len(name) - 1], name
        volume, slash, name = identifier.partition('/')
        if slash and name and self._is_by_template(volume):
            return volume, name
        return None, None

    def _is_named(self, volume: Any, name: str) -> bool:
        """Whether a backend's name of a volume is a row's.

        It is as Cinder calls it, or has its id in it, or is in what the
        driver noted with the row.
        """
        if name == volume.name or self._is_by_template(name):
            return name == volume.name
        return volume.name_id in name or any(
            re.search(rf'(?<!\w){re.escape(name)}(?!\w)', text)
            for text in (volume.provider_id, volume.provider_location)
            if text)

    def _is_by_template(self, volume: str) -> bool:
        prefix, suffix = self.conf.volume_name_template.split('%s', 1)
        return bool(prefix or suffix) and (
            volume.startswith(prefix) and volume.endswith(suffix))


@contextlib.contextmanager
def _refusals(ref: base.Reference) -> Iterator[None]:
    """Let the user read what a driver of Cinder's means for users.

    :raises ManageExistingInvalidReference: the driver refuses the reference
    """
    try:
        yield
    except (cinder_exception.ManageExistingInvalidReference,
            cinder_exception.ManageExistingAlreadyManaged,
            cinder_exception.ManageExistingVolumeTypeMismatch,
            cinder_exception.Invalid, cinder_exception.NotFound) as error:
        reason = str(error.kwargs.get('reason') or error.msg)
        raise exception.ManageExistingInvalidReference(
            existing_ref=reference.shown(ref),
            reason=' '.join(reason.split())) from error
    except KeyError as error:
        [missing] = error.args[:1] or ['']
        if missing not in reference.KEYS or missing in ref:
            raise
        raise exception.ManageExistingInvalidReference(
            existing_ref=reference.shown(ref),
            reason=_('the driver asks for a %s') % missing) from error


def _shown(error: Exception) -> str:
    return reference.shown(str(error))


def _set_provider(snapshot: cinder_objects.Snapshot, values: Any) -> None:
    # While it is being adopted these hold the reference.
    for column in _PROVIDER_COLUMNS:
        setattr(snapshot, column, values[column])
    snapshot.obj_reset_changes(_PROVIDER_COLUMNS)


def _name(ref: Mapping[str, Any]) -> str | None:
    return ref.get('source-name', ref.get('name'))


def _source(entry: base.BackendSnapshot) -> str:
    """The backend's name of an entry's volume, as far as it is known."""
    return next((str(entry.source_reference[key]) for key in reference.KEYS
                 if entry.source_reference.get(key)), '')


def _identifier(entry: base.BackendSnapshot) -> str:
    return f'{_source(entry)}/{_name(entry.reference)}'


def _another_volumes(snapshot: Any, ref: base.Reference) -> Exception:
    return exception.ManageExistingInvalidReference(
        existing_ref=reference.shown(ref),
        reason=_('it is not a snapshot of volume %s') % snapshot.volume_name)
