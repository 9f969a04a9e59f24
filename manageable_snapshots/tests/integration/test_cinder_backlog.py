# SPDX-License-Identifier: Apache-2.0

"""Adoptions that wait in a real cinder-volume, and its stop."""

import contextlib
import fcntl
import hashlib
import os
import signal
import time

from manageable_snapshots.tests.integration import cinder
from manageable_snapshots.tests.integration.faults import rig

#: more than cinder-volume has RPC threads (executor_thread_pool_size)
MANY = 80

#: seconds in which Cinder makes a volume, with time to spare; an adoption
#: waits for its lock for 60
SOON = 20

#: seconds for a stop, of which the RPC servers' takes up to eight
SHORT = 16

ONE_AT_A_TIME = """
[DEFAULT]
graceful_shutdown_timeout = {seconds}
[manageable_snapshots]
adoption_threads = 1
recovery_interval = 1
"""


class BacklogTestCase(cinder.TestCase):

    def setUp(self):
        super().setUp()
        self.volume_id = self.stack.volume()

    @property
    def lock_file(self):
        """The file of the lock that the volume's adoptions hold."""
        digest = hashlib.sha256(f'volume-{self.volume_id}'.encode()).digest()
        return os.path.realpath(os.path.join(
            self.stack.folder, 'state', 'cinder-manageable-snapshots-'
            f'{cinder.HOST}-volume-{digest[0]}'))

    def locked(self):
        """A file that holds that lock until it is closed."""
        file = open(self.lock_file, 'a')
        self.addCleanup(file.close)
        fcntl.lockf(file, fcntl.LOCK_EX)
        return file

    def put(self, *names):
        self.stack.put(self.volume_id, *names)

    def held(self):
        return self.stack.held(self.volume_id)

    def adopt(self, name):
        status, snapshot = self.stack.adopt(
            self.volume_id, {'source-name': name})
        self.assertEqual(202, status, snapshot)
        return snapshot['id']

    def status(self, snapshot_id):
        _status, body = self.stack.ask('GET', f'snapshots/{snapshot_id}')
        return body['snapshot']['status']


class Threads:
    """In a cinder-volume that eventlet has not patched."""

    ENVIRON = {'OS_CINDER_DISABLE_EVENTLET_PATCHING': '1'}

    @classmethod
    def setUpClass(cls):
        if cinder.stack().release < 29:
            raise cls.skipException('it has eventlet only')
        super().setUpClass()


class FreeTest(BacklogTestCase):
    """Adoptions that wait for their turn keep no RPC thread."""

    def test_a_volume_is_created_while_adoptions_wait(self):
        names = [f'old-{number}' for number in range(MANY)]
        self.put(*names)
        with self.locked():
            ids = [self.adopt(name) for name in names]
            began = time.monotonic()
            self.stack.volume('meanwhile')
            self.assertLess(time.monotonic() - began, SOON)
            self.assertEqual(set(names), self.held())
        for snapshot_id in ids:
            self.stack.wait('snapshot', snapshot_id, 'available')


class FreeThreadsTest(Threads, FreeTest):
    pass


class StopTestCase(BacklogTestCase):

    def setUp(self):
        super().setUp()
        with open(os.path.join(self.stack.folder, 'volume', 'pid')) as file:
            self.parent = int(file.read())
        self.worker = min(rig.children(self.parent))

    @contextlib.contextmanager
    def stopping(self):
        """Stop cinder-volume, as systemd does (KillMode=mixed); start it."""
        os.kill(self.parent, signal.SIGTERM)
        try:
            cinder.wait_for(lambda: 'Waiting for the end of 1 adoptions'
                            in self.stack.log('volume'))
            yield
        finally:
            self.stack.rig('start', 'volume')

    def wait_for_its_end(self):
        cinder.wait_for(lambda: not any(rig.files(self.worker)))

    def adopt_while_locked(self, name):
        snapshot_id = self.adopt(name)
        cinder.wait_for(lambda: self.lock_file in rig.files(self.worker))
        return snapshot_id


class StopTest(StopTestCase):
    """Cinder's stop waits for what runs, and begins nothing."""

    CONF = ONE_AT_A_TIME.format(seconds=60)

    def test_what_runs_ends_and_what_waits_is_left_to_the_next_start(self):
        self.put('runs', 'waits')
        lock = self.locked()
        runs = self.adopt_while_locked('runs')
        waits = self.adopt('waits')
        # The worker takes messages in their order.
        list(self.stack.pages(f'manageable_snapshots?host={cinder.HOST}'))
        with self.stopping():
            self.assertEqual({'runs', 'waits'}, self.held())
            lock.close()
            self.wait_for_its_end()
            self.assertEqual('available', self.status(runs))
            self.assertEqual('creating', self.status(waits))
            self.assertEqual({f'snapshot-{runs}', 'waits'}, self.held())
        self.stack.wait('snapshot', waits, 'available')


class StopThreadsTest(Threads, StopTest):
    pass


class ShortStopTest(StopTestCase):
    """No longer than graceful_shutdown_timeout."""

    CONF = ONE_AT_A_TIME.format(seconds=SHORT)

    def test_it_is_bounded(self):
        self.put('runs')
        with self.locked():
            runs = self.adopt_while_locked('runs')
            began = time.monotonic()
            with self.stopping():
                self.wait_for_its_end()
                self.assertLess(time.monotonic() - began, 2 * SHORT)
                self.assertEqual({'runs'}, self.held())
        self.stack.wait('snapshot', runs, 'available')


class ShortStopThreadsTest(Threads, ShortStopTest):
    pass
