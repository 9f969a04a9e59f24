# SPDX-License-Identifier: Apache-2.0

"""Which Ceph cluster a backend uses: its own, or a replication target.

Cinder can fail a backend over to another cluster while the service runs. The
pool has the same name in all clusters.
"""

import threading
from typing import Any
from typing import NamedTuple

from manageable_snapshots import exception
from manageable_snapshots.i18n import _

#: folder in which Cinder looks for a target that has no ``conf``
_FOLDER = '/etc/ceph/'

#: Cinder's user on a target, where neither the target nor the backend has one
_USER = 'cinder'


class Cluster(NamedTuple):
    """What a connection to a Ceph cluster needs; None: Ceph's default."""

    name: str | None
    conf: str | None
    user: str | None


class Connection:
    """A connection to one cluster.

    :ivar guard: held by the thread that connects
    :ivar handle: the connected ``rados.Rados``; None: not connected
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.guard = threading.Lock()
        self.handle: Any = None


def own(options: Any) -> Cluster:
    """Return the cluster that a backend uses until it fails over.

    :param options: the backend's section
    """
    return Cluster(options.rbd_cluster_name, options.rbd_ceph_conf,
                   options.rbd_user)


def active(options: Any, backend: str, target: str | None) -> Cluster:
    """Return the cluster that a backend has failed over to.

    The defaults are those of Cinder's RBD driver.

    :param options: the backend's section
    :param backend: the section's name, for the error
    :param target: the ``backend_id`` of a ``replication_device``; None: the
        backend has not failed over
    :raises ConfigurationError: no ``replication_device`` has that id
    """
    if target in (None, '', 'default'):
        return own(options)
    for device in options.replication_device or ():
        if device.get('backend_id') == target:
            return Cluster(
                target, device.get('conf', f'{_FOLDER}{target}.conf'),
                device.get('user', options.rbd_user or _USER))
    raise exception.ConfigurationError(
        option='replication_device', group=backend, reason=_(
            'the backend has failed over to %s, which no replication_device '
            'has as backend_id') % target)
