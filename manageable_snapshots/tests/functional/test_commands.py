# SPDX-License-Identifier: Apache-2.0

"""The commands that serve, as they are started."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import fixtures

from manageable_snapshots.cmd import api
from manageable_snapshots.cmd import serve
from manageable_snapshots.cmd import volume
from manageable_snapshots.tests.unit.cmd import base

#: seconds for any one thing to happen
PATIENCE = 60


def ask(url, body=None):
    """The answer's status and body."""
    request = urllib.request.Request(
        url, data=body and json.dumps(body).encode(), headers={
            'Content-Type': 'application/json',
            'OpenStack-API-Version': 'volume 3.8'})
    opener = urllib.request.build_opener(NoErrors)
    with opener.open(request, timeout=PATIENCE) as answer:
        return answer.status, json.load(answer)


class NoErrors(urllib.request.HTTPErrorProcessor):

    def http_response(self, request, response):
        return response


class TestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def serve(self, main, arguments, ready, visit):
        """Run a command, and end it as an operator would.

        :param ready: an expression for what it prints when it is ready
        :param visit: called with the match then, in a thread
        :returns: its exit status
        """
        printed = io.StringIO()
        ended = threading.Event()
        errors = []

        def visitor():
            try:
                end = time.monotonic() + PATIENCE
                while not (match := re.search(ready, printed.getvalue())):
                    if time.monotonic() > end or ended.wait(0.05):
                        raise AssertionError(printed.getvalue())
                visit(match)
            except BaseException as error:
                errors.append(error)
            # To one that has ended already it would be the test's own end.
            if not ended.is_set():
                os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=visitor, daemon=True)
        with fixtures.MonkeyPatch('sys.stdout', printed), \
                fixtures.MonkeyPatch('sys.stderr', printed):
            thread.start()
            status = main(arguments)
            ended.set()
        thread.join(PATIENCE)
        if errors:
            raise errors[0]
        return status


class TestServe(TestCase):

    def run_serve(self, visit, *arguments):
        return self.serve(
            serve.main, ['serve', '--port', '0', '--state-path',
                         os.path.join(self.folder, 'state'), *arguments],
            r'(?s)Serving on (http://127\.0\.0\.1:\d+/v3)\n.*Ctrl-C', visit)

    def wait_for(self, url, status):
        end = time.monotonic() + PATIENCE
        while True:
            _code, answer = ask(url)
            thing, = answer.values()
            if thing['status'] == status:
                return thing
            self.assertLess(time.monotonic(), end, answer)
            time.sleep(0.05)

    def test_a_snapshot_is_adopted_and_is_there_after_a_restart(self):
        images = os.path.join(self.folder, 'images')

        def adopt(match):
            url = match.group(1)
            _code, answer = ask(
                f'{url}/volumes', {'volume': {'size': 1, 'name': 'one'}})
            volume_id = answer['volume']['id']
            self.wait_for(f'{url}/volumes/{volume_id}', 'available')
            with open(os.path.join(images, 'draft'), 'w') as file:
                file.truncate(1024)
            os.rename(file.name, os.path.join(
                images, 'snapshots', f'volume-{volume_id}', 'found'))
            _code, answer = ask(
                f'{url}/manageable_snapshots?host=localhost@directory')
            reference = answer['manageable-snapshots'][0]['reference']
            self.assertEqual('found', reference['source-name'])
            code, answer = ask(f'{url}/manageable_snapshots', {'snapshot': {
                'volume_id': volume_id, 'ref': reference, 'name': 'kept'}})
            self.assertEqual(202, code)
            self.wait_for(f'{url}/snapshots/{answer["snapshot"]["id"]}',
                          'available')

        def look(match):
            _code, answer = ask(f'{match.group(1)}/snapshots')
            self.assertEqual(
                ['kept'], [each['name'] for each in answer['snapshots']])

        self.assertEqual(0, self.run_serve(adopt, '--directory', images))
        self.assertEqual(0, self.run_serve(look, '--directory', images))

    def test_a_configuration_file_is_read(self):
        path = self.write('[DEFAULT]\nquota_volumes = 0\n')

        def ask_for_a_volume(match):
            code, _answer = ask(f'{match.group(1)}/volumes',
                                {'volume': {'size': 1}})
            self.assertEqual(413, code)

        self.assertEqual(0, self.run_serve(
            ask_for_a_volume, '--config-file', path, '--debug'))

    def test_an_option_that_there_is_not(self):
        path = self.write('[DEFAULT]\nquota_volume = 0\n')
        warned = []

        def look(match):
            warned.append('Unknown option quota_volume in section [DEFAULT]'
                          in match.string)

        self.assertEqual(0, self.run_serve(look, '--config-file', path))
        self.assertEqual([True], warned)

    def test_a_port_in_use_is_said_in_a_line(self):
        def serve_again(match):
            port = match.group(1).rpartition(':')[2].partition('/')[0]
            return subprocess.run(
                [sys.executable, '-c',
                 'from manageable_snapshots.cmd import serve\n'
                 'raise SystemExit(serve.main())',
                 'serve', '--port', port,
                 '--state-path', os.path.join(self.folder, 'other')],
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=PATIENCE)

        results = []
        self.run_serve(lambda match: results.append(serve_again(match)))
        self.assertEqual(1, results[0].returncode)
        self.assertIn('Address already in use', results[0].stderr)
        self.assertNotIn('Traceback', results[0].stderr)

    def test_a_second_process_on_one_state_is_refused(self):
        def serve_again(_match):
            return subprocess.run(
                [sys.executable, '-c',
                 'from manageable_snapshots.cmd import serve\n'
                 'raise SystemExit(serve.main())',
                 'serve', '--port', '0',
                 '--state-path', os.path.join(self.folder, 'state')],
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=PATIENCE)

        results = []
        self.assertEqual(0, self.run_serve(
            lambda match: results.append(serve_again(match))))
        self.assertEqual(1, results[0].returncode)
        self.assertIn(f'in use by process {os.getpid()}: ', results[0].stderr)
        self.assertNotIn('Traceback', results[0].stderr)
        # Nothing is left that would keep out the next one.
        self.assertEqual(0, self.run_serve(lambda match: None))

    def test_a_folder_of_images_that_is_made_is_said_to_be(self):
        images = os.path.join(self.folder, 'not', 'there')
        said = []
        self.run_serve(lambda match: said.append(match.group()),
                       '--directory', images)
        self.assertIn(f'{images}, which was not there and has been made\n',
                      said[0])
        self.run_serve(lambda match: said.append(match.group()),
                       '--directory', images)
        self.assertNotIn('has been made', said[1])

    def test_a_state_that_cannot_be_kept_is_said_in_a_line(self):
        path = self.write('')
        code, _out, err = self.call(serve.main, 'serve', '--state-path', path)
        self.assertEqual(1, code)
        self.assertIn('Option state_path in section [DEFAULT]', err)

    def test_a_port_that_there_is_not_is_a_wrong_usage(self):
        code, _out, _err = self.call(serve.main, 'serve', '--port', '65536')
        self.assertEqual(2, code)
        self.assertEqual(2, self.call(serve.main)[0])


