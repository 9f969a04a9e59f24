# SPDX-License-Identifier: Apache-2.0

"""What every process needs: who it is, and how things are named."""

import socket

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.HostAddressOpt(
        'host', default=socket.gethostname(),
        sample_default='<this machine\'s name>',
        help='Name of this node. With a backend\'s name it makes the name of '
             'a volume service, host@backend, and of its message queue; it '
             'must not change while volumes of that host exist.'),
    cfg.StrOpt(
        'state_path', default='/var/lib/manageable_snapshots',
        help='Directory for what the service keeps on this node.'),
    cfg.StrOpt(
        'volume_name_template', default='volume-%s',
        help='Name that a volume has on its backend. %s is its id.'),
    cfg.StrOpt(
        'snapshot_name_template', default='snapshot-%s',
        help='Name that a snapshot has on its backend once it is adopted. '
             '%s is its id.'),
    cfg.StrOpt(
        'storage_availability_zone', default='nova',
        help='Availability zone of this node\'s volume services.'),
    cfg.IntOpt(
        'service_down_time', default=60, min=1,
        help='Seconds since its last report after which a volume service '
             'counts as down.'),
]


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    return [('DEFAULT', OPTIONS)]
