# SPDX-License-Identifier: Apache-2.0

"""Rows and snapshots that do not belong together, and what becomes of them."""

import os
import shutil
import threading
from unittest import mock

import fixtures
from oslo_utils import uuidutils

from manageable_snapshots.audit import backends
from manageable_snapshots.audit import rows
from manageable_snapshots import conf as configuration
from manageable_snapshots.db import audit as db_audit
from manageable_snapshots.db import models
from manageable_snapshots.db import services
from manageable_snapshots.db import snapshots
from manageable_snapshots.drivers import base as drivers_base
from manageable_snapshots.drivers import directory
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.audit import base
from manageable_snapshots.tests.unit.db import base as db_base
from manageable_snapshots.tests.unit.drivers import librbd

REF = {'source-name': 'old'}


class ManyTest(base.TestCase):
    """What there are many of costs no statement for each."""

    def setUp(self):
        super().setUp()
        self.statements = self.useFixture(db_base.Statements())

    def count(self):
        return self.statements.count(self.audit)

    def test_orphans_of_many_volumes(self):
        def orphan():
            self.hold(f'snapshot-{uuidutils.generate_uuid()}', self.volume())

        orphan()
        number = self.count()
        for _ in range(4):
            orphan()
        self.assertEqual(number, self.count())
        self.assertEqual(5, len(self.kinds()))

    def test_rows_with_nothing_behind_them(self):
        self.available()
        self.row(status='available')
        number = self.count()
        for _ in range(4):
            self.row(self.volume(), status='available')
        self.assertEqual(number, self.count())
        self.assertEqual(5, len(self.kinds()))

    def test_rows_that_nobody_adopts(self):
        self.row()
        number = self.count()
        for _ in range(4):
            self.row(self.volume())
        self.assertEqual(number, self.count())
        self.assertEqual(5, len(self.kinds()))

    def test_rows_that_share_a_snapshot(self):
        def share(name):
            for _ in range(2):
                self.available(provider_id=name)

        share('lun-0')
        number = self.count()
        for each in range(1, 4):
            share(f'lun-{each}')
        self.assertEqual(number, self.count())
        self.assertEqual(4, len(self.kinds()))

    def test_rows_of_one_volume_are_read_in_pages(self):
        with mock.patch.object(db_audit, '_PAGE', 2):
            for _ in range(5):
                self.row(status='available')
            self.assertEqual(5, len(self.kinds()))

    def test_the_rows_of_others_are_not_read(self):
        number = self.count()
        for _ in range(4):
            self.row(self.volume(host='node@other'))
        self.assertEqual(number, self.count())


class SoundTest(base.TestCase):

    def test_what_is_as_it_should_be_is_no_breach(self):
        self.available()
        self.hold('monday')
        self.row(status='error')
        answer = self.audit(status=0)
        self.assertEqual(
            {'breaches': [], 'left': 0, 'mended': 0, 'notes': [],
             'not_looked_at': []}, answer)

    def test_what_was_accepted_just_now_is_none(self):
        self.row(reference=REF, created_at=models.timeutils.utcnow())
        self.row(created_at=models.timeutils.utcnow())
        self.audit(status=0)

    def test_what_is_being_deleted_is_none(self):
        self.row(status='deleting')
        self.audit(status=0)

    def test_a_row_of_another_backend_is_not_looked_at(self):
        self.row(self.volume(host='node@other'), status='available')
        self.audit(status=0)

    def test_another_volumes_namesake_is_a_copy(self):
        snapshot_id = self.available()
        self.hold(f'snapshot-{snapshot_id}', self.volume())
        self.audit(status=0)

    def test_a_migrated_volume_has_its_old_name(self):
        name_id = uuidutils.generate_uuid()
        volume_id = self.volume(_name_id=name_id)
        self.put(f'volume-{name_id}')
        snapshot_id = self.row(volume_id, status='available')
        self.hold(f'snapshot-{snapshot_id}', name_id)
        self.audit(status=0)


