# SPDX-License-Identifier: Apache-2.0

"""What is wrong with a configuration is said in one line."""

import io
import logging
import os
import signal
import threading
from unittest import mock

import fixtures
from oslo_log import formatters
from oslo_log import log

from manageable_snapshots.cmd import api
from manageable_snapshots.cmd import common
from manageable_snapshots.cmd import manage
from manageable_snapshots.cmd import serve
from manageable_snapshots.cmd import status
from manageable_snapshots.cmd import volume
from manageable_snapshots import conf as config
from manageable_snapshots.conf import secrecy
from manageable_snapshots.db import migration
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.cmd import base


class TestHelp(base.TestCase):

    def test_each_command_says_what_it_does(self):
        for command, text in (
                (api, 'Serve the API over HTTP'),
                (manage, 'Look after the database'),
                (serve, 'List and adopt the snapshots'),
                (status, 'whether this version of the package can run'),
                (volume, 'Serve the backends')):
            code, out, _err = self.call(command.main, '--help')
            self.assertEqual(0, code)
            self.assertIn(text, ' '.join(out.split()))


class TestConfiguration(base.TestCase):

    def complaint(self, text, command=volume):
        code, out, err = self.call(
            command.main, '--config-file', self.write(text))
        self.assertEqual((1, ''), (code, out))
        self.assertEqual(1, err.count('\n'), err)
        self.assertTrue(err.startswith('the-command: '), err)
        return err

    def test_a_wrong_value_is_named_with_its_section(self):
        for text, option, section in (
                ('[DEFAULT]\nosapi_max_limit = many', 'osapi_max_limit',
                 'DEFAULT'),
                ('[DEFAULT]\nauth_strategy = none', 'auth_strategy',
                 'DEFAULT'),
                ('[DEFAULT]\nstate_path = $nothing', 'state_path', 'DEFAULT'),
                ('[manageable_snapshots]\nrpc_timeout = 0', 'rpc_timeout',
                 'manageable_snapshots'),
                ('[coordination]\nbackend_url = $nothing', 'backend_url',
                 'coordination'),
                ('[DEFAULT]\nenabled_backends =', 'enabled_backends',
                 'DEFAULT'),
                (f'[DEFAULT]\nlog_file = {self.folder}/none/log', 'log_file',
                 'DEFAULT'),
                (f'[DEFAULT]\nlog_dir = {self.folder}/none', 'log_dir',
                 'DEFAULT'),
                (f'[DEFAULT]\nlog_config_append = {self.folder}/none',
                 'log_config_append', 'DEFAULT')):
            self.assertIn(f'Option {option} in section [{section}]: ',
                          self.complaint(text))

    def test_a_password_with_a_dollar_is_not_told(self):
        for text in ('[coordination]\nbackend_url = redis://:s3c$ret@host',
                     '[coordination]\nbackend_url = redis://:s3c${ret}@host'):
            err = self.complaint(text)
            self.assertIn('Option backend_url', err)
            self.assertIn('must be doubled', err)
            self.assertNotIn('ret', err)

    def test_a_line_that_cannot_be_parsed_is_not_told(self):
        for line in (' password = s3cret', 'password s3cret',
                     '[s3cret', '= s3cret'):
            err = self.complaint(f'[DEFAULT]\n{line}\n')
            self.assertIn('project.conf:2, ', err)
            self.assertNotIn('s3cret', err)

    def test_the_api_names_a_missing_file(self):
        err = self.complaint(
            '[DEFAULT]\napi_paste_config = none.ini', command=api)
        self.assertIn('Option api_paste_config in section [DEFAULT]', err)

    def test_the_api_names_an_address_that_is_not_ours(self):
        path = self.write(
            '[DEFAULT]\nauth_strategy = noauth\ntransport_url = fake://\n'
            'osapi_volume_listen = 192.0.2.1\n'
            f'state_path = {self.folder}\n')
        migration.sync(config.load(['--config-file', path]))
        code, _out, err = self.call(api.main, '--config-file', path)
        self.assertEqual(1, code)
        self.assertIn('Option osapi_volume_listen in section [DEFAULT]: '
                      '192.0.2.1, port 8776', err)

    def test_the_api_says_that_there_are_no_tables(self):
        err = self.complaint(
            '[DEFAULT]\nauth_strategy = noauth\ntransport_url = fake://\n'
            f'state_path = {self.folder}\n', command=api)
        self.assertIn('run "manageable-snapshots-manage db sync"', err)

    def test_a_file_that_is_none_is_named(self):
        self.assertIn('project.conf', self.complaint('[DEFAULT'))
        code, _out, err = self.call(
            volume.main, '--config-file', '/none/such.conf')
        self.assertEqual(1, code)
        self.assertIn('/none/such.conf', err)

    def test_an_option_that_there_is_not_is_a_wrong_usage(self):
        code, _out, err = self.call(volume.main, '--nonsense')
        self.assertEqual(2, code)
        self.assertIn('--nonsense', err)

    def test_an_unforeseen_error_keeps_its_traceback(self):
        @common.command
        def main(argv):
            raise ZeroDivisionError
        self.assertRaises(ZeroDivisionError, main, [])

    def test_the_arguments_are_those_of_the_process_by_default(self):
        seen = []

        @common.command
        def main(argv):
            seen.extend(argv)
            return 0
        self.useFixture(fixtures.MonkeyPatch('sys.argv', ['name', 'one']))
        with mock.patch.object(common, '_end_soon') as end_soon:
            self.assertEqual(0, main())
            self.assertEqual(['one'], seen)
            end_soon.assert_called_once_with(0)

    def test_with_arguments_of_its_own_the_process_goes_on(self):
        with mock.patch.object(common, '_end_soon') as end_soon:
            self.assertEqual(0, common.command(lambda argv: 0)([]))
        end_soon.assert_not_called()


