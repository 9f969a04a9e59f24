# SPDX-License-Identifier: Apache-2.0

"""Read what LVM reports about volume groups and their logical volumes (LVs).

Any line of ``lvm.conf``, or of a profile, can change what ``lvs`` prints. So
every setting that changes a report is set on the command line, which LVM
prefers to all other places (lvm.conf(5), ``lvmconfig --withcomments``). A
report without the fields that were asked for is an error.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import json
import re

from manageable_snapshots.i18n import _

#: what ``lvs`` says of an LV: field → value
Record = Mapping[str, str]

#: No field of a segment or a device: LVs would have several rows with it.
FIELDS = (
    'lv_name', 'lv_uuid', 'lv_size', 'lv_layout', 'lv_role', 'origin',
    'origin_size', 'lv_active', 'lv_active_remotely', 'lv_tags',
    'data_percent', 'lv_snapshot_invalid', 'lv_merging', 'lv_merge_failed',
    'lv_health_status', 'lv_device_open', 'lv_suspended',
    'lv_allocation_locked', 'vg_partial', 'vg_lock_type')

# LVM 2.02.158 has them all. A version that does not know one of them could
# refuse to run (config/abort_on_errors).
_SETTINGS = (
    'report/compact_output=0', 'report/compact_output_cols=""',
    'report/aligned=1', 'report/buffered=1', 'report/headings=1',
    'report/separator=" "', 'report/list_item_separator=","',
    'report/prefixes=0', 'report/quoted=1', 'report/columns_as_rows=0',
    'report/mark_hidden_devices=1', 'report/two_word_unknown_device=0',
    'report/time_format="%s"', 'report/lvs_sort="lv_name"',
    'report/vgs_sort="vg_name"', 'log/report_command_log=0',
    'log/verbose=0', 'log/silent=0', 'log/indent=0', 'log/command_names=0',
    'log/prefix=""', 'global/si_unit_consistency=1')

# Numbers in bytes, conditions as 1, 0, and -1 for unknown. With hidden LVs:
# a snapshot that is being merged is one.
_ARGUMENTS = ('--all', '--reportformat', 'json', '--units', 'b', '--nosuffix',
              '--binary', '--config', ' '.join(_SETTINGS))

# What Cinder's LVM driver calls its snapshot of a thick volume while it copies
# the volume (create_cloned_volume). It deletes the snapshot by that name.
_CLONING = re.compile('clone-snap-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')

# A volume group with one of these belongs to several hosts.
_SHARED = ('sanlock', 'dlm', 'idm')


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot as ``lvs`` describes it.

    :ivar origin: the name of the LV of which it is one
    :ivar size: bytes
    :ivar fault: why it cannot be adopted; None: it can
    :ivar open: whether the fault is that a process has its device open,
        which can be over in a moment
    """

    name: str
    uuid: str
    origin: str
    size: int
    fault: str | None
    open: bool
    extra_info: Mapping[str, str]


def arguments(fields: Iterable[str]) -> list[str]:
    """Return the arguments that make a report readable by :func:`parse`."""
    return [*_ARGUMENTS, '--options', ','.join(fields)]


def parse(output: str, kind: str, fields: Iterable[str]) -> list[Record]:
    """Return the rows of a report.

    :param kind: of the report: ``lv``, ``vg``
    :raises ValueError: the output is not such a report, or a row lacks a
        field
    """
    try:
        rows = json.loads(output)['report'][0][kind]
        missing = {field for row in rows for field in fields
                   if not isinstance(row.get(field), str)}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(_('the output is not the JSON report that was '
                           'requested')) from error
    if missing:
        raise ValueError(_('the report has no field %s')
                         % ', '.join(sorted(missing)))
    found: list[Record] = rows
    return found


def is_snapshot(record: Record) -> bool:
    """Return whether an LV is a snapshot that still has its volume."""
    # A thin snapshot whose origin was deleted is like any thin volume.
    return ('snapshot' in record['lv_role'].split(',')
            and record['origin'] != '')


def snapshot(record: Record) -> Snapshot:
    """Return the snapshot that a row describes.

    :raises ValueError: a number is none
    """
    thick = 'thicksnapshot' in record['lv_role'].split(',')
    extra_info = {'type': 'thick' if thick else 'thin',
                  'active': _activity(record)}
    if record['data_percent']:
        extra_info['used_percent'] = record['data_percent']
    if record['lv_tags']:
        extra_info['tags'] = record['lv_tags']
    fault, is_open = _fault(record, thick), record['lv_device_open'] == '1'
    return Snapshot(
        # Hidden ones are in brackets.
        name=record['lv_name'].strip('[]'), uuid=record['lv_uuid'],
        origin=record['origin'].strip('[]'),
        # lv_size is that of the room for what is copied on a write; the
        # origin_size of a snapshot is as old as itself.
        size=int(record['origin_size' if thick else 'lv_size']),
        fault=fault or (_('snapshot in use') if is_open else None),
        open=is_open and fault is None, extra_info=extra_info)


def _activity(record: Record) -> str:
    """Return whether an LV is active: ``yes``, ``no`` or ``unknown``.

    LVM knows its own host only. In a volume group that lvmlockd shares, an LV
    that is inactive here may be active elsewhere.
    """
    if record['lv_active'] not in ('', 'unknown'):
        return 'yes'
    if record['lv_active'] == '' and record['vg_lock_type'] not in _SHARED:
        return 'no'
    return 'unknown'


def _fault(record: Record, thick: bool) -> str | None:
    """Return why a snapshot that nobody has open cannot be adopted.

    A field that LVM cannot tell is -1: of an inactive LV, most of them. That
    is no fault. Neither is ``lv_active_remotely`` 0 a promise: only LVM 2.02
    with clvmd ever says 1. Of lvmlockd's volume groups it says 0 or -1, and
    lvmlockd is asked when the snapshot is renamed.

    :returns: None: there is no fault
    """
    for field, reason in (
            ('vg_partial', _('its volume group lacks a physical volume')),
            ('lv_merging', _('it is being merged into its volume')),
            ('lv_merge_failed', _('it could not be merged into its volume')),
            ('lv_snapshot_invalid', _('it is invalid: it had no room left')),
            ('lv_suspended', _('its device is suspended')),
            ('lv_allocation_locked', _('it is locked by LVM')),
            ('lv_active_remotely', _('it is active on another host'))):
        if record[field] == '1':
            return reason
    if record['lv_active'] == 'unknown':
        return _('LVM cannot tell whether it is active or in use')
    if record['lv_health_status']:
        return _('its health is "%s"') % record['lv_health_status']
    if thick and float(record['data_percent'] or 0) >= 100:
        return _('it has no room left')
    if _CLONING.fullmatch(record['lv_name']):
        return _('Cinder uses it to clone a volume')
    return None
