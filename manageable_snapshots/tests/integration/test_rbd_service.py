# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The service on its own, with a pool of a real Ceph as its backend."""

import time
import urllib.error
import urllib.request

import fixtures
from oslo_serialization import jsonutils
from oslotest import base

from manageable_snapshots.tests.drivers import ceph
from manageable_snapshots.tests.integration import test_standalone

HOST = 'localhost@images'

#: seconds, as configured
OP_TIMEOUT = 3


class Service(fixtures.Fixture):
    """``manageable-snapshots serve``, and how to ask it.

    :param pool: the backend
    """

    def __init__(self, pool: ceph.Pool) -> None:
        super().__init__()
        self._pool = pool

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
volume_driver = rbd
rbd_ceph_conf = {self._pool.conf}
rbd_pool = {self._pool.name}
rbd_op_timeout = {OP_TIMEOUT}
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


class TestService(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.pool = self.useFixture(ceph.Pool())
        self.service = self.useFixture(Service(self.pool))

    def volume(self, *names):
        """The id and the image of a volume, with foreign snapshots."""
        status, answer = self.service.ask(
            'POST', 'volumes', {'volume': {'size': 1}})
        self.assertEqual(202, status, answer)
        volume = self.settle('volumes', answer['volume']['id'])
        self.assertEqual('available', volume['status'])
        image = f'volume-{volume["id"]}'
        with self.pool.open(image) as opened:
            for name in names:
                opened.write(name.encode(), 0)
                opened.create_snap(name)
        return volume['id'], image

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
        """(image, name) → entry."""
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

    def test_list_adopt_unmanage_and_delete(self):
        volume_id, image = self.volume('mine', 'other')
        self.volume('mine', 'other')
        ids = self.pool.snapshots(image)
        listed = self.listed()
        self.assertEqual(4, len(listed))
        entry = listed[image, 'mine']
        self.assertEqual(
            ({'source-name': 'mine',
              'source-id': f'{image}@{ids["mine"]}'}, 1, True),
            (entry['reference'], entry['size'], entry['safe_to_manage']))

        snapshot_id = self.adopt(volume_id, entry['reference'])
        snapshot = self.settle('snapshots', snapshot_id)
        self.assertEqual('available', snapshot['status'], snapshot)
        self.assertEqual(
            {f'snapshot-{snapshot_id}': ids['mine'], 'other': ids['other']},
            self.pool.snapshots(image))
        entry = self.listed()[image, f'snapshot-{snapshot_id}']
        self.assertEqual(('already managed', snapshot_id),
                         (entry['reason_not_safe'], entry['cinder_id']))
        again = self.settle('snapshots', self.adopt(
            volume_id, {'source-id': entry['reference']['source-id']}))
        self.assertEqual('error', again['status'])
        self.assertIn(f'snapshot {snapshot_id} manages it already',
                      again['metadata']['manage_error'])

        status, answer = self.service.ask(
            'POST', f'snapshots/{snapshot_id}/action', {'os-unmanage': None})
        self.assertEqual(202, status, answer)
        self.wait_until_gone('snapshots', snapshot_id)
        entry = self.listed()[image, f'snapshot-{snapshot_id}']
        self.assertTrue(entry['safe_to_manage'], entry)
        adopted = self.adopt(volume_id, entry['reference'])
        self.assertEqual(
            'available', self.settle('snapshots', adopted)['status'])

        status, answer = self.service.ask('DELETE', f'snapshots/{adopted}')
        self.assertEqual(202, status, answer)
        self.wait_until_gone('snapshots', adopted)
        self.assertEqual({'other': ids['other']}, self.pool.snapshots(image))

    def test_adoptions_that_are_refused(self):
        volume_id, _image = self.volume('mine')
        _other_id, other = self.volume('theirs')
        for ref, reason in (
                (self.listed()[other, 'theirs']['reference'],
                 f'it is a snapshot of image {other}'),
                ({'source-name': 'theirs'}, 'no such snapshot'),
                ({'source-id': 'junk'}, 'source-id is not of the form')):
            snapshot = self.settle('snapshots', self.adopt(volume_id, ref))
            self.assertEqual('error', snapshot['status'])
            self.assertIn(reason, snapshot['metadata']['manage_error'])
        self.assertEqual({'theirs'}, set(self.pool.snapshots(other)))

    def test_a_volume_that_still_has_snapshots_is_kept(self):
        volume_id, image = self.volume('foreign')
        status, answer = self.service.ask('DELETE', f'volumes/{volume_id}')
        self.assertEqual(202, status, answer)
        end = time.monotonic() + test_standalone.PATIENCE
        while self.service.ask('GET', f'volumes/{volume_id}')[1]['volume'][
                'status'] == 'deleting':
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)
        self.assertEqual({'foreign'}, set(self.pool.snapshots(image)))

    def test_an_osd_hangs(self):
        volume_id, image = self.volume('snap')
        number = self.pool.snapshots(image)['snap']
        with self.pool.stopped_osd():
            started = time.monotonic()
            status, answer = self.service.ask(
                'GET', f'manageable_snapshots?host={HOST}')
            self.assertEqual(504, status, answer)
            (fault,) = answer.values()
            self.assertIn('images did not answer within', fault['message'])
            self.assertLess(time.monotonic() - started, 3 * OP_TIMEOUT)
            snapshot_id = self.adopt(volume_id, 'snap')
            self.service.process.logged(
                f'Adopting snapshot {snapshot_id} is put off')
        self.assertEqual(
            'available', self.settle('snapshots', snapshot_id)['status'])
        self.assertEqual({f'snapshot-{snapshot_id}': number},
                         self.pool.snapshots(image))
        self.assertEqual({(image, f'snapshot-{snapshot_id}')},
                         set(self.listed()))

    def test_the_service_is_killed_while_it_adopts(self):
        names = [f'snap-{number}' for number in range(20)]
        volume_id, image = self.volume(*names)
        before = self.pool.snapshots(image)
        snapshot_ids = []
        for name in names:
            snapshot_ids.append(self.adopt(volume_id, name))
            if len(snapshot_ids) % 7 == 0:
                self.service.process.kill()
                self.service.start()
        self.assertEqual(
            ['available'] * len(names),
            [self.settle('snapshots', snapshot_id)['status']
             for snapshot_id in snapshot_ids])
        self.assertEqual(
            {f'snapshot-{snapshot_id}': before[name]
             for name, snapshot_id in zip(names, snapshot_ids)},
            self.pool.snapshots(image))
