# SPDX-License-Identifier: Apache-2.0

"""Quota defaults, for projects and classes without limits of their own."""

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.IntOpt(
        'quota_volumes', default=10, min=-1,
        help='Volumes allowed in a project. -1: no limit.'),
    cfg.IntOpt(
        'quota_snapshots', default=10, min=-1,
        help='Snapshots allowed in a project. -1: no limit.'),
    cfg.IntOpt(
        'quota_gigabytes', default=1000, min=-1,
        help='GiB allowed in a project, volumes and snapshots together. '
             '-1: no limit.'),
    cfg.BoolOpt(
        'no_snapshot_gb_quota', default=False,
        help='Leave the sizes of snapshots out of the gigabytes quota.'),
    cfg.BoolOpt(
        'use_default_quota_class', default=True,
        help='Take limits from the quota class "default" where it has any.'),
    cfg.IntOpt(
        'reservation_clean_interval', default=86400, min=0,
        help='Seconds between two runs that give back quota reservations '
             'which have expired. 0: never.'),
]


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    return [('DEFAULT', OPTIONS)]