class StolenTest(base.TestCase):

    def setUp(self):
        super().setUp()
        self.available()

    def test_it_is_available_with_nothing_behind_it(self):
        stolen = self.row(status='available')
        [breach] = self.audit(status=1)['breaches']
        self.assertEqual(
            ('stolen', base.BACKEND, stolen, base.PROJECT, False, None),
            tuple(breach[key] for key in (
                'kind', 'backend', 'snapshot_id', 'project_id', 'repairable',
                'outcome')))
        self.assertEqual(
            f'openstack volume snapshot set --state error {stolen}',
            breach['command'])
        self.assertIn(f'snapshot-{stolen}', breach['text'])

    def test_it_is_left_to_the_operator(self):
        stolen = self.row(status='available')
        [breach] = self.audit('--repair', status=1)['breaches']
        self.assertIn('Not repaired', breach['outcome'])
        self.assertEqual('available', self.find(stolen).status)

    def test_another_volumes_snapshot_of_its_name_does_not_count(self):
        stolen = self.row(status='available')
        self.hold(f'snapshot-{stolen}', self.volume())
        self.assertEqual([('stolen', stolen)], self.kinds(status=1))

    def test_what_was_adopted_after_the_scan_is_none(self):
        snapshot_id = self.row(status='available')
        scan = directory.DirectoryDriver.scan

        def adopt_then(driver, rows):
            entries = list(scan(driver, rows))
            self.hold(f'snapshot-{snapshot_id}')
            return iter(entries)

        with mock.patch.object(directory.DirectoryDriver, 'scan',
                               adopt_then):
            self.audit(status=0)

    def test_what_is_deleted_meanwhile_is_none(self):
        snapshot_id = self.row(status='available')
        look = directory.DirectoryDriver.manage_existing_snapshot_get_size

        def delete_then(driver, snapshot, ref):
            with self.database.writer(self.admin) as session:
                snapshots.update(session, snapshot_id, status='deleting')
            return look(driver, snapshot, ref)

        with mock.patch.object(
                directory.DirectoryDriver,
                'manage_existing_snapshot_get_size', delete_then):
            self.audit(status=0)

    def test_a_second_page_is_read_as_well(self):
        stolen = {self.row(status='available') for _ in range(5)}
        with mock.patch('manageable_snapshots.db.audit._PAGE', 2):
            self.assertEqual(
                {('stolen', each) for each in stolen},
                set(self.kinds(status=1)))


class UnreadTest(base.TestCase):
    """A volume whose snapshots could not be read."""

    def setUp(self):
        super().setUp()
        self.available()
        self.unread = self.volume()
        scan = directory.DirectoryDriver.scan

        def scan_without(driver, rows):
            for entry in scan(driver, rows):
                if entry.source_reference['source-name'] != self.image():
                    yield entry
            yield drivers_base.BackendSnapshot(
                reference={'source-id': f'{self.image()}@'},
                source_reference={'source-name': self.image()}, size=None,
                safe_to_manage=False, is_unread=True)

        def look(driver, snapshot, ref):
            raise exception.ServiceUnavailable('It does not answer.')

        for name, replacement in (
                ('scan', scan_without),
                ('manage_existing_snapshot_get_size', look)):
            self.useFixture(fixtures.MonkeyPatch(
                f'{directory.__name__}.DirectoryDriver.{name}', replacement))

    def image(self):
        return f'volume-{self.unread}'

    def test_nothing_is_said_of_its_rows(self):
        rows_before = [
            self.row(self.unread, status=status, **columns)
            for status, columns in (
                ('available', {}), ('error', {}), ('creating', {}),
                ('creating', {'reference': REF}))]
        for option in ((), ('--repair',)):
            answer = self.audit(*option, status=2)
            self.assertEqual(
                ([], [f'{base.BACKEND}: volumes that could not be read: 1. '
                      'Their snapshots and rows were not looked at: '
                      f'{self.image()}']),
                (answer['breaches'], answer['not_looked_at']))
        self.assertEqual(
            ['available', 'error', 'creating', 'creating'],
            [self.find(each).status for each in rows_before])

    def test_what_it_has_is_no_orphan(self):
        self.hold(f'snapshot-{uuidutils.generate_uuid()}', self.unread)
        self.assertEqual([], self.audit(status=2)['breaches'])

    def test_a_backend_that_can_be_read_in_part_is_believed(self):
        self.row(self.unread, status='available')
        self.assertEqual([], self.audit(status=2)['notes'])


