# SPDX-License-Identifier: Apache-2.0

"""What is better than in stock Cinder, each shown in a real one.

What concerns LVM is not here: its driver needs a kernel's help.
"""

import collections
from concurrent import futures
import json
import os
import time

import fixtures

from manageable_snapshots.tests.integration import cinder

#: seconds within which an answer comes though somebody is away
TIMEOUT = 5

OUTAGES = f"""
[manageable_snapshots]
inventory_max_age = 0
rpc_timeout = {TIMEOUT}
list_timeout = {TIMEOUT}
recovery_interval = 5
"""

#: a driver that has not the methods, and a backend of it
DRIVER = """
from cinder.volume import driver


class Plain(driver.VolumeDriver):

    def check_for_setup_error(self):
        pass

    def _update_volume_stats(self):
        self._stats = {}
"""
NO_LISTING = """
[DEFAULT]
enabled_backends = ceph,plain
[plain]
volume_driver = plain.Plain
volume_backend_name = plain
"""


class ReferencesTest(cinder.TestCase):

    def setUp(self):
        super().setUp()
        self.volume_id = self.stack.volume()

    def assertRefused(self, ref):
        """It is refused, and nothing is touched."""
        before = self.held_and_known()
        status, answer = self.stack.adopt(self.volume_id, ref)
        self.assertEqual(400, status, answer)
        self.assertTrue(answer['badRequest']['message'])
        self.assertEqual(before, self.held_and_known())
        return answer['badRequest']['message']

    def held_and_known(self):
        _status, body = self.stack.ask('GET', 'snapshots')
        return self.stack.held(self.volume_id), {
            each['id']: each['status'] for each in body['snapshots']}

    def test_a_reference_that_is_already_managed(self):
        snapshot_id = self.stack.snapshot(self.volume_id)
        self.assertIn('already managed', self.assertRefused(
            {'source-name': f'snapshot-{snapshot_id}'}))

    def test_a_reference_that_is_being_adopted(self):
        self.stack.put(self.volume_id, 'contested')
        with futures.ThreadPoolExecutor(8) as executor:
            answers = list(executor.map(
                lambda _number: self.stack.adopt(
                    self.volume_id, {'source-name': 'contested'}), range(8)))
        accepted = [answer['id'] for status, answer in answers
                    if status == 202]
        self.assertEqual(
            {202, 400}, {status for status, _answer in answers} | {400})
        statuses = collections.Counter()
        for snapshot_id in accepted:
            cinder.wait_for(lambda: self.status(snapshot_id) != 'creating')
            statuses[self.status(snapshot_id)] += 1
        self.assertEqual(1, statuses['available'], statuses)
        self.assertEqual(1, len(self.stack.held(self.volume_id)))

    def status(self, snapshot_id):
        return self.stack.ask(
            'GET', f'snapshots/{snapshot_id}')[1]['snapshot']['status']

    def test_a_name_that_is_a_number(self):
        self.assertRefused({'source-name': 5})

    def test_a_nested_value(self):
        self.assertRefused({'source-name': {'source-name': ['x']}})

    def test_null(self):
        self.assertRefused(None)

    def test_an_empty_object(self):
        self.assertRefused({})

    def test_an_empty_string(self):
        self.assertRefused('')

    def test_no_known_key(self):
        self.assertRefused({'source-of': 'x'})


class StockAPITest(cinder.TestCase):
    """What a stock API hands over, the worker checks as well."""

    PARTS = ('manager',)

    def assertError(self, ref):
        volume_id = self.stack.volume()
        status, snapshot = self.stack.adopt(volume_id, ref)
        self.assertEqual(202, status, snapshot)
        shown = self.stack.wait('snapshot', snapshot['id'], 'error')
        self.assertTrue(shown['metadata']['manage_error'])
        # The process is there as before.
        self.stack.snapshot(volume_id)

    def test_a_name_that_is_a_number(self):
        self.assertError({'source-name': 5})

    def test_a_nested_value(self):
        self.assertError({'source-name': {'source-name': ['x']}})


