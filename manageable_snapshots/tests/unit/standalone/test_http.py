# SPDX-License-Identifier: Apache-2.0

"""The HTTP server of the commands."""

import http.client
import threading

from oslotest import base

from manageable_snapshots.standalone import http as cmd_http

SECONDS = 20


class Slow:
    """An application that answers when it is told to."""

    def __init__(self):
        self.started = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, environ, start_response):
        self.started.set()
        self.go_on.wait(SECONDS)
        start_response('200 OK', [('Content-Length', '4')])
        return [b'done']


def echo(environ, start_response):
    body = environ['wsgi.input'].read()
    start_response('200 OK', [
        ('Content-Length', str(len(body))),
        ('X-Seen', environ.get('HTTP_X_FORWARDED_PROTO', ''))])
    return [body]


class TestServer(base.BaseTestCase):

    def start(self, application, timeout=SECONDS, host='127.0.0.1'):
        server = cmd_http.Server(application, host, 0, 2, 4096)
        results = []
        thread = threading.Thread(
            target=lambda: results.append(server.run(timeout)), daemon=True)
        thread.start()

        def end():
            server.stop()
            thread.join(SECONDS)
            return results[0]

        self.addCleanup(end)
        return server, end

    def connection(self, server):
        connection = http.client.HTTPConnection(
            server.host, server.port, timeout=SECONDS)
        self.addCleanup(connection.close)
        return connection

    def test_a_free_port_is_in_the_url(self):
        server, _end = self.start(echo)
        self.assertNotEqual(0, server.port)
        self.assertEqual(f'http://127.0.0.1:{server.port}', server.url)

    def test_the_url_of_all_addresses_is_one_that_can_be_reached(self):
        server, _end = self.start(echo, host='0.0.0.0')
        self.assertEqual(f'http://127.0.0.1:{server.port}', server.url)

    def test_a_port_in_use_is_an_error(self):
        server, _end = self.start(echo)
        self.assertRaises(OSError, cmd_http.Server, echo, server.host,
                          server.port, 2, 4096)

    def test_answers_with_the_headers_of_a_proxy_left_alone(self):
        server, _end = self.start(echo)
        connection = self.connection(server)
        connection.request('POST', '/', b'hello',
                           {'X-Forwarded-Proto': 'https'})
        response = connection.getresponse()
        self.assertEqual(b'hello', response.read())
        self.assertEqual('https', response.headers['X-Seen'])

    def test_a_body_of_several_megabytes_is_not_stored(self):
        server, _end = self.start(echo)
        connection = self.connection(server)
        connection.putrequest('POST', '/')
        connection.putheader('Content-Length', str(1 << 30))
        connection.endheaders()
        self.assertEqual(413, connection.getresponse().status)

    def test_headers_have_a_size(self):
        server, _end = self.start(echo)
        for size, status in (3000, 200), (4096, 431):
            connection = self.connection(server)
            connection.request('GET', '/',
                               headers={'X-Auth-Token': 'x' * size})
            self.assertEqual(status, connection.getresponse().status)

    def test_a_stop_waits_for_the_request_under_way(self):
        application = Slow()
        server, end = self.start(application)
        connection = self.connection(server)
        connection.request('GET', '/')
        self.assertTrue(application.started.wait(SECONDS))
        server.stop()
        threading.Timer(0.3, application.go_on.set).start()
        response = connection.getresponse()
        self.assertEqual(b'done', response.read())
        self.assertTrue(end())

    def test_a_stopping_server_takes_no_connections(self):
        application = Slow()
        server, _end = self.start(application)
        self.addCleanup(application.go_on.set)
        self.connection(server).request('GET', '/')
        self.assertTrue(application.started.wait(SECONDS))
        server.stop()
        for _attempt in range(SECONDS * 20):
            try:
                self.connection(server).connect()
            except ConnectionRefusedError:
                return
            threading.Event().wait(0.05)
        self.fail('connections are still accepted')

    def test_a_request_that_takes_too_long_is_cut_short(self):
        application = Slow()
        self.addCleanup(application.go_on.set)
        server, end = self.start(application, timeout=0.2)
        self.connection(server).request('GET', '/')
        self.assertTrue(application.started.wait(SECONDS))
        self.assertFalse(end())
