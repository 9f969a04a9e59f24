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

"""The filter for Cinder's API, with points to die at.

The environment says in which folder they are armed.
"""

from typing import Any

from manageable_snapshots import api
from manageable_snapshots.tests.integration.faults import points


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Any:
    """As the project's own, which stands in its place."""
    points.watch_in_cinder('api')
    return api.filter_factory(global_conf, **local_conf)