class SharedTest(base.TestCase):

    def test_two_rows_with_one_snapshot(self):
        first = self.available(provider_id='lun-7')
        second = self.available(
            provider_id='lun-7', created_at=models.timeutils.utcnow())
        self.available(provider_id='lun-8')
        [breach] = self.audit(status=1)['breaches']
        self.assertEqual(('shared', second),
                         (breach['kind'], breach['snapshot_id']))
        self.assertIn(f'{first}, {second}', breach['text'])
        self.assertEqual(
            f'openstack volume snapshot delete --remote {second}',
            breach['command'])

    def test_the_same_on_two_backends_is_none(self):
        self.available(provider_id='lun-7')
        self.row(self.volume(host='node@other'), status='available',
                 provider_id='lun-7')
        self.audit(status=0)


class UnfinishedTest(base.TestCase):

    def test_a_row_whose_snapshot_is_renamed_is_finished(self):
        snapshot_id = self.row(reference=REF, progress='50%')
        path = self.hold(f'snapshot-{snapshot_id}')
        [breach] = self.audit(status=1)['breaches']
        self.assertEqual(('unfinished', True),
                         (breach['kind'], breach['repairable']))
        self.assertEqual(
            f'manageable-snapshots-manage --config-file {self.path} audit '
            '--repair', breach['command'])
        answer = self.audit('--repair', status=0)
        self.assertEqual(1, answer['mended'])
        row = self.find(snapshot_id)
        self.assertEqual(('available', '100%', None),
                         (row.status, row.progress, row.provider_id))
        self.assertTrue(os.path.exists(path))
        self.audit(status=0)

    def test_one_that_stock_left_gets_its_size_and_the_quota_too(self):
        snapshot_id = self.row()
        self.hold(f'snapshot-{snapshot_id}', gibibytes=3)
        self.assertEqual([('unfinished', snapshot_id)],
                         self.kinds('--repair', status=0))
        self.assertEqual(3, self.find(snapshot_id).volume_size)
        self.assertEqual((4, 0), self.usages()['gigabytes'])
        self.assertEqual((4, 0), self.usages()['gigabytes___DEFAULT__'])
        self.audit(status=0)

    def test_what_the_quota_has_no_room_for_is_left(self):
        snapshot_id = self.row()
        self.hold(f'snapshot-{snapshot_id}', gibibytes=3)
        with open(self.path, 'a') as file:
            file.write('[DEFAULT]\nquota_gigabytes = 2\n')
        [breach] = self.audit('--repair', status=1)['breaches']
        self.assertIn('exceeds allowed gigabytes quota', breach['outcome'])
        self.assertEqual('creating', self.find(snapshot_id).status)

    def test_what_the_driver_would_have_noted_is_noted(self):
        snapshot_id = self.row()
        self.hold(f'snapshot-{snapshot_id}')
        with mock.patch.object(
                directory.DirectoryDriver, 'lost_updates',
                lambda self, snapshot: {'provider_id': 'x', 'status': 'y'}):
            self.kinds('--repair', status=0)
        row = self.find(snapshot_id)
        self.assertEqual(('available', 'x'), (row.status, row.provider_id))

    def test_a_worker_may_be_first(self):
        snapshot_id = self.row(reference=REF, progress='50%')
        self.hold(f'snapshot-{snapshot_id}')

        def finish(driver, snapshot):
            with self.database.writer(self.admin) as session:
                snapshots.make_available(session, snapshot_id,
                                         provider_id='of the worker')

        with mock.patch.object(directory.DirectoryDriver, 'lost_updates',
                               finish):
            answer = self.audit('--repair', status=0)
        self.assertEqual('Nothing was done: it has changed meanwhile.',
                         answer['breaches'][0]['outcome'])
        self.assertEqual('of the worker', self.find(snapshot_id).provider_id)

    def test_the_bound_is_what_it_is_told_to_be(self):
        snapshot_id = self.row()
        self.hold(f'snapshot-{snapshot_id}')
        self.assertEqual(
            [], self.kinds('--older-than', '864000', status=0))
        [breach] = self.audit('--older-than', '60', status=1)['breaches']
        self.assertTrue(
            breach['command'].endswith('audit --repair --older-than 60'))


