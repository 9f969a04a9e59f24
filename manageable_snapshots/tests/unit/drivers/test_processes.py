# SPDX-License-Identifier: Apache-2.0

from concurrent import futures
import os
import signal
import subprocess
import threading

import fixtures
from oslo_concurrency import processutils
from oslotest import base

from manageable_snapshots.drivers import processes


class TestRunner(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.runner = processes.Runner('')
        self.started = []
        execute = processutils.execute

        def spy(*args, on_execute, **kwargs):
            def started(process):
                self.started.append(process)
                self.addCleanup(self.end, process)
                on_execute(process)
            return execute(*args, on_execute=started, **kwargs)

        self.useFixture(fixtures.MockPatchObject(
            processutils, 'execute', spy))
        self.useFixture(fixtures.MockPatchObject(
            processutils.os, 'geteuid', lambda: 0))

    def end(self, process):
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait(10)

    def run_command(self, *command, harmless=True, seconds=1):
        return self.runner.run(*command, seconds=seconds, harmless=harmless)

    def hang(self, harmless):
        self.assertRaises(processes.Stuck, self.run_command, 'sleep', '600',
                          harmless=harmless)
        return self.started[-1]

    def test_the_output_is_returned(self):
        self.assertEqual('a b\n', self.run_command('echo', 'a b'))

    def test_there_is_no_shell(self):
        self.assertEqual('$HOME;*\n', self.run_command('echo', '$HOME;*'))

    def test_a_status_that_is_not_0_is_an_error(self):
        self.assertRaises(processutils.ProcessExecutionError,
                          self.run_command, 'false')

    def test_what_is_not_there_is_an_error(self):
        self.assertRaises(OSError, self.run_command, '/nonexistent')

    def test_the_helper_goes_before_the_command(self):
        self.useFixture(fixtures.MockPatchObject(
            processutils.os, 'geteuid', lambda: 1000))
        self.runner = processes.Runner('echo as root:')
        self.assertEqual('as root: lvs\n', self.run_command('lvs'))

    def test_what_hangs_and_does_no_harm_is_killed(self):
        process = self.hang(harmless=True)
        self.assertEqual(-9, process.wait(10))

    def test_what_changes_something_comes_to_its_end(self):
        process = self.hang(harmless=False)
        self.assertIsNone(process.poll())

    def test_what_cannot_be_killed_is_left_alone(self):
        self.useFixture(fixtures.MockPatchObject(
            subprocess.Popen, 'kill', side_effect=PermissionError))
        self.assertIsNone(self.hang(harmless=True).poll())

    def script(self, text):
        folder = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(folder, 'command')
        with open(path, 'x') as file:
            file.write(f'#!/bin/sh\ncd {folder}\necho >>ran\n{text}')
        os.chmod(path, 0o755)
        return path

    def test_what_dies_is_run_once_more_if_it_does_no_harm(self):
        for death in ('kill -SEGV $$', 'exit 139'):
            for harmless, times in ((True, 2), (False, 1)):
                command = self.script(death)
                error = self.assertRaises(
                    processutils.ProcessExecutionError, self.run_command,
                    command, harmless=harmless)
                self.assertTrue(processes.died(error))
                with open(os.path.join(os.path.dirname(command),
                                       'ran')) as file:
                    self.assertEqual(times, len(file.readlines()))

    def test_what_fails_is_not_run_once_more(self):
        for status in (1, 5, 127, 128):
            command = self.script(f'exit {status}')
            error = self.assertRaises(
                processutils.ProcessExecutionError, self.run_command, command)
            self.assertFalse(processes.died(error))
            with open(os.path.join(os.path.dirname(command), 'ran')) as file:
                self.assertEqual(1, len(file.readlines()))

    def test_a_function_is_called(self):
        self.assertEqual(
            [1, 2], self.runner.call(lambda *args: [*args], 1, 2, seconds=1))

    def test_what_a_function_raises_is_raised(self):
        for error in (TimeoutError, processutils.ProcessExecutionError):
            def fail():
                raise error
            self.assertRaises(error, self.runner.call, fail, seconds=1)

    def test_functions_that_hang_count_as_well(self):
        released, threads = threading.Event(), []
        self.addCleanup(released.set)

        def hang():
            threads.append(threading.current_thread())
            released.wait(60)

        self.useFixture(fixtures.MockPatchObject(processes, 'AT_ONCE', 1))
        self.assertRaises(processes.Stuck, self.runner.call, hang,
                          seconds=0.1)
        self.assertRaises(processes.Stuck, self.run_command, 'true')
        self.assertRaises(processes.Stuck, self.runner.call, list, seconds=1)
        released.set()
        for thread in threads:
            thread.join(30)
        self.assertEqual([], self.runner.call(list, seconds=1))

    def test_one_function_that_hangs_is_enough(self):
        released, begun = threading.Event(), []
        self.addCleanup(released.set)

        def hang():
            begun.append(True)
            released.wait(60)

        for _number in range(3):
            self.assertRaises(processes.Stuck, self.runner.call, hang,
                              seconds=0.1)
        self.assertEqual(1, len(begun))
        self.assertEqual('', self.run_command('true'))

    def test_few_hang_and_when_they_end_it_works_again(self):
        self.useFixture(fixtures.MockPatchObject(processes, 'AT_ONCE', 2))
        for _number in range(2):
            self.hang(harmless=False)
        self.assertRaises(processes.Stuck, self.run_command, 'true')
        self.assertEqual(2, len(self.started))
        self.end(self.started[0])
        self.assertEqual('', self.run_command('true'))

    def test_few_run_at_once(self):
        self.useFixture(fixtures.MockPatchObject(processes, 'AT_ONCE', 1))
        runner = processes.Runner('')
        with futures.ThreadPoolExecutor(2) as executor:
            first, second = [
                executor.submit(runner.run, 'sleep', '600', seconds=1,
                                harmless=True) for _number in range(2)]
            for call in (first, second):
                self.assertIsInstance(
                    call.exception(timeout=30), processes.Stuck)
