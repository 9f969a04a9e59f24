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