class RequestsTest(cinder.TestCase):

    def send(self, method, path, **request):
        headers = {'OpenStack-API-Version': 'volume 3.8',
                   **request.pop('headers', {})}
        return self.stack.session().request(
            f'{self.stack.url}/v3/{self.stack.project()}/{path}', method,
            headers=headers, raise_exc=False, **request)

    def adopt(self, **request):
        return self.send('POST', 'manageable_snapshots', **request)

    def test_an_empty_body(self):
        answer = self.adopt(
            data=b'', headers={'Content-Type': 'application/json'})
        self.assertEqual(400, answer.status_code)

    def test_no_content_type(self):
        answer = self.adopt(data=b'{}')
        self.assertEqual(415, answer.status_code)

    def test_deeply_nested_json(self):
        answer = self.adopt(
            data=b'{"snapshot": ' + b'[' * 5000 + b']' * 5000 + b'}',
            headers={'Content-Type': 'application/json'})
        self.assertEqual(400, answer.status_code)

    def test_a_version_that_is_none(self):
        answer = self.send('GET', f'manageable_snapshots?host={cinder.HOST}',
                           headers={'OpenStack-API-Version': 'volume3.8'})
        self.assertLess(answer.status_code, 500)

    def test_a_name_that_the_database_cannot_hold(self):
        answer = self.adopt(json={'snapshot': {
            'volume_id': self.stack.volume(), 'ref': {'source-name': 'x'},
            'name': '\N{PILE OF POO}'}})
        self.assertEqual(400, answer.status_code)

    def test_a_marker_that_is_bad(self):
        answer = self.send('GET', 'manageable_snapshots', params={
            'host': cinder.HOST, 'marker': '{"source-name": "gone"}'})
        self.assertEqual(400, answer.status_code)
        message = answer.json()['badRequest']['message']
        self.assertNotIn('Traceback', message)
        self.assertNotIn('/', message)
        self.assertNotIn('\n', message)

    def test_a_host_that_is_a_pattern(self):
        for host in ('%', 'devhost', 'devhost@%'):
            answer = self.send(
                'GET', 'manageable_snapshots', params={'host': host})
            self.assertEqual(404, answer.status_code, host)

    def test_a_method_that_the_path_does_not_take(self):
        answer = self.send('DELETE', 'manageable_snapshots')
        self.assertEqual(405, answer.status_code)
        self.assertIn('GET', answer.headers['Allow'])


