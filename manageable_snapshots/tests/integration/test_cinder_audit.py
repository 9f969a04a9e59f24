# SPDX-License-Identifier: Apache-2.0

"""What a stock Cinder leaves behind, as the audit finds and mends it."""

import json
import os
import subprocess
import sys

from manageable_snapshots.tests.integration import cinder

_COMMAND = os.path.join(os.path.dirname(sys.executable),
                        'manageable-snapshots-manage')


class AuditTest(cinder.TestCase):

    PARTS = ()

    def setUp(self):
        super().setUp()
        self.stack.clear()

    def audit(self, *arguments, status):
        """The answer, and the kinds of breach by the ids of rows."""
        done = subprocess.run(
            [_COMMAND, '--config-file', self.stack.configuration, 'audit',
             '--format', 'json', '--older-than', '0', *arguments],
            capture_output=True, text=True, timeout=cinder.PATIENCE)
        self.assertEqual(status, done.returncode, done.stdout + done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        answer = json.loads(done.stdout)
        return answer, {breach['snapshot_id']: breach['kind']
                        for breach in answer['breaches']}

    def adopt(self, volume_id, name, status='available'):
        code, snapshot = self.stack.adopt(volume_id, {'source-name': name})
        self.assertEqual(202, code, snapshot)
        self.stack.wait('snapshot', snapshot['id'], status)
        return snapshot['id']

    def test_a_cinder_in_use_has_no_breach(self):
        volume_id = self.stack.volume()
        self.stack.put(volume_id, 'old', 'older')
        self.stack.snapshot(volume_id)
        unmanaged = self.adopt(volume_id, 'old')
        deleted = self.adopt(volume_id, 'older')
        self.stack.ask('DELETE', f'snapshots/{deleted}')
        self.stack.wait('snapshot', deleted, None)
        self.stack.ask('POST', f'snapshots/{unmanaged}/action',
                       {'os-unmanage': None})
        self.stack.wait('snapshot', unmanaged, None)
        answer, kinds = self.audit(status=0)
        self.assertEqual({}, kinds)
        self.assertEqual(
            [f'{cinder.HOST}: snapshots with the name of a row that is '
             'deleted: 1. They were unmanaged, and can be adopted again.'],
            answer['notes'])

    def test_what_it_leaves_is_found_and_mended(self):
        volume_id = self.stack.volume()
        self.stack.put(volume_id, 'a', 'b', 'c')
        stolen = self.adopt(volume_id, 'a')
        thief = self.adopt(volume_id, f'snapshot-{stolen}')
        self.stack.rig('kill', 'volume')
        lost = self.adopt(volume_id, 'b', 'creating')
        unfinished = self.adopt(volume_id, 'c', 'creating')
        with self.stack.image(f'volume-{volume_id}') as image:
            image.rename_snap('c', f'snapshot-{unfinished}')
        self.stack.execute(
            "UPDATE quota_usages SET in_use = 9 WHERE resource = 'snapshots'")
        found = {stolen: 'stolen', lost: 'lost', unfinished: 'unfinished',
                 None: 'usage'}
        self.assertEqual(found, self.audit(status=1)[1])
        held = self.stack.held(volume_id)
        answer, kinds = self.audit('--repair', status=1)
        self.assertEqual((found, 1, 3),
                         (kinds, answer['left'], answer['mended']))
        for each, status in ((stolen, 'available'), (thief, 'available'),
                             (lost, 'error'), (unfinished, 'available')):
            self.stack.wait('snapshot', each, status)
        self.assertEqual(held, self.stack.held(volume_id))
        self.assertEqual({stolen: 'stolen'}, self.audit(status=1)[1])
        _code, body = self.stack.ask(
            'GET', f'os-quota-sets/{self.stack.project()}?usage=True')
        self.assertEqual(4, body['quota_set']['snapshots']['in_use'])
