# SPDX-License-Identifier: Apache-2.0

"""The volume worker: its backends, adoption and the inventory."""

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.ListOpt(
        'enabled_backends', default=[],
        help='Names of the backends that this worker serves; each has a '
             'section of that name.'),
    cfg.IntOpt(
        'report_interval', default=10, min=1,
        help='Seconds between two reports of a volume service that it is '
             'alive.'),
    cfg.IntOpt(
        'graceful_shutdown_timeout', default=60, min=0,
        help='Seconds that work under way has to finish when the worker is '
             'stopped. What has not finished is taken up again at the next '
             'start. 0: no limit.'),
]

OWN_OPTIONS: list[cfg.Opt] = [
    cfg.IntOpt(
        'adoption_threads', default=4, min=1,
        help='Snapshots that a backend adopts at the same time.'),
    cfg.IntOpt(
        'adoption_backlog', default=1000, min=1,
        help='Adoptions that wait in the memory of a worker. Further ones '
             'wait in the database.'),
    cfg.IntOpt(
        'recovery_interval', default=60, min=1,
        help='Seconds between two looks for adoptions that were accepted and '
             'are not under way.'),
    cfg.IntOpt(
        'adoption_timeout', default=259200, min=0,
        help='Seconds after which an adoption that cannot proceed ends, for '
             'example because its backend is unavailable. The snapshot '
             'becomes "error". An adoption that may already have renamed '
             'the snapshot stays pending until the backend responds. 0: no '
             'limit.'),
    cfg.IntOpt(
        'lock_timeout', default=60, min=1,
        help='Seconds that an adoption waits for another one of the same '
             'volume.'),
    cfg.FloatOpt(
        'inventory_max_age', default=5, min=0,
        help='A list that starts at the first page shows the backend as it '
             'was at most this many seconds ago.'),
    cfg.IntOpt(
        'inventory_keep', default=300, min=1,
        help='Seconds for which a scan of a backend is kept, after its last '
             'use, for the pages that follow the first.'),
    cfg.IntOpt(
        'inventory_scans', default=4, min=1,
        help='Scans of one backend that are kept at most.'),
    cfg.IntOpt(
        'inventory_max_memory', default=256, min=1,
        help='MiB that the scans of one backend that are kept take at most; '
             'about 0.3 for 1,000 snapshots. The newest one is kept in any '
             'case.'),
]


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    return [('DEFAULT', OPTIONS), ('manageable_snapshots', OWN_OPTIONS)]
