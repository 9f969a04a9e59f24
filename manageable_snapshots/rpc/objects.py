# SPDX-License-Identifier: Apache-2.0

"""Cinder's versioned objects, as the dicts that they are on the wire.

The same that oslo.versionedobjects makes of them. There are no classes: its
registry is one a process, and in ``cinder-api`` Cinder's own are in it.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import datetime
from typing import Any
import uuid

from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots.rpc import versions

_PREFIX = 'versioned_object.'
_NAMESPACE = 'cinder'

#: levels of nesting that are read; Cinder's objects need ten
_DEPTH = 20

# The fields that Cinder does not load by itself when they are missing.
_SNAPSHOT_FIELDS = (
    'id', 'user_id', 'project_id', 'use_quota', 'volume_id', 'cgsnapshot_id',
    'group_snapshot_id', 'status', 'progress', 'volume_size', 'display_name',
    'display_description', 'encryption_key_id', 'volume_type_id',
    'provider_location', 'provider_id', 'provider_auth', 'created_at',
    'updated_at', 'deleted_at', 'deleted')
_VOLUME_FIELDS = (
    'id', '_name_id', 'ec2_id', 'user_id', 'project_id', 'use_quota',
    'snapshot_id', 'cluster_name', 'host', 'size', 'availability_zone',
    'status', 'attach_status', 'migration_status', 'scheduled_at',
    'launched_at', 'terminated_at', 'display_name', 'display_description',
    'provider_id', 'provider_location', 'provider_auth', 'provider_geometry',
    'volume_type_id', 'source_volid', 'encryption_key_id',
    'consistencygroup_id', 'group_id', 'bootable', 'multiattach',
    'replication_status', 'replication_extended_status',
    'replication_driver_data', 'previous_status', 'service_uuid',
    'shared_targets', 'created_at', 'updated_at', 'deleted_at', 'deleted')
_MANAGEABLE_FIELDS = (
    'reference', 'source_reference', 'size', 'safe_to_manage',
    'reason_not_safe', 'cinder_id', 'extra_info')


def snapshot(row: Any, metadata: Mapping[str, str], volume_row: Any = None,
             volume_metadata: Mapping[str, str] | None = None, *,
             pin: str | None = None) -> dict[str, Any]:
    """A row of ``snapshots`` as Cinder's Snapshot.

    :param row: a row, or anything with its columns as attributes
    :param metadata: the snapshot's
    :param volume_row: its volume's row, sent along; None: who needs it reads
        it from the database
    :param volume_metadata: the volume's; only with ``volume_row``
    :param pin: as :func:`versions.of_object` takes it
    """
    version = versions.of_object('Snapshot', pin)
    data = _data(row, _SNAPSHOT_FIELDS)
    if data['status'] == 'creating':
        # They hold the reference that it is adopted by, meanwhile.
        data.update(provider_location=None, provider_id=None,
                    provider_auth=None)
    data['metadata'] = dict(metadata)
    if volume_row is not None:
        data['volume'] = volume(volume_row, volume_metadata or {}, pin=pin)
    if version == '1.5':
        del data['use_quota']
    return _primitive('Snapshot', version, data)


def volume(row: Any, metadata: Mapping[str, str], *,
           pin: str | None = None) -> dict[str, Any]:
    """A row of ``volumes`` as Cinder's Volume.

    :param row: a row, or anything with its columns as attributes
    :param metadata: the volume's
    :param pin: as :func:`versions.of_object` takes it
    """
    version = versions.of_object('Volume', pin)
    data = _data(row, _VOLUME_FIELDS)
    data['metadata'] = dict(metadata)
    if version == '1.8':
        del data['use_quota']
    return _primitive('Volume', version, data)


def manageable_snapshots(
        entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Entries of a list as Cinder's ManageableSnapshot objects.

    :param entries: dicts with ``reference``, ``source_reference``, ``size``
        (GiB), ``safe_to_manage``, ``reason_not_safe``, ``cinder_id`` and
        ``extra_info``
    """
    return [
        _primitive('ManageableSnapshot', versions.MANAGEABLE_SNAPSHOT,
                   {**{field: entry.get(field)
                       for field in _MANAGEABLE_FIELDS},
                    'reference': _strings(entry['reference']),
                    'source_reference': _strings(
                        entry.get('source_reference') or {}),
                    'extra_info': _strings(entry.get('extra_info'))})
        for entry in entries]


