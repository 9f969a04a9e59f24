# SPDX-License-Identifier: Apache-2.0

"""A real Cinder, which ``tools/rig/cinder`` has started, and its Ceph.

It says in the environment where everything is. The tests share it, one after
the other, and each class says what of this project is loaded.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import os
import subprocess
import time
from typing import Any

from keystoneauth1.identity import v3
from keystoneauth1 import session as keystone_session
from oslotest import base
import sqlalchemy as sa

from manageable_snapshots.tests.integration import servers

#: the checkout
ROOT = os.path.realpath(os.path.join(
    os.path.dirname(__file__), '..', '..', '..'))
RIG = os.path.join(ROOT, 'tools', 'rig', 'cinder')

HOST = 'devhost@ceph'
POOL = 'volumes'

#: seconds for any one thing to happen
PATIENCE = 120

#: lists show what a test has put into the pool just now
FRESH = """
[manageable_snapshots]
inventory_max_age = 0
"""


class Stack:
    """What was started, and ways to it."""

    def __init__(self) -> None:
        self.url = servers.url('cinder')
        self.folder = os.environ['CINDER_STACK_DIR']
        self.release = int(os.environ['CINDER_STACK_RELEASE'].split('.')[0])
        self.database_url = os.environ['CINDER_STACK_MARIADB']
        self.transport_url = os.environ['CINDER_STACK_RABBITMQ']
        self.keystone = os.environ['CINDER_STACK_KEYSTONE']
        self.configuration = os.path.join(self.folder, 'cinder.conf')
        self.ceph = os.environ['CINDER_STACK_CEPH']
        self._loaded: Any = None
        self._sessions: dict[str, keystone_session.Session] = {}

    def load(self, *parts: str, conf: str = FRESH,
             api: str = 'gunicorn', **environ: str) -> None:
        """Restart Cinder with parts of this project, if others are loaded.

        :param parts: ``filter``, ``manager``
        :param conf: lines of cinder.conf
        :param api: what its API runs in
        :param environ: more of what tools/rig/cinder obeys
        """
        wanted = parts, conf, api, environ
        if self._loaded == wanted:
            return
        self._loaded = None
        extra = os.path.join(self.folder, 'extra.conf')
        with open(extra, 'w') as file:
            file.write(conf)
        self.rig('load', *parts, CINDER_CONF=extra, CINDER_API=api,
                 **environ)
        self._loaded = wanted

    def rig(self, action: str, *names: str, **environ: str) -> None:
        """What tools/rig/cinder can do with what is running."""
        if action != 'load' and set(names) & {'api', 'volume'}:
            # A test that ends early shall not be another one's trouble.
            self._loaded = None
        done = subprocess.run(
            [RIG, action, self.folder, *names], env={**os.environ, **environ},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=4 * PATIENCE)
        if done.returncode:
            raise AssertionError(done.stdout[-5000:])

    def log(self, name: str) -> str:
        """What a service has logged since it was started."""
        with open(os.path.join(self.folder, name, 'log')) as file:
            return file.read()

    def session(self, user: str = 'admin') -> keystone_session.Session:
        if user not in self._sessions:
            self._sessions[user] = keystone_session.Session(v3.Password(
                auth_url=self.keystone, username=user, password=user,
                project_name=user, user_domain_id='default',
                project_domain_id='default'))
        return self._sessions[user]

    def token(self, user: str = 'admin') -> str:
        return self.session(user).get_token()

    def project(self, user: str = 'admin') -> str:
        return self.session(user).get_project_id()

    def ask(self, method: str, path: str, body: Any = None, *,
            version: str = '3.59', user: str = 'admin',
            url: str | None = None) -> tuple[int, Any]:
        """The status of an answer, and its body.

        :param path: what follows the project in the URL
        :param url: of another API than Cinder's
        """
        answer = self.session(user).request(
            f'{url or self.url}/v3/{self.project(user)}/{path}', method,
            json=body, raise_exc=False, connect_retries=0, headers={
                'OpenStack-API-Version': f'volume {version}'},
            timeout=PATIENCE)
        return answer.status_code, answer.json() if answer.content else None

    def pages(self, path: str, **options: Any) -> Iterator[Any]:
        """The pages of a list, as the links lead through them."""
        while path:
            status, body = self.ask('GET', path, **options)
            if status != 200:
                raise AssertionError(body)
            yield body['manageable-snapshots']
            links = body.get('manageable-snapshots_links')
            path = links and links[0]['href'].rpartition(
                self.project() + '/')[2]

    def wait(self, kind: str, resource_id: str, status: str | None,
             **options: Any) -> Any:
        """A volume or snapshot, once it has a status.

        :param kind: ``volume`` or ``snapshot``
        :param status: None: wait until it is gone
        """
        def resource() -> Any:
            code, body = self.ask('GET', f'{kind}s/{resource_id}', **options)
            return body[kind] if code == 200 else None

        wait_for(lambda: (resource() or {}).get('status') == status)
        return resource()

    def volume(self, name: str = 'volume', **values: Any) -> str:
        """The id of a new volume."""
        status, body = self.ask('POST', 'volumes', {
            'volume': {'size': 1, 'name': name, **values}})
        if status != 202:
            raise AssertionError(body)
        return self.wait('volume', body['volume']['id'], 'available')['id']

    def snapshot(self, volume_id: str, **options: Any) -> str:
        """The id of a new snapshot."""
        status, body = self.ask('POST', 'snapshots', {'snapshot': {
            'volume_id': volume_id, 'name': 'snapshot'}}, **options)
        if status != 202:
            raise AssertionError(body)
        return self.wait(
            'snapshot', body['snapshot']['id'], 'available')['id']

    def adopt(self, volume_id: str, ref: Any,
              **options: Any) -> tuple[int, Any]:
        """Ask for it; the status and the snapshot, or the whole answer."""
        status, body = self.ask('POST', 'manageable_snapshots', {
            'snapshot': {'volume_id': volume_id, 'ref': ref}}, **options)
        return status, body['snapshot'] if status == 202 else body

    @functools.cached_property
    def pool(self) -> Any:
        """The pool of the RBD backend."""
        return self.open_pool(POOL)

    def open_pool(self, name: str, conf: str | None = None) -> Any:
        """A pool of Ceph.

        :param conf: the ceph.conf of another cluster than the backend's
        """
        # Debian's, linked in beside this interpreter by tools/test.
        import rados
        cluster = rados.Rados(conffile=conf or self.ceph)
        cluster.connect(timeout=30)
        return cluster.open_ioctx(name)

    @contextlib.contextmanager
    def image(self, name: str, pool: Any = None,
              read_only: bool = False) -> Iterator[Any]:
        """:param pool: None: the RBD backend's"""
        import rbd
        with rbd.Image(pool or self.pool, name,
                       read_only=read_only) as image:
            yield image

    def make_image(self, name: str, size: int) -> None:
        """:param size: bytes"""
        import rbd
        rbd.RBD().create(self.pool, name, size)

    def clone(self, name: str, snapshot: str, new: str) -> None:
        """Make an image of a snapshot, as somebody would past Cinder."""
        import rbd
        with self.image(name) as image:
            image.protect_snap(snapshot)
        rbd.RBD().clone(self.pool, name, snapshot, self.pool, new,
                        features=rbd.RBD_FEATURE_LAYERING)

    def remove_image(self, name: str) -> None:
        import rbd
        rbd.RBD().remove(self.pool, name)

    def put(self, volume_id: str, *names: str, pool: Any = None) -> None:
        """Snapshots of a volume that nobody manages."""
        with self.image(f'volume-{volume_id}', pool) as image:
            for name in names:
                image.create_snap(name)

    def held(self, volume_id: str, pool: Any = None) -> set[str]:
        """The names of a volume's snapshots in the pool.

        Those of mirroring, and what Ceph keeps for clones, are left out.
        """
        import rbd
        with self.image(f'volume-{volume_id}', pool,
                        read_only=True) as image:
            return {found['name'] for found in image.list_snaps()
                    if found['namespace'] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER}

    def execute(self, *statements: str) -> None:
        """SQL, in one transaction."""
        engine = sa.create_engine(self.database_url)
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    def clear(self) -> None:
        """Forget and remove every volume and snapshot."""
        import rbd
        self.execute('SET foreign_key_checks = 0', *(
            f'DELETE FROM {table}' for table in (
                'snapshots', 'snapshot_metadata', 'volumes',
                'volume_metadata', 'volume_glance_metadata',
                'volume_attachment', 'volume_admin_metadata', 'workers',
                'reservations', 'quota_usages')))
        left = rbd.RBD().list(self.pool)
        while left:
            before = left
            # A clone has to go before the image that it is one of.
            left = [name for name in before if not self._remove(name)]
            if left == before:
                raise AssertionError(f'cannot be removed: {left}')

    def _remove(self, name: str) -> bool:
        """Remove an image and its snapshots, unless it has clones."""
        import rbd
        try:
            with self.image(name) as image:
                for snapshot in image.list_snaps():
                    if (snapshot['namespace']
                            != rbd.RBD_SNAP_NAMESPACE_TYPE_USER):
                        # It goes with the last clone.
                        continue
                    if image.is_protected_snap(snapshot['name']):
                        image.unprotect_snap(snapshot['name'])
                    image.remove_snap(snapshot['name'])
            rbd.RBD().remove(self.pool, name)
        except (rbd.ImageBusy, rbd.ImageHasSnapshots):
            return False
        return True


@functools.cache
def stack() -> Stack:
    """The one that there is.

    :raises unittest.SkipTest: there is none
    """
    return Stack()


class TestCase(base.BaseTestCase):
    """An empty Cinder for each class, with parts of this project."""

    PARTS: tuple[str, ...] = ('filter', 'manager')
    CONF = FRESH
    API = 'gunicorn'
    ENVIRON: dict[str, str] = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stack = stack()
        cls.stack.load(*cls.PARTS, conf=cls.CONF, api=cls.API,
                       **cls.ENVIRON)
        cls.stack.clear()

    def setUp(self):
        super().setUp()
        # The test before may have left it in pieces.
        self.stack.load(*self.PARTS, conf=self.CONF, api=self.API,
                        **self.ENVIRON)


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait for what happens elsewhere.

    :raises AssertionError: it does not
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError('it did not happen in time')
        time.sleep(0.1)
