# SPDX-License-Identifier: Apache-2.0

"""The URLs that stand in for Cinder's, as rows of the API's table."""

from manageable_snapshots.api import urls
from manageable_snapshots.standalone.api import services
from manageable_snapshots.standalone.api import snapshots
from manageable_snapshots.standalone.api import versions
from manageable_snapshots.standalone.api import volumes

#: the version document below ``/v3``
VERSION: tuple[urls.Row, ...] = (
    ('/', {'GET': versions.index, 'HEAD': versions.index}),
)

#: the version document of the root, above ``/v3``
VERSIONS: tuple[urls.Row, ...] = (
    ('/', {'GET': versions.choices, 'HEAD': versions.choices}),
)

#: volumes, snapshots and services
VOLUMES: tuple[urls.Row, ...] = (
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
