# SPDX-License-Identifier: Apache-2.0

"""Zadara's own fake of its storage array, behind HTTP.

It is what the vendor tests the driver with, and comes with Cinder
(``cinder.tests.unit.volume.drivers.test_zadara``). There it answers in the
place of ``requests``. Here it is a server, so that nothing of the driver or of
Cinder's service is touched, and so that it outlives the service.

Run by the Python that Cinder is installed for, as a script::

    vpsa.py FILE

It listens on a port of its own choice, and writes the number into the file.
``POST /hold`` lets the next rename of a snapshot go without an answer: it is
done, and whoever asked for it waits.
"""

import copy
from http import server
import importlib.util
import os
import sys
import threading
from unittest import mock
from urllib import parse

#: what the driver adds to every request, and the fake does not know of
_PAGING = ('page', 'start', 'limit')


def _vendors_fake():
    """The module; it comes with a test case, which is left out."""
    [folder] = importlib.util.find_spec('cinder').submodule_search_locations
    spec = importlib.util.spec_from_file_location(
        'test_zadara', os.path.join(folder, *(
            'tests/unit/volume/drivers/test_zadara.py'.split('/'))))
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, {
            'cinder.tests.unit': mock.MagicMock()}):
        spec.loader.exec_module(module)
    module.RUNTIME_VARS = copy.deepcopy(module.DEFAULT_RUNTIME_VARS)
    return module


class Handler(server.BaseHTTPRequestHandler):

    fake = None
    #: the fake takes one request at a time
    lock = threading.Lock()
    hold = threading.Event()

    def do_GET(self):
        self._answer(None)

    def do_POST(self):
        body = dict(parse.parse_qsl(
            self.rfile.read(int(self.headers['Content-Length'] or 0)).decode(),
            keep_blank_values=True))
        if self.path == '/hold':
            self.hold.set()
            self._send(b'{}')
            return
        # A form has text only.
        if 'capacity' in body:
            body['capacity'] = int(body['capacity'])
        self._answer(body)

    do_DELETE = do_POST

    def _answer(self, body):
        url = parse.urlsplit(self.path)
        query = parse.urlencode([
            (key, value) for key, value in parse.parse_qsl(url.query)
            if key not in _PAGING])
        path = parse.unquote(url.path) + (f'?{query}' if query else '')
        with self.lock:
            answer = self.fake.FakeResponse(
                self.command, path, None, body, self.headers).read()
        if path.startswith('/api/snapshots/') and path.endswith(
                '/rename.json') and self.hold.is_set():
            self.hold.clear()
            threading.Event().wait()
        self._send((answer or self.fake.RUNTIME_VARS['bad_volume']).encode())

    def _send(self, body):
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


def main():
    Handler.fake = _vendors_fake()
    listener = server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    with open(f'{sys.argv[1]}.new', 'w') as file:
        file.write(str(listener.server_port))
    os.rename(f'{sys.argv[1]}.new', sys.argv[1])
    listener.serve_forever()


if __name__ == '__main__':
    main()
