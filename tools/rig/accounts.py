# SPDX-License-Identifier: Apache-2.0

"""Register Cinder in Keystone's catalog, and create the tests' users.

    OS_AUTH_URL=... accounts.py URL-OF-CINDER

The users are ``cinder``, the service user, and ``demo``, a member of the
project ``demo``.
"""

import os
import sys
from typing import Any

from keystoneauth1.identity import v3
from keystoneauth1 import session


def main(url: str) -> None:
    keystone = os.environ['OS_AUTH_URL']
    admin = session.Session(v3.Password(
        auth_url=keystone, username='admin', password='admin',
        project_name='admin', user_domain_id='default',
        project_domain_id='default'))

    def make(kind: str, **values: Any) -> str:
        answer = admin.post(f'{keystone}/{kind}s', json={kind: values})
        return answer.json()[kind]['id']

    roles = {role['name']: role['id'] for role in admin.get(
        f'{keystone}/roles').json()['roles']}
    for project, name, role in (('service', 'cinder', 'admin'),
                                ('demo', 'demo', 'member')):
        project_id = make('project', name=project, domain_id='default')
        user_id = make('user', name=name, password=name, domain_id='default')
        admin.put(f'{keystone}/projects/{project_id}/users/{user_id}'
                  f'/roles/{roles[role]}')
    service = make('service', type='block-storage', name='cinder')
    make('endpoint', service_id=service, interface='public',
         region_id='RegionOne', url=f'{url}/v3/%(project_id)s')


if __name__ == '__main__':
    main(*sys.argv[1:])
