# SPDX-License-Identifier: Apache-2.0

"""Mistakes in the spelling of a Cinder's configuration are named."""

import json
import subprocess
import sys

from manageable_snapshots.tests.integration import cinder

OPTION = 'Unknown option adoption_thread in section [manageable_snapshots]'


class UnknownTest(cinder.TestCase):

    CONF = cinder.FRESH + 'adoption_thread = 4\n'

    def test_each_process_warns_once(self):
        for _count in range(2):
            status, answer = self.stack.ask(
                'GET', f'manageable_snapshots?host={cinder.HOST}')
            self.assertEqual(200, status, answer)
        for service in ('api', 'volume'):
            with self.subTest(service=service):
                processes = [
                    line.split()[2] for line
                    in self.stack.log(service).splitlines() if OPTION in line]
                self.assertNotEqual([], processes)
                self.assertEqual(len(set(processes)), len(processes))

    def test_upgrade_check_warns(self):
        done = subprocess.run(
            [sys.executable, '-c', 'from manageable_snapshots.cmd import '
             'status\nraise SystemExit(status.main())', '--config-file',
             self.stack.configuration, 'upgrade', 'check', '--json'],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=cinder.PATIENCE)
        checks = {each['check']: each for each
                  in json.loads(done.stdout)['checks']}
        self.assertEqual(1, checks['Configuration']['result'])
        self.assertIn(OPTION, checks['Configuration']['details'])
        self.assertEqual(0, checks['Policy']['result'], checks['Policy'])
