# SPDX-License-Identifier: Apache-2.0

"""A process whose backend hangs, as an operator and a client see it."""

import contextlib
import os
import signal
import subprocess
import sys
import time

from oslo_utils import units

from manageable_snapshots.tests.functional import hanging
from manageable_snapshots.tests.functional import test_commands

#: seconds, as configured
LIST_TIMEOUT = 1
GRACEFUL_TIMEOUT = 3

HOST = 'localhost@directory'


class HangingTest(test_commands.TestCase):

    def setUp(self):
        super().setUp()
        self.images = os.path.join(self.folder, 'images')
        self.fifo = os.path.join(self.images, hanging.FIFO)
        self.path = self.write(f"""
[DEFAULT]
graceful_shutdown_timeout = {GRACEFUL_TIMEOUT}
[manageable_snapshots]
list_timeout = {LIST_TIMEOUT}
inventory_max_age = 0
rpc_timeout = 1
[directory]
volume_driver = {hanging.__name__}:Driver
""")
        self.start()
        self.volume_id = self.volume()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, '-c',
             'from manageable_snapshots.cmd import serve\n'
             'raise SystemExit(serve.main())',
             'serve', '--port', '0', '--config-file', self.path,
             '--state-path', os.path.join(self.folder, 'state'),
             '--directory', self.images],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.process.communicate,
                        timeout=test_commands.PATIENCE)
        self.addCleanup(self.process.kill)
        self.url = self.process.stdout.readline().split()[-1]

    def ask(self, path, body=None):
        return test_commands.ask(f'{self.url}/{path}', body)

    def list(self):
        """The status, what came, and the seconds that it took."""
        started = time.monotonic()
        status, answer = self.ask(f'manageable_snapshots?host={HOST}')
        return status, answer, time.monotonic() - started

    def wait_for(self, path, status):
        end = time.monotonic() + test_commands.PATIENCE
        while True:
            _code, answer = self.ask(path)
            thing, = answer.values()
            if thing['status'] == status:
                return
            self.assertLess(time.monotonic(), end, answer)
            time.sleep(0.05)

    def volume(self):
        """A volume that has a snapshot, ``found``."""
        _code, answer = self.ask('volumes', {'volume': {'size': 1}})
        volume_id = answer['volume']['id']
        self.wait_for(f'volumes/{volume_id}', 'available')
        with open(os.path.join(self.folder, 'found'), 'w') as file:
            file.truncate(units.Gi)
        os.rename(file.name, os.path.join(
            self.images, 'snapshots', f'volume-{volume_id}', 'found'))
        return volume_id

    def adopt(self):
        code, answer = self.ask('manageable_snapshots', {'snapshot': {
            'volume_id': self.volume_id, 'ref': 'found'}})
        self.assertEqual(202, code)
        return answer['snapshot']['id']

    def hang(self):
        os.mkfifo(self.fifo)
        self.addCleanup(self.answer)

    def answer(self):
        """End the hanging, if it has not ended."""
        with contextlib.suppress(FileNotFoundError):
            gone = f'{self.fifo}-no-more'
            os.rename(self.fifo, gone)
            # One for whom nobody waits cannot be opened.
            with contextlib.suppress(OSError):
                os.close(os.open(gone, os.O_WRONLY | os.O_NONBLOCK))

    def assert_too_late(self):
        status, answer, seconds = self.list()
        self.assertEqual(504, status)
        (fault,) = answer.values()
        self.assertEqual(f'The backend {HOST} did not answer within '
                         f'{LIST_TIMEOUT} seconds.', fault['message'])
        self.assertLess(seconds, LIST_TIMEOUT + 3)

    def test_lists_end_in_time_and_work_again_by_themselves(self):
        self.hang()
        for _count in range(2):
            self.assert_too_late()
        self.answer()
        status, answer, _seconds = self.list()
        self.assertEqual(200, status)
        self.assertEqual('found', answer['manageable-snapshots'][0][
            'reference']['source-name'])

    def test_an_adoption_goes_on_when_the_backend_does(self):
        self.hang()
        snapshot_id = self.adopt()
        self.assert_too_late()
        self.answer()
        self.wait_for(f'snapshots/{snapshot_id}', 'available')

    def test_a_stop_is_in_time_and_nothing_is_lost(self):
        self.hang()
        snapshot_id = self.adopt()
        self.assert_too_late()
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(1, self.process.wait(test_commands.PATIENCE))
        self.assertLess(time.monotonic() - started, GRACEFUL_TIMEOUT + 5)
        self.answer()
        self.start()
        self.wait_for(f'snapshots/{snapshot_id}', 'available')