class TestLog(base.TestCase):

    def logged(self, message, *args):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.addFilter(common.one_line)
        logger = logging.Logger('one')
        logger.addHandler(handler)
        logger.warning(message, *args)
        return stream.getvalue()

    def test_what_a_message_quotes_stays_in_its_line(self):
        for name, shown in (
                ('a\nERROR b', 'a\\nERROR b'), ('a\r\n', 'a\\r\\n'),
                ('\x1b[2J', '\\x1b[2J'), ('a\x85b', 'a\\x85b'),
                ('a\u2028b', 'a\\u2028b'), ('%s %(x)d {0}', '%s %(x)d {0}'),
                ('monday', 'monday'), ('\u00e9', '\u00e9')):
            with self.subTest(name=name):
                self.assertEqual(f'of {shown}.\n',
                                 self.logged('of %s.', name))
        self.assertEqual('of\\na.\n', self.logged('of\n%(x)s.', {'x': 'a'}))

    def test_every_handler_of_a_command_does_so(self):
        handlers = [logging.NullHandler(), logging.NullHandler()]
        with mock.patch.object(log, 'setup'), \
                mock.patch.object(logging.getLogger(), 'handlers', handlers):
            common.load(['--config-file', self.write('')], '')
        self.assertEqual([[common.one_line]] * 2,
                         [handler.filters for handler in handlers])

    def test_a_file_that_everybody_may_read_is_named_at_the_start(self):
        path = self.write('[DEFAULT]\ntransport_url = rabbit://u:s3c@h/\n')
        with mock.patch.object(secrecy, 'exposed', return_value=[path]), \
                mock.patch.object(common.LOG, 'warning') as warning:
            common.load(['--config-file', path], '')
        [call] = warning.call_args_list
        self.assertIn(path, call.args[0] % call.args[1:])
        self.assertNotIn('s3c', call.args[0] % call.args[1:])


class TestSignals(base.TestCase):

    def setUp(self):
        super().setUp()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.path = self.write('[DEFAULT]\ndebug = false\n')
        self.conf = common.load(['--config-file', self.path], '')
        self.addCleanup(log._refresh_root_level, False)
        self.stopped = threading.Event()
        common.handle_signals(self.conf, self.stopped.set)

    def test_termination_and_interruption_stop(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self.stopped.clear()
            os.kill(os.getpid(), number)
            self.assertTrue(self.stopped.wait(10))

    def test_a_hangup_reads_the_log_level_again(self):
        self.write('[DEFAULT]\ndebug = true\n')
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertTrue(self.conf.debug)
        self.assertFalse(self.stopped.is_set())

    def test_a_hangup_with_a_broken_file_changes_nothing(self):
        stderr = self.useFixture(fixtures.StringStream('log')).stream
        handler = logging.StreamHandler(stderr)
        handler.setFormatter(formatters.ContextFormatter(config=self.conf))
        common.LOG.logger.addHandler(handler)
        self.addCleanup(common.LOG.logger.removeHandler, handler)
        self.write('[DEFAULT]\n password = s3cret\n')
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertFalse(self.conf.debug)
        stderr.seek(0)
        text = stderr.read()
        self.assertIn('project.conf:2, ', text)
        self.assertNotIn('s3cret', text)


class TestErrors(base.TestCase):

    def test_what_is_away_is_one_line(self):
        @common.command
        def main(argv):
            raise exception.ServiceUnavailable('The database\nis away.')
        self.assertEqual(
            (1, '', 'the-command: The database is away.\n'), self.call(main))
