# SPDX-License-Identifier: Apache-2.0

"""The service on its own, with a backend that a test brings along."""

import time
import urllib.error
import urllib.request

import fixtures
from oslo_serialization import jsonutils

from manageable_snapshots.tests.integration import test_standalone

HOST = 'localhost@images'


class Service(fixtures.Fixture):
    """``manageable-snapshots serve``, and how to ask it.

    Its backend is :data:`HOST`.

    :param options: of the backend, as lines
    """

    def __init__(self, options: str) -> None:
        super().__init__()
        self._options = options

    def _setUp(self) -> None:
        self._folder = self.useFixture(fixtures.TempDir()).path
        self._file = f'{self._folder}/service.conf'
        with open(self._file, 'w') as file:
            file.write(f"""
[DEFAULT]
enabled_backends = images
quota_snapshots = -1
quota_gigabytes = -1
[manageable_snapshots]
inventory_max_age = 0
recovery_interval = 1
rpc_timeout = 2
[images]
{self._options}
""")
        self.start()

    def start(self) -> None:
        self.process = self.useFixture(test_standalone.Process(
            self._folder, 'manageable-snapshots', 'serve', '--port', '0',
            '--state-path', f'{self._folder}/state',
            '--config-file', self._file))
        self._url = self.process.logged('Serving on ')
        self.process.logged('Ctrl-C stops it')

    def ask(self, method, path, body=None):
        """Status and body of an answer."""
        request = urllib.request.Request(
            f'{self._url}/{path}', method=method,
            data=None if body is None else jsonutils.dump_as_bytes(body),
            headers={'Content-Type': 'application/json',
                     'OpenStack-API-Version': 'volume 3.8'})
        try:
            with urllib.request.urlopen(
                    request, timeout=test_standalone.PATIENCE) as answer:
                return answer.status, jsonutils.loads(answer.read() or 'null')
        except urllib.error.HTTPError as error:
            return error.code, jsonutils.loads(error.read())


class Asking:
    """What a test case asks of its ``service``; a mixin."""

    def new_volume(self):
        """The id of a volume of 1 GiB, made through the API."""
        status, answer = self.service.ask(
            'POST', 'volumes', {'volume': {'size': 1}})
        self.assertEqual(202, status, answer)
        volume = self.settle('volumes', answer['volume']['id'])
        self.assertEqual('available', volume['status'])
        return volume['id']

    def settle(self, what, item_id):
        """A volume or snapshot, once it is no longer being made."""
        end = time.monotonic() + test_standalone.PATIENCE
        while True:
            status, answer = self.service.ask('GET', f'{what}/{item_id}')
            self.assertEqual(200, status, answer)
            (item,) = answer.values()
            if item['status'] != 'creating':
                return item
            self.assertLess(time.monotonic(), end,
                            self.service.process.log)
            time.sleep(0.1)

    def wait_until_gone(self, what, item_id):
        end = time.monotonic() + test_standalone.PATIENCE
        while self.service.ask('GET', f'{what}/{item_id}')[0] != 404:
            self.assertLess(time.monotonic(), end,
                            self.service.process.log)
            time.sleep(0.1)

    def listed(self):
        """(volume, name), as the backend has them → entry."""
        status, answer = self.service.ask(
            'GET', f'manageable_snapshots/detail?host={HOST}')
        self.assertEqual(200, status, answer)
        return {(each['source_reference']['source-name'],
                 each['reference']['source-name']): each
                for each in answer['manageable-snapshots']}

    def adopt(self, volume_id, ref):
        status, answer = self.service.ask('POST', 'manageable_snapshots', {
            'snapshot': {'volume_id': volume_id, 'ref': ref}})
        self.assertEqual(202, status, answer)
        return answer['snapshot']['id']

    def unmanage(self, snapshot_id):
        status, answer = self.service.ask(
            'POST', f'snapshots/{snapshot_id}/action', {'os-unmanage': None})
        self.assertEqual(202, status, answer)
        self.wait_until_gone('snapshots', snapshot_id)

    def delete(self, snapshot_id):
        status, answer = self.service.ask('DELETE', f'snapshots/{snapshot_id}')
        self.assertEqual(202, status, answer)
        self.wait_until_gone('snapshots', snapshot_id)
