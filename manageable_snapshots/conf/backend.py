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

"""The section of one backend, named in ``enabled_backends``."""

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        'volume_driver', default='directory',
        help='The driver: its name among the entry points '
             'manageable_snapshots.drivers, or its class with the module.'),
    cfg.StrOpt(
        'volume_backend_name',
        help='Name by which the backend is shown. Unset: the name of its '
             'section.'),
    cfg.StrOpt(
        'backend_host',
        help='Used in place of host for this backend.'),
    cfg.BoolOpt(
        'manageable_snapshots_native', default=True,
        help='Inside Cinder: whether the rbd or the lvm driver of this '
             'project lists and adopts the snapshots, where the backend has '
             'Cinder\'s RBDDriver or LVMVolumeDriver. Off, those are asked.'),
]

DIRECTORY_OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        'directory_path',
        help='Folder that holds the volumes and snapshots of the directory '
             'driver. Unset: $state_path/ and the name of the section.'),
]


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    return [('backend', OPTIONS + DIRECTORY_OPTIONS)]