def fields(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an object that this module has made."""
    return value[f'{_PREFIX}data']


def plain(value: Any) -> Any:
    """What is inside of objects, however deep; all else as it is.

    :param value: an object, a list of them, or anything that JSON knows
    :returns: dicts of the objects' fields; times stay strings
    :raises InvalidInput: it looks like an object of Cinder's but is none
    """
    return _plain(value, _DEPTH)


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, (dict, list)) and not depth:
        raise exception.InvalidInput(
            reason=_('an object on the wire is nested too deeply'))
    if isinstance(value, list):
        return [_plain(item, depth - 1) for item in value]
    if not isinstance(value, dict):
        return value
    if f'{_PREFIX}name' in value:
        return _plain(_unwrap(value), depth - 1)
    return {key: _plain(item, depth - 1) for key, item in value.items()}


def _unwrap(value: dict[str, Any]) -> dict[str, Any]:
    name = value[f'{_PREFIX}name']
    namespace = value.get(f'{_PREFIX}namespace')
    version = value.get(f'{_PREFIX}version')
    data = value.get(f'{_PREFIX}data')
    if (not isinstance(name, str) or namespace != _NAMESPACE
            or not isinstance(version, str)
            or not version.startswith('1.') or not isinstance(data, dict)):
        raise exception.InvalidInput(
            reason=_('an object on the wire is not one of Cinder\'s'))
    return data


def identifier(value: Any, name: str | None = None) -> str:
    """The id of the resource that an argument of a method stands for.

    :param value: an object, or its fields
    :param name: what an object must be, ``Snapshot`` or ``Volume``; None:
        anything
    :raises InvalidInput: it is another, or has no UUID
    """
    fields = plain(value)
    if name is not None and isinstance(value, dict) and (
            value.get(f'{_PREFIX}name', name) != name):
        raise exception.InvalidInput(
            reason=_('an object on the wire is not a %s') % name)
    value = fields.get('id') if isinstance(fields, dict) else None
    try:
        return str(uuid.UUID(value))
    except (AttributeError, TypeError, ValueError):
        raise exception.InvalidInput(
            reason=_('an object on the wire has no id')) from None


def refuse(value: Any, depth: int = _DEPTH) -> None:
    """Raise InvalidInput if user input looks like a versioned object.

    The other end would make an object of it, of any class and content.

    :raises InvalidInput: a key somewhere in it is one of an object
    """
    if isinstance(value, (dict, list)) and not depth:
        raise exception.InvalidInput(reason=_('it is nested too deeply'))
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and key.startswith(_PREFIX):
                raise exception.InvalidInput(
                    reason=_('"%s" is not a key of a reference') % key)
            refuse(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            refuse(item, depth - 1)


def _primitive(name: str, version: str,
               data: dict[str, Any]) -> dict[str, Any]:
    return {
        f'{_PREFIX}name': name,
        f'{_PREFIX}namespace': _NAMESPACE,
        f'{_PREFIX}version': version,
        f'{_PREFIX}data': data,
    }


def _data(row: Any, fields: Iterable[str]) -> dict[str, Any]:
    data = {field: _value(getattr(row, field, None)) for field in fields}
    data['deleted'] = bool(data['deleted'])
    if data['use_quota'] is None:
        data['use_quota'] = True
    return data


def _strings(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """As Cinder's DictOfNullableStrings takes it."""
    if value is None:
        return None
    return {str(key): None if item is None else str(item)
            for key, item in value.items()}


def _value(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.UTC)
        return value.strftime('%Y-%m-%dT%H:%M:%SZ')
    return value