class ListingTest(cinder.TestCase):
    """Thirty-one volumes of ten snapshots, all with the same ten names.

    A page has a hundred at most.
    """

    CONF = """
[DEFAULT]
osapi_max_limit = 100
[manageable_snapshots]
inventory_max_age = 0
"""
    IMAGES = 31
    NAMES = 10

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for number in range(cls.IMAGES):
            name = f'legacy-{number:02}'
            cls.stack.make_image(name, 2**30)
            with cls.stack.image(name) as image:
                for snapshot in range(cls.NAMES):
                    image.create_snap(f'snap-{snapshot}')

    def walk(self, **parameters):
        query = '&'.join(f'{key}={value}'
                         for key, value in parameters.items())
        for page in self.stack.pages(
                f'manageable_snapshots?host={cinder.HOST}&{query}'):
            yield [(entry['source_reference']['source-name'],
                    entry['reference']['source-name']) for entry in page]

    def assertComplete(self, found):
        self.assertEqual(self.IMAGES * self.NAMES, len(found))
        self.assertEqual(self.IMAGES * self.NAMES, len(set(found)))

    def test_without_a_limit(self):
        self.assertComplete([each for page in self.walk() for each in page])

    def test_a_limit_below_the_maximum(self):
        pages = list(self.walk(limit=30))
        self.assertEqual({30}, {len(page) for page in pages[:10]})
        self.assertComplete([each for page in pages for each in page])

    def test_following_the_marker(self):
        found = []
        path = f'manageable_snapshots?host={cinder.HOST}&limit=100'
        entries = self.stack.ask('GET', path)[1]['manageable-snapshots']
        while entries:
            found += [(entry['source_reference']['source-name'],
                       entry['reference']['source-name'])
                      for entry in entries]
            marker = json.dumps(entries[-1]['reference'])
            entries = self.stack.ask(
                'GET', f'{path}&marker={marker}')[1]['manageable-snapshots']
        self.assertComplete(found)

    def test_one_scan_for_all_pages(self):
        pages = self.walk(limit=50)
        found = next(pages)
        # Whoever scans again comes upon this one.
        with self.stack.image('legacy-00') as image:
            image.create_snap('a-newer-one')
            self.addCleanup(self.remove, 'legacy-00', 'a-newer-one')
        since = time.monotonic()
        self.assertEqual(
            self.IMAGES * self.NAMES + 1,
            len([each for page in self.walk() for each in page]))
        scanned = time.monotonic() - since
        since = time.monotonic()
        for number, page in enumerate(pages, 1):
            found += page
        self.assertComplete(found)
        self.assertLess((time.monotonic() - since) / number, scanned)

    def remove(self, volume, name):
        with self.stack.image(volume) as image:
            image.remove_snap(name)

    def test_a_snapshot_that_has_a_namesake_is_adopted_by_its_id(self):
        volume_ids = [self.stack.volume() for _number in range(2)]
        for volume_id in volume_ids:
            self.stack.put(volume_id, 'snap-0')
        for volume_id in volume_ids:
            with self.stack.image(f'volume-{volume_id}') as image:
                number = image.snap_get_id('snap-0')
            ref = {'source-name': 'snap-0',
                   'source-id': f'volume-{volume_id}@{number}'}
            status, snapshot = self.stack.adopt(volume_id, ref)
            self.assertEqual(202, status, snapshot)
            self.stack.wait('snapshot', snapshot['id'], 'available')
            self.assertEqual({f'snapshot-{snapshot["id"]}'},
                             self.stack.held(volume_id))
            self.stack.ask('DELETE', f'snapshots/{snapshot["id"]}')
            self.stack.wait('snapshot', snapshot['id'], None)
            self.stack.ask('DELETE', f'volumes/{volume_id}')
            self.stack.wait('volume', volume_id, None)


class NoListingTest(cinder.TestCase):

    CONF = NO_LISTING

    @classmethod
    def setUpClass(cls):
        folder = fixtures.TempDir()
        folder.setUp()
        cls.addClassCleanup(folder.cleanUp)
        with open(os.path.join(folder.path, 'plain.py'), 'w') as file:
            file.write(DRIVER)
        path = fixtures.EnvironmentVariable('PYTHONPATH', folder.path)
        path.setUp()
        cls.addClassCleanup(path.cleanUp)
        super().setUpClass()

    def test_a_driver_that_cannot_list(self):
        path = 'manageable_snapshots?host=devhost@plain'
        cinder.wait_for(
            lambda: self.stack.ask('GET', path)[0] not in (404, 503))
        status, answer = self.stack.ask('GET', path)
        self.assertEqual(400, status, answer)
        self.assertIn('Plain', answer['badRequest']['message'])


