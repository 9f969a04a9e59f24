# SPDX-License-Identifier: Apache-2.0

"""A Ceph to test on, which somebody else has started (``tools/test`` does).

``MANAGEABLE_SNAPSHOTS_TEST_CEPH_CONF`` names its configuration file. A test
is skipped where it is not set; with ``MANAGEABLE_SNAPSHOTS_TEST_STRICT`` set
it fails.
"""

from collections.abc import Iterator
import contextlib
import glob
import json
import os
import signal
from typing import Any
import unittest
import uuid

import fixtures
from oslo_concurrency import processutils

from manageable_snapshots.drivers import base
from manageable_snapshots.tests.drivers import conformance
from manageable_snapshots.tests.integration import servers

try:
    import rados
    import rbd
except ImportError:
    rados = rbd = None


class Pool(fixtures.Fixture):
    """A pool of its own, past the driver.

    :param conf: the path of Ceph's configuration file, if another one
    :raises unittest.SkipTest: there is no Ceph
    :ivar conf: the path of Ceph's configuration file
    :ivar name: the pool's name
    :ivar cluster: a connection
    :ivar ioctx: the open pool
    """

    def __init__(self, conf: str | None = None) -> None:
        super().__init__()
        # Here, since a fixture that skips in its setUp fails.
        self.conf = conf or servers.setting('CEPH_CONF')
        if rbd is None:
            raise unittest.SkipTest('There are no modules rados and rbd.')

    def _setUp(self) -> None:
        self._connect()
        self.name = f'test-{uuid.uuid4().hex}'
        # Of the default number of placement groups, an OSD has too many soon.
        self.ceph('osd', 'pool', 'create', self.name, '4', '4', 'replicated')
        self.addCleanup(self.cluster.delete_pool, self.name)
        self.ceph('osd', 'pool', 'application', 'enable', self.name, 'rbd')
        self._open()

    def _connect(self) -> None:
        self.cluster = rados.Rados(conffile=self.conf)
        self.cluster.connect(timeout=60)
        self.addCleanup(self.cluster.shutdown)

    def _open(self) -> None:
        self.ioctx = self.cluster.open_ioctx(self.name)
        self.addCleanup(self.ioctx.close)

    def ceph(self, *arguments: str) -> str:
        """What one of Ceph's own commands says."""
        output, _errors = processutils.execute(
            'ceph', '-c', self.conf, *arguments, timeout=60)
        return output

    def driver(self, **options: Any) -> base.SnapshotDriver:
        """The driver, set up, as backend ``images``."""
        driver = conformance.load_driver('images', 'rbd', **{
            'rbd_pool': self.name, 'rbd_ceph_conf': self.conf,
            'rbd_op_timeout': 5, **options})
        driver.do_setup(None)
        driver.check_for_setup_error()
        return driver

    def create(self, image: str, size: int, **options: Any) -> None:
        """:param size: bytes"""
        rbd.RBD().create(self.ioctx, image, size, old_format=False, **options)

    def open(self, image: str, read_only: bool = False) -> Any:
        return rbd.Image(self.ioctx, image, read_only=read_only)

    def clone(self, image: str, snapshot: str, clone: str,
              clone_format: int) -> None:
        """:param clone_format: 1, for a protected snapshot, or 2"""
        self.cluster.conf_set('rbd_default_clone_format', str(clone_format))
        rbd.RBD().clone(self.ioctx, image, snapshot, self.ioctx, clone)

    def snapshots(self, image: str) -> dict[str, int]:
        """Names and ids of the snapshots of an image."""
        with self.open(image, read_only=True) as opened:
            return {each['name']: each['id'] for each in opened.list_snaps()}

    def conf_elsewhere(self) -> str:
        """A configuration file whose monitors are not there."""
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'conf')
        with open(path, 'w') as file:
            file.write('[global]\nmon host = v2:127.0.0.1:1/0\n'
                       'auth client required = none\n')
        return path

    def osd_of(self, key: str) -> int:
        """The number of the OSD that has an object of the pool."""
        _status, answer, _message = self.cluster.mon_command(json.dumps({
            'prefix': 'osd map', 'pool': self.name, 'object': key,
            'format': 'json'}), b'')
        (number,) = json.loads(answer)['acting']
        return number

    def own_osds(self) -> tuple[int, int]:
        """The OSDs of what names the images, and of what all need."""
        return self.osd_of('rbd_directory'), self.osd_of('rbd_info')

    def is_spread(self) -> bool:
        """Whether images are on more than one OSD."""
        return len({self.osd_of(f'some-{number}') for number in range(64)}
                   ) > 1

    def osds(self, image: str) -> set[int]:
        """The OSDs that have what is needed to open an image."""
        with self.open(image, read_only=True) as opened:
            header = f'rbd_header.{opened.id()}'
        return {self.osd_of(header), self.osd_of(f'rbd_id.{image}')}

    @contextlib.contextmanager
    def stopped_osd(self, number: int | None = None) -> Iterator[None]:
        """While nothing that is asked of an OSD is done.

        :param number: which OSD; None: all that there are
        """
        sockets = glob.glob(os.path.join(
            os.path.dirname(self.conf), 'run',
            f'*-osd.{"*" if number is None else number}-*.asok'))
        processes = [int(socket.removesuffix('.asok').rpartition('-')[2])
                     for socket in sockets]
        assert processes, self.conf
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)


class ExistingPool(Pool):
    """A pool that is there, and stays.

    :param name: its name
    :param conf: the path of Ceph's configuration file
    """

    def __init__(self, name: str, conf: str) -> None:
        super().__init__(conf)
        self.name = name

    def _setUp(self) -> None:
        self._connect()
        self._open()
