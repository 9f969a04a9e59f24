# SPDX-License-Identifier: Apache-2.0

"""Every URL of the service: path → method → the function that answers.

Paths are those below ``/v3``, where each is there with and without a project.
None in place of a function is a 404.
"""

from collections.abc import Callable
from collections.abc import Iterable
import functools
from typing import Any

import routes

from manageable_snapshots.api import manageable_snapshots
from manageable_snapshots.api import microversion

Handler = Callable[..., Any]
Methods = dict[str, Handler | None]
Row = tuple[str, Methods]

_since_3_8 = microversion.since((3, 8))

#: paths that are known again; nearly all requests of a client are for a few
_REMEMBERED = 100


#: of an item that Cinder's router knows and has nothing behind
_NO_ITEM: Methods = dict.fromkeys(('GET', 'PUT', 'DELETE'))

#: the extension; what the service answers inside Cinder too
MANAGEABLE_SNAPSHOTS: tuple[Row, ...] = (
    ('/manageable_snapshots', {
        'GET': _since_3_8(manageable_snapshots.index),
        'POST': _since_3_8(manageable_snapshots.create),
    }),
    ('/manageable_snapshots/detail', {
        'GET': _since_3_8(manageable_snapshots.detail),
    }),
    ('/os-snapshot-manage', {
        'GET': manageable_snapshots.index,
        'POST': manageable_snapshots.create,
    }),
    ('/os-snapshot-manage/detail', {
        'GET': manageable_snapshots.detail,
    }),
    ('/manageable_snapshots/{id}', _NO_ITEM),
    ('/os-snapshot-manage/{id}', _NO_ITEM),
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
            # Routes makes strings of everything that it is given.
            row = str(number)
            if path == '/':
                self._mapper.connect(None, path, row=row)
                continue
            path += '{.format:json}'
            self._mapper.connect(None, path, row=row)
            self._mapper.connect(
                None, '/{project_id:%s}%s' % (project_id, path), row=row)
        self._mapper.create_regs()
        self._find = functools.lru_cache(_REMEMBERED)(self._mapper.match)

    def match(self, path: str, method: str,
              ) -> tuple[Methods, dict[str, str]] | None:
        """The row's methods and the path's arguments.

        :returns: None: there is nothing there
        """
        found = self._find(path)
        if found is None:
            return None
        arguments = dict(found)
        methods = self._rows[int(arguments.pop('row'))][1]
        if method not in methods and None in methods.values():
            return None
        arguments.pop('format', None)
        return methods, arguments
