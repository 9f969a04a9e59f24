# SPDX-License-Identifier: Apache-2.0

"""Cinder's volume manager with the project in it, and points to die at.

The environment says in which folder they are armed.
"""

from manageable_snapshots.tests.integration.faults import points
from manageable_snapshots.volume.cinder import VolumeManager

__all__ = ('VolumeManager',)

points.watch_in_cinder('worker')
