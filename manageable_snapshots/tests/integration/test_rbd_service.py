# SPDX-License-Identifier: Apache-2.0

"""The service on its own, with a pool of a real Ceph as its backend."""

import json
import time
import urllib.parse

from oslotest import base

from manageable_snapshots.tests.drivers import ceph
from manageable_snapshots.tests.integration import serving
from manageable_snapshots.tests.integration import test_standalone

#: seconds, as configured
OP_TIMEOUT = 3


class TestService(serving.Asking, base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.pool = self.useFixture(ceph.Pool())
        # Its images can be named and opened while the other OSD is stopped.
        while (len(set(self.pool.own_osds())) > 1
               or not self.pool.is_spread()):
            self.pool = self.useFixture(ceph.Pool())
        self.service = self.useFixture(serving.Service(f"""
volume_driver = rbd
rbd_ceph_conf = {self.pool.conf}
rbd_pool = {self.pool.name}
rbd_op_timeout = {OP_TIMEOUT}
"""))

    def volume(self, *names):
        """The id and the image of a volume, with foreign snapshots."""
        volume_id = self.new_volume()
        image = f'volume-{volume_id}'
        with self.pool.open(image) as opened:
            for name in names:
                opened.write(name.encode(), 0)
                opened.create_snap(name)
        return volume_id, image

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

        self.unmanage(snapshot_id)
        entry = self.listed()[image, f'snapshot-{snapshot_id}']
        self.assertTrue(entry['safe_to_manage'], entry)
        adopted = self.adopt(volume_id, entry['reference'])
        self.assertEqual(
            'available', self.settle('snapshots', adopted)['status'])

        self.delete(adopted)
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
                'GET', f'manageable_snapshots?host={serving.HOST}')
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

    def test_one_of_two_osds_hangs(self):
        working, _same = self.pool.own_osds()
        volumes = {True: set(), False: set()}
        while not all(volumes.values()):
            _volume_id, image = self.volume('snap')
            volumes[self.pool.osds(image) == {working}].add(image)
        with self.pool.stopped_osd(1 - working):
            pages = []
            path = (f'manageable_snapshots/detail?host={serving.HOST}'
                    '&limit=1')
            while not pages or pages[-1]:
                marker = ''
                if pages:
                    marker = '&marker=' + urllib.parse.quote(
                        json.dumps(pages[-1][-1]['reference']))
                status, answer = self.service.ask('GET', path + marker)
                self.assertEqual(200, status, answer)
                pages.append(answer['manageable-snapshots'])
        entries = [entry for page in pages for entry in page]
        unread = {entry['source_reference']['source-name']: entry
                  for entry in entries if not entry['safe_to_manage']}
        self.assertEqual(volumes[False], set(unread))
        for image, entry in unread.items():
            self.assertEqual(
                ({'source-id': f'{image}@'}, None, 'its image cannot be '
                 'read: Ceph does not answer in time'),
                (entry['reference'], entry['size'],
                 entry['reason_not_safe']))
        self.assertEqual(
            volumes[True],
            {entry['source_reference']['source-name'] for entry in entries
             if entry['safe_to_manage']})
        self.service.process.logged(
            f'could not be read: {len(unread)}. ')
        for image, entry in list(unread.items())[:1]:
            snapshot = self.settle('snapshots', self.adopt(
                image.removeprefix('volume-'), entry['reference']))
            self.assertIn('source-id names an image, not a snapshot',
                          snapshot['metadata']['manage_error'])

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
