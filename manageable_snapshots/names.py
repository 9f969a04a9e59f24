# SPDX-License-Identifier: Apache-2.0

"""The names that volumes and snapshots have on a backend.

A snapshot that Cinder manages is called by ``snapshot_name_template`` there;
that is how one tells which row manages it.
"""

import re
import uuid

from oslo_config import cfg


def volume_name(conf: cfg.ConfigOpts, volume_id: str,
                name_id: str | None = None) -> str:
    """The backend's name of a volume.

    :param name_id: of a volume that was migrated: the id that its name on
        the backend still has (Cinder's ``_name_id``)
    """
    return conf.volume_name_template % (name_id or volume_id)


def snapshot_name(conf: cfg.ConfigOpts, snapshot_id: str) -> str:
    """The backend's name of a managed snapshot."""
    return conf.snapshot_name_template % snapshot_id


def snapshot_id(conf: cfg.ConfigOpts, name: str) -> str | None:
    """The id of the row that a backend's snapshot of this name belongs to.

    :returns: None where the template would never make such a name
    """
    before, _, after = conf.snapshot_name_template.partition('%s')
    match = re.fullmatch(
        re.escape(before) + '([0-9a-f-]{36})' + re.escape(after), name)
    if match is None:
        return None
    try:
        return str(uuid.UUID(match.group(1)))
    except ValueError:
        return None
