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

"""Every URL of the service, below ``/v3``, with and without a project.

A row is a path and, for each method that it takes, the function that answers.
"""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import routes

from manageable_snapshots.api import manageable_snapshots
from manageable_snapshots.api import microversion

Handler = Callable[..., Any]
Row = tuple[str, dict[str, Handler]]

_since_3_8 = microversion.since((3, 8))

MANAGEABLE_SNAPSHOTS: tuple[Row, ...] = (
    ('/os-snapshot-manage', {
        'GET': manageable_snapshots.index,
        'POST': manageable_snapshots.create,
    }),
    ('/os-snapshot-manage/detail', {
        'GET': manageable_snapshots.detail,
    }),
    ('/manageable_snapshots', {
        'GET': _since_3_8(manageable_snapshots.index),
        'POST': _since_3_8(manageable_snapshots.create),
    }),
    ('/manageable_snapshots/detail', {
        'GET': _since_3_8(manageable_snapshots.detail),
    }),
)


class Router:
    """Finds the row that a path belongs to.

    :param rows: the table
    :param project_id: regular expression of a project's id in a path
    """

    def __init__(self, rows: Iterable[Row], project_id: str) -> None:
        self._rows = tuple(rows)
        self._mapper = routes.Mapper(register=False, explicit=True)
        self._mapper.minimization = False
        for number, (path, _methods) in enumerate(self._rows):
            for prefix in ('/{project_id:%s}' % project_id, ''):
                # Routes makes strings of everything that it is given.
                self._mapper.connect(
                    None, prefix + path + '{.format:json}', row=str(number))
        self._mapper.create_regs()

    def match(self,
              path: str) -> tuple[dict[str, Handler], dict[str, str]] | None:
        """The row's methods and the path's arguments; None: no such path."""
        arguments = self._mapper.match(path)
        if arguments is None:
            return None
        arguments.pop('format', None)
        return self._rows[int(arguments.pop('row'))][1], arguments
