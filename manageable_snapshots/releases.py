# SPDX-License-Identifier: Apache-2.0

"""The releases of Cinder that this package is tested with, and their ways.

What differs between them, and where it is dealt with:

* The database. Release 22 lets ``use_quota`` of a volume or snapshot be NULL,
  and has ``quotas.allocated`` and ``reservations.allocated_id`` besides; the
  models name what all of them have, and :mod:`~manageable_snapshots.db.schema`
  compares them with the database that is there.
* What goes over the wire: :mod:`manageable_snapshots.rpc.versions`.
* The newest microversion: the host is asked
  (:mod:`manageable_snapshots.cinder.filter`).
* Eventlet. Up to release 28 ``cinder-volume`` and ``cinder-api`` patch their
  process; release 29 does so unless ``OS_CINDER_DISABLE_EVENTLET_PATCHING``
  is set. Under another WSGI server nothing is patched in any of them. Code
  that is loaded into Cinder is threads, which are green where it patches.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Release:
    """A release of Cinder.

    :ivar number: the major version of its package
    :ivar name: the release of OpenStack
    :ivar schema: the newest revision of its database
    :ivar rpc_version: of the interface of ``cinder-volume``
    :ivar object_version: of its objects taken together
    :ivar microversion: the newest one
    """

    number: int
    name: str
    schema: str
    rpc_version: str
    object_version: str
    microversion: str


#: oldest first
KNOWN = (
    Release(22, '2023.1', 'daa98075b90d', '3.18', '1.39', '3.70'),
    Release(24, '2024.1', '9c74c1c6971f', '3.19', '1.39', '3.71'),
    Release(26, '2025.1', '9c74c1c6971f', '3.20', '1.39', '3.71'),
    Release(28, '2026.1', '9c74c1c6971f', '3.20', '1.39', '3.71'),
    Release(29, '2026.2', '9c74c1c6971f', '3.20', '1.39', '3.71'),
)


def find(number: int) -> Release | None:
    """A release by the major version of its package; None: not tested."""
    for release in KNOWN:
        if release.number == number:
            return release
    return None
