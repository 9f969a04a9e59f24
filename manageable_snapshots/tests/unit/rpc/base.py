# SPDX-License-Identifier: Apache-2.0

"""What the tests of the RPC share."""

import datetime
import types

from oslotest import base

from manageable_snapshots import conf
from manageable_snapshots import context

BACKEND = 'node@dir'
SNAPSHOT_ID = '11111111-1111-4111-8111-111111111111'
VOLUME_ID = '22222222-2222-4222-8222-222222222222'
TYPE_ID = '33333333-3333-4333-8333-333333333333'
LIST = {'marker': None, 'limit': 10, 'offset': 0,
        'sort_keys': ['reference'], 'sort_dirs': ['asc']}


def snapshot_row(**values):
    """A row of ``snapshots`` as the database gives it."""
    return types.SimpleNamespace(**{
        'id': SNAPSHOT_ID, 'user_id': 'u', 'project_id': 'p',
        'use_quota': True, 'volume_id': VOLUME_ID, 'cgsnapshot_id': None,
        'group_snapshot_id': None, 'status': 'available',
        'progress': '100%', 'volume_size': 3, 'display_name': 'daily',
        'display_description': None, 'encryption_key_id': None,
        'volume_type_id': TYPE_ID, 'provider_location': None,
        'provider_id': 'on-the-backend', 'provider_auth': None,
        'created_at': datetime.datetime(2026, 1, 2, 3, 4, 5, 678),
        'updated_at': None, 'deleted_at': None, 'deleted': False, **values})


def volume_row(**values):
    """A row of ``volumes`` as the database gives it."""
    return types.SimpleNamespace(**{
        'id': VOLUME_ID, '_name_id': None, 'user_id': 'u', 'project_id': 'p',
        'use_quota': True, 'cluster_name': None, 'host': 'node@dir#pool',
        'size': 3, 'availability_zone': 'nova', 'status': 'available',
        'display_name': 'data', 'volume_type_id': TYPE_ID,
        'created_at': datetime.datetime(2026, 1, 2, 3, 4, 5),
        'updated_at': None, 'deleted_at': None, 'deleted': False, **values})


class TestCase(base.BaseTestCase):
    """Has ``conf``, with short timeouts, and ``context``."""

    def setUp(self):
        super().setUp()
        self.conf = conf.new()
        self.conf([], default_config_files=[])
        self.conf.set_override('rpc_timeout', 1, 'manageable_snapshots')
        self.conf.set_override('list_timeout', 5, 'manageable_snapshots')
        self.context = context.RequestContext(
            user_id='u', project_id='p', is_admin=True, roles=['admin'],
            auth_token='the-token', overwrite=False)