class TestParts(TestCase):

    def setUp(self):
        super().setUp()
        self.path = self.write(f"""
[DEFAULT]
auth_strategy = noauth
transport_url = fake://
state_path = {self.folder}
enabled_backends = directory
osapi_volume_listen = 127.0.0.1
osapi_volume_listen_port = 0
[directory]
""")
        command = [sys.executable, '-c',
                   'from manageable_snapshots.cmd import manage\n'
                   'raise SystemExit(manage.main())',
                   '--config-file', self.path, 'db', 'sync']
        subprocess.run(command, check=True, timeout=PATIENCE,
                       stdin=subprocess.DEVNULL, capture_output=True)

    def test_the_api_answers(self):
        def visit(match):
            code, _answer = ask(match.group(1))
            self.assertEqual(300, code)

        self.assertEqual(0, self.serve(
            api.main, ['--config-file', self.path],
            # Whole, and without what an older oslo.log colours it with.
            r'Listening on (http://127\.0\.0\.1:\d+)\D', visit))

    def test_the_worker_starts_and_stops(self):
        self.assertEqual(0, self.serve(
            volume.main, ['--config-file', self.path],
            r'Backend \S+@directory is ready', lambda match: None))

    def misspell(self, text, name='project.conf'):
        with open(os.path.join(self.folder, name), 'a') as file:
            file.write(text)

    def test_the_start_names_what_is_unknown(self):
        self.misspell('[manageable_snapshots]\nadoption_thread = 4\n')
        self.misspell('"volume:creat": "@"\n', 'policy.yaml')
        option = (r'(?s)WARNING.* Unknown option adoption_thread in section '
                  r'\[manageable_snapshots\].*')
        self.assertEqual(0, self.serve(
            api.main, ['--config-file', self.path],
            option + r'WARNING.* Policy rule volume:creat in .*'
            r'Did you mean volume:create\?.*Listening on ',
            lambda match: None))

    def test_so_does_the_workers(self):
        self.misspell('directory_pat = x\n')
        self.assertEqual(0, self.serve(
            volume.main, ['--config-file', self.path],
            r'(?s)WARNING.* Unknown option directory_pat in section '
            r'\[directory\].*Did you mean directory_path\?'
            r'.*Backend \S+@directory is ready', lambda match: None))

    def test_a_policy_file_that_cannot_be_used_is_said_in_a_line(self):
        self.misspell('- a\n', 'policy.yaml')
        code, _out, err = self.call(api.main, '--config-file', self.path)
        self.assertEqual(1, code)
        self.assertIn('Option policy_file in section [oslo_policy]: '
                      f'{self.folder}/policy.yaml: ', err)
        self.assertNotIn('Traceback', err)

    def gunicorn(self, **environment):
        process = subprocess.Popen(
            [sys.executable, '-m', 'gunicorn', '--bind', '127.0.0.1:0',
             'manageable_snapshots.wsgi.api:application'],
            env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

        def end():
            process.terminate()
            process.communicate(timeout=PATIENCE)

        self.addCleanup(end)
        return process

    def test_gunicorn_serves_the_module(self):
        process = self.gunicorn(
            OS_MANAGEABLE_SNAPSHOTS_CONFIG_FILES=self.path)
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        self.addCleanup(timer.cancel)
        for line in process.stderr:
            if match := re.search(r'Listening at: (\S+)', line):
                break
        code, answer = ask(f'{match.group(1)}/v3/snapshots')
        self.assertEqual((200, {'snapshots': []}), (code, answer))

    def test_the_module_says_what_is_wrong(self):
        os.mkdir(os.path.join(self.folder, 'more.d'))
        self.write('[DEFAULT]\nosapi_max_limit = many', 'more.d/one.conf')
        process = self.gunicorn(
            OS_MANAGEABLE_SNAPSHOTS_CONFIG_FILES=self.path,
            OS_MANAGEABLE_SNAPSHOTS_CONFIG_DIRS=os.path.join(
                self.folder, 'more.d'))
        _out, err = process.communicate(timeout=PATIENCE)
        self.assertNotEqual(0, process.returncode)
        self.assertIn(
            'Option osapi_max_limit in section [DEFAULT]: ', err)
