# SPDX-License-Identifier: Apache-2.0

"""Locks that hold across workers (tooz)."""

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        'backend_url', default='file://$state_path', secret=True,
        help='Coordination backend, as tooz names it. file:// holds on one '
             'node; workers of one cluster on several nodes need one that '
             'they share, etcd3+http:// or mysql:// say.'),
]


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    return [('coordination', OPTIONS)]