class WaitingTest(base.TestCase):

    def test_what_has_its_reference_is_left_to_a_worker(self):
        self.hold('old')
        snapshot_id = self.row(reference=REF)
        [breach] = self.audit('--repair', status=1)['breaches']
        self.assertEqual('waiting', breach['kind'])
        self.assertIn('a worker of node@images takes it up', breach['text'])
        self.assertEqual('creating', self.find(snapshot_id).status)

    def test_not_where_its_volume_is_deleted(self):
        snapshot_id = self.row(reference=REF)
        with self.database.writer(self.admin) as session:
            session.query(models.Volume).update({'deleted': True})
        self.assertEqual([('lost', snapshot_id)],
                         [breach for breach in self.kinds('--repair')
                          if breach[0] != 'usage'])
        self.assertEqual('error', self.find(snapshot_id).status)


class LostTest(base.TestCase):

    def test_what_stock_lost_ends_in_error_and_says_why(self):
        path = self.hold('old')
        snapshot_id = self.row()
        self.assertEqual([('lost', snapshot_id)], self.kinds(status=1))
        self.kinds('--repair', status=0)
        self.assertEqual('error', self.find(snapshot_id).status)
        self.assertIn('never reached a worker',
                      self.metadata(snapshot_id)['manage_error'])
        self.assertTrue(os.path.exists(path))
        self.audit(status=0)

    def test_a_message_may_arrive_before_the_repair(self):
        snapshot_id = self.row()
        page = rows._creating

        def arrive(*args, **kwargs):
            for breach in page(*args, **kwargs):
                with self.database.writer(self.admin) as session:
                    snapshots.record_reference(session, snapshot_id, REF)
                yield breach

        with mock.patch.object(rows, '_creating', arrive):
            self.audit('--repair', status=0)
        self.assertEqual('creating', self.find(snapshot_id).status)

    def test_a_storage_that_has_nothing_proves_nothing(self):
        snapshot_id = self.row()
        stolen = self.row(status='available')
        answer = self.audit('--repair', status=1)
        self.assertEqual(
            [('stolen', stolen, False), ('lost', snapshot_id, False)],
            [(breach['kind'], breach['snapshot_id'], breach['repairable'])
             for breach in answer['breaches']])
        self.assertIn('available (1) it has none', answer['notes'][0])
        self.assertEqual('creating', self.find(snapshot_id).status)


class UndecidedTest(base.TestCase):

    def test_what_the_backend_has_and_refuses_is_not_to_be_deleted(self):
        snapshot_id = self.row()
        os.symlink('/dev/null', self.on_backend(
            'snapshots', f'volume-{self.volume_id}',
            f'snapshot-{snapshot_id}'))
        [breach] = self.audit('--repair', status=1)['breaches']
        self.assertEqual('undecided', breach['kind'])
        self.assertIn('symbolic link', breach['text'])
        self.assertEqual('creating', self.find(snapshot_id).status)


