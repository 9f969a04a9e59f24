# SPDX-License-Identifier: Apache-2.0

"""The door to Cinder's volume manager; ``cinder.conf`` names it.

::

    [DEFAULT]
    volume_manager = manageable_snapshots.volume.cinder.VolumeManager
"""

from manageable_snapshots.cinder.manager import VolumeManager

__all__ = ('VolumeManager',)