class OutagesTest(cinder.TestCase):

    CONF = OUTAGES

    def test_the_worker_is_dead(self):
        self.stack.rig('kill', 'volume')
        since = time.monotonic()
        status, answer = self.stack.ask(
            'GET', f'manageable_snapshots?host={cinder.HOST}')
        self.assertIn(status, (503, 504), answer)
        self.assertLess(time.monotonic() - since, 3 * TIMEOUT)

    def test_the_broker_is_dead(self):
        volume_id = self.stack.volume()
        self.stack.put(volume_id, 'old')
        # What is counted now may have been counted before.
        usage = self.usage()
        self.stack.rig('kill', 'rabbitmq')
        self.addCleanup(self.stack.rig, 'start', 'rabbitmq')
        since = time.monotonic()
        status, answer = self.stack.adopt(volume_id, {'source-name': 'old'})
        self.assertEqual(503, status, answer)
        self.assertLess(time.monotonic() - since, 3 * TIMEOUT)
        self.assertEqual([], self.stack.ask(
            'GET', f'snapshots?volume_id={volume_id}')[1]['snapshots'])
        self.assertEqual(usage, self.usage())
        self.assertEqual({'old'}, self.stack.held(volume_id))

    def usage(self):
        project = self.stack.project()
        quotas = self.stack.ask(
            'GET', f'os-quota-sets/{project}?usage=True')[1]['quota_set']
        return {name: (quotas[name]['in_use'], quotas[name]['reserved'])
                for name in ('snapshots', 'gigabytes')}


class LeftBehindTest(cinder.TestCase):
    """What Cinder's own volume service has not lived to adopt."""

    PARTS = ('filter',)

    def test_ours_takes_it_up(self):
        volume_id = self.stack.volume()
        self.stack.put(volume_id, 'old')
        self.stack.rig('kill', 'volume')
        status, snapshot = self.stack.adopt(volume_id, {'source-name': 'old'})
        self.assertEqual(202, status, snapshot)
        # The message goes with the broker.
        self.stack.rig('kill', 'rabbitmq')
        self.stack.rig('start', 'rabbitmq')
        self.stack.load('filter', 'manager')
        self.stack.wait('snapshot', snapshot['id'], 'available')
        self.assertEqual({f'snapshot-{snapshot["id"]}'},
                         self.stack.held(volume_id))


class WrongOptionTest(cinder.TestCase):

    CONF = """
[manageable_snapshots]
rpc_timeout = soon
"""

    def test_the_rest_of_cinder_goes_on(self):
        status, _answer = self.stack.ask(
            'GET', f'manageable_snapshots?host={cinder.HOST}')
        self.assertEqual(503, status)
        lines = [line for line in self.stack.log('api').splitlines()
                 if 'rpc_timeout' in line]
        self.assertTrue(lines)
        self.assertNotIn('Traceback', '\n'.join(lines))
        volume_id = self.stack.volume()
        snapshot_id = self.stack.snapshot(volume_id)
        self.stack.ask('DELETE', f'snapshots/{snapshot_id}')
        self.stack.wait('snapshot', snapshot_id, None)


class RemovalTest(cinder.TestCase):

    def test_what_was_adopted_works_without_us(self):
        volume_id = self.stack.volume()
        self.stack.put(volume_id, 'one', 'two', 'three')
        adopted = []
        for name in ('one', 'two', 'three'):
            _status, snapshot = self.stack.adopt(
                volume_id, {'source-name': name})
            self.stack.wait('snapshot', snapshot['id'], 'available')
            adopted.append(snapshot['id'])
        one, two, three = adopted
        self.stack.load()
        for snapshot_id in adopted:
            self.stack.wait('snapshot', snapshot_id, 'available')
        _status, body = self.stack.ask(
            'GET', f'manageable_snapshots/detail?host={cinder.HOST}')
        self.assertEqual(set(adopted), {
            entry['cinder_id'] for entry in body['manageable-snapshots']})
        restored = self.stack.volume(snapshot_id=three)
        self.stack.ask('DELETE', f'snapshots/{one}')
        self.stack.wait('snapshot', one, None)
        self.stack.ask('POST', f'snapshots/{two}/action',
                       {'os-unmanage': {}})
        self.stack.wait('snapshot', two, None)
        self.assertEqual({f'snapshot-{two}', f'snapshot-{three}'},
                         self.stack.held(volume_id))
        self.stack.ask('DELETE', f'volumes/{restored}')
        self.stack.wait('volume', restored, None)
        self.stack.ask('DELETE', f'snapshots/{three}')
        self.stack.wait('snapshot', three, None)