class OrphanTest(base.TestCase):

    def test_a_name_without_a_row(self):
        orphan = uuidutils.generate_uuid()
        path = self.hold(f'snapshot-{orphan}')
        [breach] = self.audit('--repair', status=1)['breaches']
        self.assertEqual(('orphan', orphan),
                         (breach['kind'], breach['snapshot_id']))
        self.assertEqual(
            f'openstack volume snapshot create --volume {self.volume_id} '
            f'--remote-source source-name=snapshot-{orphan} '
            f'snapshot-{orphan}', breach['command'])
        self.assertTrue(os.path.exists(path))

    def test_what_was_unmanaged_is_none(self):
        snapshot_id = self.available()
        with self.database.writer(self.admin) as session:
            session.get(models.Snapshot, snapshot_id).deleted = True
        answer = self.audit()
        self.assertEqual([], [breach for breach in answer['breaches']
                              if breach['kind'] != 'usage'])
        self.assertIn('the name of a row that is deleted: 1',
                      answer['notes'][0])

    def test_a_foreign_name_reaches_no_line_as_it_is(self):
        orphan = uuidutils.generate_uuid()
        self.put('bad\nvolume; rm -r x')
        with open(self.on_backend('snapshots', 'bad\nvolume; rm -r x',
                                  f'snapshot-{orphan}'), 'w'):
            pass
        [breach] = self.audit(status=1)['breaches']
        self.assertNotIn('\n', breach['text'])
        self.assertNotIn('rm', breach['command'])


class FailedTest(base.TestCase):

    def test_an_error_whose_adoption_is_done(self):
        snapshot_id = self.row(reference=REF)
        self.hold(f'snapshot-{snapshot_id}')
        with self.database.writer(self.admin) as session:
            snapshots.make_error(session, snapshot_id, 'for no reason')
        [breach] = self.audit('--repair', status=1)['breaches']
        self.assertEqual(('failed', snapshot_id),
                         (breach['kind'], breach['snapshot_id']))
        self.assertEqual(
            f'openstack volume snapshot set --state available {snapshot_id}',
            breach['command'])
        self.assertEqual('error', self.find(snapshot_id).status)

    def test_another_error_is_none(self):
        snapshot_id = self.row(status='error')
        self.hold(f'snapshot-{snapshot_id}')
        self.audit(status=0)


class AwayTest(base.TestCase):

    def test_a_storage_that_is_not_there_is_no_theft(self):
        self.available()
        self.row()
        shutil.rmtree(self.on_backend())
        answer = self.audit('--repair', status=2)
        self.assertEqual([], answer['breaches'])
        self.assertIn('node@images was not looked at to the end',
                      answer['not_looked_at'][0])
        self.assertFalse(os.path.exists(self.on_backend()))

    def test_a_driver_that_hangs_or_fails_is_away(self):

        hang = threading.Event()
        self.addCleanup(hang.set)
        backend = backends.Backend(base.BACKEND, None, 0.01)
        self.assertRaisesRegex(backends.Away, 'did not answer within',
                               backend.ask, hang.wait)
        self.assertRaisesRegex(backends.Away, 'the log has the cause',
                               backend.ask, lambda: 1 / 0)

    def test_a_driver_that_cannot_list_is_said(self):
        def scan(driver, rows):
            raise NotImplementedError

        with mock.patch.object(directory.DirectoryDriver, 'scan', scan):
            answer = self.audit(status=2)
        self.assertEqual(['node@images: its driver cannot list snapshots.'],
                         answer['not_looked_at'])


class NothingTest(base.TestCase):

    def test_without_repair_nothing_changes(self):
        self.row()
        self.row(reference=REF)
        self.row(status='available')
        for each in (self.row(reference=REF), self.row(charged=False)):
            self.hold(f'snapshot-{each}')
        self.hold(f'snapshot-{uuidutils.generate_uuid()}')
        with self.database.writer(self.admin) as session:
            session.add(models.Reservation(
                project_id=base.PROJECT, resource='snapshots', delta=1,
                expire=base.LONG_AGO))
        before = self.everything()
        self.assertEqual(
            {'lost', 'waiting', 'stolen', 'unfinished', 'orphan', 'usage',
             'reservation'}, {kind for kind, _id in self.kinds(status=1)})
        self.assertEqual(before, self.everything())

    def test_a_repair_touches_nothing_on_the_backend(self):
        for each in (self.row(reference=REF), self.row(charged=False)):
            self.hold(f'snapshot-{each}')
        self.row()
        _rows, files = self.everything()
        self.kinds('--repair', status=0)
        self.assertEqual(files, self.everything()[1])


