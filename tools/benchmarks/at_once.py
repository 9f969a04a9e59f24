# SPDX-License-Identifier: Apache-2.0

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
