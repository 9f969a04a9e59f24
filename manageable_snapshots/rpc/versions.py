# SPDX-License-Identifier: Apache-2.0

"""Versions and names on the wire, those of the releases that are known.

A worker writes :data:`RPC_VERSION` and :data:`OBJECT_VERSION` into its row of
the services table. Cinder's API speaks as the oldest service understands, so
they are the newest that a release of Cinder knows: an older one would hold
the others back. :data:`OBJECT_VERSION` must be known to every release, since
each looks it up in its own history.
"""

from oslo_utils import versionutils

from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import releases

VOLUME_TOPIC = 'cinder-volume'
VOLUME_BINARY = 'cinder-volume'

#: interface of cinder-scheduler, as its update_service_capabilities is today
SCHEDULER_TOPIC = 'cinder-scheduler'
SCHEDULER_VERSION = '3.3'

#: What only a worker of this project listens to, and its interface there.
OWN_TOPIC = 'manageable-snapshots'
OWN_VERSION = '1.0'

#: interface of cinder-volume
RPC_VERSION = releases.KNOWN[-1].rpc_version

#: the methods that 3.0 has, and the listing with objects
BASE_VERSION = '3.0'
LIST_VERSION = '3.10'

#: version of Cinder's objects taken together
OBJECT_VERSION = releases.KNOWN[0].object_version

#: versions of the single objects, by the version taken together
OBJECTS: dict[str, dict[str, str]] = {
    '1.38': {'Snapshot': '1.5', 'Volume': '1.8'},
    '1.39': {'Snapshot': '1.6', 'Volume': '1.9'},
}

MANAGEABLE_SNAPSHOT = '1.0'


def of_object(name: str, pin: str | None = None) -> str:
    """The version in which an object is sent.

    :param name: Snapshot or Volume
    :param pin: ``object_current_version`` of the service that reads it;
        None, or a newer one than we know: :data:`OBJECT_VERSION`
    :raises ServiceUnavailable: the service is older than release 22
    """
    for known in sorted(OBJECTS, key=_numbers, reverse=True):
        if pin is None or _numbers(pin) >= _numbers(known):
            return OBJECTS[known][name]
    raise exception.ServiceUnavailable(
        _('The service is too old: its objects have version %s.') % pin)


def _numbers(version: str) -> tuple[int, ...]:
    return versionutils.convert_version_to_tuple(version)
