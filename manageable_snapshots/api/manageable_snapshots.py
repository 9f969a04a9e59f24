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

"""List a backend's snapshots, and adopt one."""

from typing import Any

from manageable_snapshots.api import request


def index(app: Any, req: request.Request) -> dict[str, Any]:
    """GET: what a backend holds."""
    raise NotImplementedError()


def detail(app: Any, req: request.Request) -> dict[str, Any]:
    """GET: what a backend holds, with everything that is known of it."""
    raise NotImplementedError()


def create(app: Any, req: request.Request) -> Any:
    """POST: adopt a snapshot."""
    raise NotImplementedError()
