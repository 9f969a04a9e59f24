# SPDX-License-Identifier: Apache-2.0

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
