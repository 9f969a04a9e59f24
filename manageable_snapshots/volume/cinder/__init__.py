# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