class NamesTest(base.TestCase):

    def configured(self, text, wanted=(), name='project.conf'):
        conf = configuration.load(['--config-file', self.write(text, name)])
        return [(backend.name, backend.driver and backend.driver.NAME)
                for backend in backends.configured(
                    conf, self.database, wanted)]

    def test_a_backend_may_have_a_host_of_its_own(self):
        self.assertEqual(
            [('other@a', 'directory'), ('node@b', 'directory')],
            self.configured('[DEFAULT]\nhost = node\nenabled_backends = a,b\n'
                            '[a]\nbackend_host = other\n[b]\n'))

    def test_of_cinders_those_that_a_driver_of_ours_reads(self):
        self.assertEqual(
            [('node@a', 'rbd'), ('node@b', 'lvm'), ('node@c', None),
             ('node@d', None)],
            self.configured(
                '[DEFAULT]\nhost = node\nenabled_backends = a,b,c,d\n'
                '[a]\nvolume_driver = cinder.volume.drivers.rbd.RBDDriver\n'
                '[b]\n'
                '[c]\nvolume_driver = cinder.volume.drivers.nfs.NfsDriver\n'
                '[d]\nmanageable_snapshots_native = false\n',
                name='cinder.conf'))

    def test_of_a_cluster_its_name_counts(self):
        self.assertEqual(
            [('all@a', 'lvm')],
            self.configured('[DEFAULT]\nhost = node\ncluster = all\n'
                            'enabled_backends = a\n[a]\n',
                            name='cinder.conf'))


class FailoverTest(base.TestCase):
    """An RBD backend of Cinder's that may have failed over."""

    def setUp(self):
        super().setUp()
        conf = configuration.load(['--config-file', self.write(
            '[DEFAULT]\nhost = node\nenabled_backends = a\n'
            '[backend_defaults]\n'
            'replication_device = backend_id:b,conf:/b.conf,user:me\n'
            '[a]\nvolume_driver = cinder.volume.drivers.rbd.RBDDriver\n'
            'rbd_ceph_conf = /a.conf\nrbd_pool = volumes\n', 'cinder.conf')])
        self.useFixture(librbd.Storage())
        [self.backend] = backends.configured(conf, self.database)

    def service(self, **columns):
        with self.database.writer(self.admin) as session:
            row = services.report(
                session, host='node@a', cluster=None, availability_zone='z',
                rpc_version='3.17', object_version='1.38')
            for name, value in columns.items():
                setattr(row, name, value)

    def connected_to(self):
        self.backend.ask(self.backend.driver.check_for_setup_error)
        names = self.backend.driver._connection.handle.names
        return names['clustername'], names['conffile'], names['rados_id']

    def test_one_that_has_not(self):
        self.assertEqual(('ceph', '/a.conf', None), self.connected_to())
        self.service(replication_status='enabled', active_backend_id='')
        self.assertEqual(('ceph', '/a.conf', None), self.connected_to())

    def test_one_that_has(self):
        self.service(replication_status='failed-over', active_backend_id='b')
        self.assertEqual(('b', '/b.conf', 'me'), self.connected_to())

    def assertNotLookedAt(self, reason):
        error = self.assertRaises(backends.Away, self.connected_to)
        self.assertEqual(reason, str(error))
        self.assertIsNone(self.backend.driver._connection.handle)

    def test_one_that_is_failing_over(self):
        self.service(replication_status='failing-over')
        self.assertNotLookedAt('Backend node@a is failing over.')

    def test_one_that_has_to_what_is_not_configured(self):
        self.service(replication_status='failed-over', active_backend_id='c')
        self.assertNotLookedAt(
            'Option replication_device in section [a]: the backend has '
            'failed over to c, which no replication_device has as '
            'backend_id')
