# SPDX-License-Identifier: Apache-2.0

"""The database: ``[database]`` is oslo.db's, as in every OpenStack service."""

from oslo_config import cfg
from oslo_db import options

OWN_OPTIONS: list[cfg.Opt] = [
    cfg.IntOpt(
        'db_timeout', default=10, min=2,
        help='Database timeout in seconds, including the time to connect. '
             'After it a request gets 503.'),
]


def set_defaults(conf: cfg.ConfigOpts) -> None:
    """Register the options of ``[database]``, with defaults of our own."""
    options.set_defaults(
        conf, connection='sqlite:///$state_path/manageable_snapshots.sqlite')


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    return [('manageable_snapshots', OWN_OPTIONS)]
