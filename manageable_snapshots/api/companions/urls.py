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

"""The URLs of the companions, in the form of the API's own table."""

from manageable_snapshots.api.companions import services
from manageable_snapshots.api.companions import snapshots
from manageable_snapshots.api.companions import volumes
from manageable_snapshots.api import urls

COMPANIONS: tuple[urls.Row, ...] = (
    ('/volumes', {
        'GET': volumes.index,
        'POST': volumes.create,
    }),
    ('/volumes/detail', {
        'GET': volumes.detail,
    }),
    ('/volumes/{volume_id}', {
        'GET': volumes.show,
        'DELETE': volumes.delete,
    }),
    ('/snapshots', {
        'GET': snapshots.index,
        'POST': snapshots.create,
    }),
    ('/snapshots/detail', {
        'GET': snapshots.detail,
    }),
    ('/snapshots/{snapshot_id}', {
        'GET': snapshots.show,
        'DELETE': snapshots.delete,
    }),
    ('/snapshots/{snapshot_id}/action', {
        'POST': snapshots.action,
    }),
    ('/os-services', {
        'GET': services.index,
    }),
)
