# SPDX-License-Identifier: Apache-2.0

"""A Cinder that does more than adopt: it migrates volumes and backs up."""

import functools

from manageable_snapshots.tests.integration import cinder

#: a backend of the same cluster, and its pool
OTHER = 'devhost@ceph-b'
OTHER_POOL = 'volumes-b'


class StatusTest(cinder.TestCase):
    """A volume that is being migrated gets another image in the end."""

    def setUp(self):
        super().setUp()
        self.volume_id = self.stack.volume()
        self.stack.put(self.volume_id, 'old', 'older', 'oldest', 'last')

    def set_status(self, status):
        value = 'NULL' if status is None else f"'{status}'"
        self.stack.execute(f'UPDATE volumes SET migration_status = {value} '
                           f"WHERE id = '{self.volume_id}'")

    def test_it_is_refused_as_stock_does(self):
        for status in ('starting', 'migrating', 'completing',
                       f'target:{self.volume_id}'):
            self.set_status(status)
            code, answer = self.stack.adopt(
                self.volume_id, {'source-name': 'old'})
            self.assertEqual(400, code, (status, answer))
        self.assertEqual({'old', 'older', 'oldest', 'last'},
                         self.stack.held(self.volume_id))

    def test_one_that_has_been_is_adopted_from(self):
        for status, name in ((None, 'old'), ('success', 'older'),
                             ('error', 'oldest'), ('deleting', 'last')):
            self.set_status(status)
            code, snapshot = self.stack.adopt(
                self.volume_id, {'source-name': name})
            self.assertEqual(202, code, (status, snapshot))
            self.stack.wait('snapshot', snapshot['id'], 'available')

    def test_the_worker_looks_again(self):
        self.stack.rig('kill', 'volume')
        code, snapshot = self.stack.adopt(
            self.volume_id, {'source-name': 'old'})
        self.assertEqual(202, code, snapshot)
        self.set_status('migrating')
        self.stack.rig('start', 'volume')
        shown = self.stack.wait('snapshot', snapshot['id'], 'error')
        self.assertIn('migrat', shown['metadata']['manage_error'])
        self.assertIn('old', self.stack.held(self.volume_id))


class MigrationTest(cinder.TestCase):

    ENVIRON = {'CINDER_BACKENDS': 'ceph ceph-b'}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.stack.open_pool(OTHER_POOL)
        # The scheduler hears of a backend when it reports.
        cinder.wait_for(lambda: OTHER in str(cls.stack.ask(
            'GET', 'scheduler-stats/get_pools')[1]))

    def setUp(self):
        super().setUp()
        self.volume_id = self.stack.volume()

    def migrate(self, **options):
        """The volume, once it is on the other backend."""
        status, answer = self.stack.ask(
            'POST', f'volumes/{self.volume_id}/action', {
                'os-migrate_volume': {'host': f'{OTHER}#ceph-b', **options}})
        self.assertEqual(202, status, answer)
        cinder.wait_for(lambda: self.volume()[
            'os-vol-mig-status-attr:migstat'] in ('success', 'error'))
        migrated = self.volume()
        self.assertEqual(
            ('success', f'{OTHER}#ceph-b'),
            (migrated['os-vol-mig-status-attr:migstat'],
             migrated['os-vol-host-attr:host']))
        return migrated

    def volume(self):
        _status, body = self.stack.ask('GET', f'volumes/{self.volume_id}')
        return body['volume']

    def check(self, name_id):
        """List and adopt on the new image."""
        self.stack.put(name_id, 'old', pool=self.other)
        listed = [
            (entry['reference']['source-name'], entry['safe_to_manage'])
            for page in self.stack.pages(
                f'manageable_snapshots/detail?host={OTHER}')
            for entry in page if entry['source_reference']['source-name']
            == f'volume-{name_id}']
        self.assertEqual([('old', True)], listed)
        status, snapshot = self.stack.adopt(
            self.volume_id, {'source-name': 'old'})
        self.assertEqual(202, status, snapshot)
        self.stack.wait('snapshot', snapshot['id'], 'available')
        self.assertEqual({f'snapshot-{snapshot["id"]}'},
                         self.stack.held(name_id, self.other))
        copy = self.stack.volume(snapshot_id=snapshot['id'])
        self.assertTrue(copy)

    def test_by_the_driver(self):
        self.migrate()
        self.check(self.volume_id)

    def test_by_a_copy_that_could_not_be_renamed(self):
        import rbd
        name = f'volume-{self.volume_id}'
        rbd.RBD().create(self.other, name, 2**20)
        self.addCleanup(rbd.RBD().remove, self.other, name)
        migrated = self.migrate(force_host_copy=True)
        name_id = migrated['os-vol-mig-status-attr:name_id']
        self.assertNotIn(name_id, (None, self.volume_id))
        self.check(name_id)


class BackupTest(cinder.TestCase):

    ENVIRON = {'CINDER_BACKUP': '1'}

    def back_up(self, volume_id, **options):
        status, body = self.stack.ask('POST', 'backups', {'backup': {
            'volume_id': volume_id, 'name': 'backup', **options}})
        self.assertEqual(202, status, body)
        cinder.wait_for(functools.partial(
            self.has_ended, body['backup']['id']))
        return self.backup(body['backup']['id'])

    def backup(self, backup_id):
        return self.stack.ask('GET', f'backups/{backup_id}')[1]['backup']

    def has_ended(self, backup_id):
        return self.backup(backup_id)['status'] in ('available', 'error')

    def test_the_snapshot_of_a_backup_is_left_alone(self):
        volume_id = self.stack.volume()
        self.stack.put(volume_id, 'old')
        # The scheduler refuses until cinder-backup has reported to it, and
        # backups that have failed count as well.
        status, body = self.stack.ask(
            'PUT', f'os-quota-sets/{self.stack.project()}',
            {'quota_set': {'backups': -1, 'backup_gigabytes': -1}})
        self.assertEqual(200, status, body)
        cinder.wait_for(
            lambda: self.back_up(volume_id)['status'] == 'available')
        [taken] = self.stack.held(volume_id) - {'old'}
        self.assertTrue(taken.startswith('backup.'), taken)
        status, body = self.stack.ask(
            'GET', f'manageable_snapshots/detail?host={cinder.HOST}')
        self.assertEqual(200, status, body)
        self.assertEqual({'old': True, taken: False}, {
            entry['reference']['source-name']: entry['safe_to_manage']
            for entry in body['manageable-snapshots']})
        status, snapshot = self.stack.adopt(
            volume_id, {'source-name': taken})
        self.assertEqual(202, status, snapshot)
        shown = self.stack.wait('snapshot', snapshot['id'], 'error')
        self.assertIn('backup', shown['metadata']['manage_error'])
        # It needs the snapshot, by that name.
        again = self.back_up(volume_id, incremental=True)
        self.assertEqual(('available', True),
                         (again['status'], again['is_incremental']))
