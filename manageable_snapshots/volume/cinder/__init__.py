# SPDX-License-Identifier: Apache-2.0

"""The volume service of a Cinder, with this project's listing and adopting.

::

    [DEFAULT]
    volume_manager = manageable_snapshots.volume.cinder.VolumeManager

Everything else is Cinder's. The driver is as well, unless it is one whose
storage a driver of ours knows (:data:`loader.NATIVE`): that one lists and
adopts then, by the options of the same section. Nothing but this package
imports Cinder.
"""

from manageable_snapshots.volume.cinder.manager import VolumeManager

__all__ = ('VolumeManager',)
