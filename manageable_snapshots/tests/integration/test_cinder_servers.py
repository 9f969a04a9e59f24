# SPDX-License-Identifier: Apache-2.0

"""Both halves of this project, whatever Cinder's API runs in."""

from manageable_snapshots.tests.integration import cinder


class Server:
    """What the filter does there."""

    def test_it_is_answered_or_handed_on(self):
        volume_id = self.stack.volume()
        # A request with a body that is Cinder's to read.
        status, body = self.stack.ask('PUT', f'volumes/{volume_id}', {
            'volume': {'name': 'n' * 200, 'metadata': {'key': 'v' * 200}}})
        self.assertEqual((200, 'n' * 200), (status, body['volume']['name']))
        self.stack.put(volume_id, 'old', 'older')
        entries = [entry for page in self.stack.pages(
            f'manageable_snapshots/detail?host={cinder.HOST}&limit=1')
            for entry in page]
        self.assertEqual({'old', 'older'}, {
            entry['reference']['source-name'] for entry in entries})
        status, answer = self.stack.adopt(volume_id, {'source-name': 5})
        self.assertEqual(400, status, answer)
        self.assertIn('must be strings', answer['badRequest']['message'])
        for entry in entries:
            status, snapshot = self.stack.adopt(
                volume_id, entry['reference'])
            self.assertEqual(202, status, snapshot)
            self.stack.wait('snapshot', snapshot['id'], 'available')
        self.assertNotIn('Traceback', self.stack.log('api'))

    def test_the_worker_is_away(self):
        self.stack.rig('stop', 'volume')
        status, answer = self.stack.ask(
            'GET', f'manageable_snapshots?host={cinder.HOST}')
        self.assertIn(status, (503, 504), answer)


class UWSGITest(Server, cinder.TestCase):

    API = 'uwsgi'


class EventletTest(Server, cinder.TestCase):
    """Cinder's own server, in an eventlet-patched process."""

    API = 'cinder-api'
