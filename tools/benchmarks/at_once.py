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

"""A filter that answers at once, in the place of this project's."""

from collections.abc import Callable
from typing import Any

_BODY = b'{"badRequest": {"code": 400, "message": "nothing was done"}}'


def filter_factory(global_conf: dict[str, str],
                   **local_conf: str) -> Callable[[Any], Any]:
    """For ``paste.filter_factory``."""
    def answer(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response('400 Bad Request', [
            ('Content-Type', 'application/json'),
            ('Content-Length', str(len(_BODY)))])
        return [_BODY]

    return lambda application: answer
