# SPDX-License-Identifier: Apache-2.0

"""The rbd driver, on a Ceph in memory."""

import errno
import functools
import json
import struct
import threading
from unittest import mock

import fixtures
from oslo_utils import units
from oslotest import base as test_base

from manageable_snapshots.drivers.rbd import cluster as rbd_cluster
from manageable_snapshots.drivers.rbd import driver
from manageable_snapshots.drivers.rbd import images as rbd_images
from manageable_snapshots.drivers.rbd import scan as rbd_scan
from manageable_snapshots.drivers import threads
from manageable_snapshots import exception
from manageable_snapshots.tests.drivers import conformance
from manageable_snapshots.tests.unit.drivers import librbd


def new_driver(**options):
    made = conformance.load_driver('images', 'rbd', **{
        'rbd_pool': 'volumes', 'rbd_op_timeout': 3, **options})
    made.do_setup(None)
    made.check_for_setup_error()
    return made


class TestConformance(conformance.DriverConformance, test_base.BaseTestCase):

    steps = ('manageable_snapshots.drivers.rbd.images.rename',
             'manageable_snapshots.drivers.rbd.images.protect')

    def setUp(self):
        self.storage = self.useFixture(librbd.Storage())
        super().setUp()
        self.addCleanup(
            lambda: self.assertEqual((0, {}), (
                self.storage.opened, self.storage.locks)))

    def new_driver(self):
        return new_driver()

    def make_volume(self, volume, size):
        librbd.Module.RBD().create(
            librbd.Ioctx(self.storage), volume.encode(), size * units.Gi,
            old_format=False)

    def resize_volume(self, volume, size):
        self.storage.images[volume.encode()]['size'] = size * units.Gi

    def make_snapshot(self, volume, name):
        with self.storage.image(volume) as image:
            image.create_snap(name.encode())

    def remove_snapshot(self, volume, name):
        with self.storage.image(volume) as image:
            image.remove_snap(name.encode())

    def names(self, volume):
        return {each['name'].decode() for each in self.storage.images[
            volume.encode()]['snapshots'].values()}

    def fingerprint(self, volume, name=None):
        image = self.storage.images[volume.encode()]
        if name is None:
            return image['id'], image['size']
        return [(number, each['size'])
                for number, each in image['snapshots'].items()
                if each['name'] == name.encode()]


class RBDTestCase(conformance.Refusals, test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.storage = self.useFixture(librbd.Storage())
        self.driver = new_driver()

    def volume(self, *names):
        volume = conformance.volume_row()
        self.driver.create_volume(volume)
        with self.storage.image(volume.name) as image:
            for name in names:
                image.create_snap(name.encode())
        return volume

    def names(self, volume):
        return [each['name'].decode() for each in self.storage.images[
            volume.name.encode()]['snapshots'].values()]

    def scan(self):
        return {entry.reference['source-name']: entry
                for entry in self.driver.scan([]) if not entry.is_unread}

    def unread(self):
        """Image → why it could not be read."""
        return {entry.source_reference['source-name']: entry.reason_not_safe
                for entry in self.driver.scan([]) if entry.is_unread}

    def assertNotSafe(self, volume, name, reason):
        entry = self.scan()[name]
        self.assertEqual((False, reason),
                         (entry.safe_to_manage, entry.reason_not_safe))
        self.assertNotAdoptable(
            volume, {'source-id': entry.reference['source-id']}, reason)


class TestSetup(RBDTestCase):

    def test_how_it_connects(self):
        made = new_driver(rbd_user='cinder', rbd_ceph_conf='/etc/c.conf',
                          rbd_cluster_name='backup')
        self.assertEqual(
            {'rados_id': 'cinder', 'conffile': '/etc/c.conf',
             'clustername': 'backup'}, made._connection.handle.names)
        self.assertEqual(
            {'objecter_inflight_ops': '65536', 'rados_osd_op_timeout': '3',
             'rados_mon_op_timeout': '3', 'client_mount_timeout': '3'},
            made._connection.handle.options)
        made = new_driver(rados_connect_timeout=7)
        self.assertEqual('7', made._connection.handle.options[
            'client_mount_timeout'])

    def test_one_connection_is_kept(self):
        self.volume('snap')
        self.scan()
        self.assertEqual([self.driver._connection.handle],
                         self.storage.clusters)

    def test_without_cephs_modules(self):
        with mock.patch.object(rbd_images, 'rbd', None), mock.patch.object(
                rbd_images, 'missing', "No module named 'rados'", create=True):
            error = self.assertRaises(
                exception.ConfigurationError, self.driver.do_setup, None)
        self.assertEqual(
            'Option volume_driver in section [images]: the rbd driver needs '
            'the modules rados and rbd of Ceph, which are packages of the '
            'distribution (python3-rados, python3-rbd on Debian): No module '
            "named 'rados'", error.msg)

    def test_what_is_configured_wrong(self):
        for option, options in (
                ('rbd_pool', {'rbd_pool': 'nope'}),
                ('rbd_namespace', {'rbd_namespace': 'nope'})):
            error = self.assertRaises(
                exception.ConfigurationError, new_driver, **options)
            self.assertIn(f'Option {option} in section [images]', error.msg)
        new_driver(rbd_namespace='mine')

    def test_ceph_that_does_not_let_us_in(self):
        self.storage.faults['connect'] = [librbd.Error(errno.EACCES)]
        error = self.assertRaises(exception.ConfigurationError, new_driver)
        self.assertEqual(
            'Option rbd_ceph_conf in section [images]: cannot connect to '
            'Ceph: [errno 13] it went wrong', error.msg)

    def test_ceph_that_is_away(self):
        self.storage.faults['connect'] = [librbd.Error(errno.ETIMEDOUT)]
        error = self.assertRaises(exception.ServiceUnavailable, new_driver)
        self.assertEqual('Ceph does not answer backend images within 3 '
                         'seconds.', error.msg)

    def test_a_connection_that_somebody_else_is_making(self):
        waiting = new_driver(rbd_op_timeout=1)
        self.assertTrue(waiting._connection.guard.acquire(timeout=1))
        error = self.assertRaises(
            exception.ServiceUnavailable, waiting.is_adopted,
            conformance.snapshot_row(conformance.volume_row()))
        self.assertEqual('Ceph is in trouble on backend images: the '
                         'connection is not there yet.', error.msg)


class TestFailover(RBDTestCase):
    """The backend moves to another cluster while the service runs."""

    OLD = rbd_cluster.Cluster('ceph', '/etc/ceph/a.conf', 'cinder')
    NEW = rbd_cluster.Cluster('b', '/etc/ceph/b.conf', 'other')

    def setUp(self):
        super().setUp()
        self.active = self.OLD
        self.driver.follow(lambda: self.active)
        self.scan()

    def connected_to(self):
        names = self.storage.clusters[-1].names
        return rbd_cluster.Cluster(
            names['clustername'], names['conffile'], names['rados_id'])

    def test_the_active_cluster_is_used_and_the_old_one_left_alone(self):
        self.assertEqual(self.OLD, self.connected_to())
        self.active = self.NEW
        number = len(self.storage.clusters)
        self.scan()
        self.driver.is_adopted(
            conformance.snapshot_row(conformance.volume_row()))
        self.assertEqual((self.NEW, number + 1),
                         (self.connected_to(), len(self.storage.clusters)))
        self.active = self.OLD
        self.scan()
        self.assertEqual(self.OLD, self.connected_to())

    def test_nobody_waits_for_a_connection_to_the_old_cluster(self):
        self.assertTrue(self.driver._connection.guard.acquire(timeout=1))
        self.active = self.NEW
        self.scan()
        self.assertEqual(self.NEW, self.connected_to())

    def test_nothing_is_asked_while_it_is_undecided(self):
        volume = self.volume('snap')

        def undecided():
            raise exception.ServiceUnavailable('Backend x is failing over.')

        self.driver.follow(undecided)
        number = len(self.storage.clusters)
        row = conformance.snapshot_row(volume)
        for ask in (self.scan,
                    functools.partial(self.driver.is_adopted, row),
                    functools.partial(
                        self.driver.manage_existing_snapshot, row,
                        {'source-name': 'snap'})):
            self.assertRaises(exception.ServiceUnavailable, ask)
        self.assertEqual((['snap'], number), (
            self.names(volume), len(self.storage.clusters)))

    def test_what_the_old_cluster_says_or_does_too_late_does_not_count(self):
        volume = self.volume('snap')
        row = conformance.snapshot_row(volume)
        for outcome in (None, rbd_images.Refused('it is demoted')):
            def late(*args, outcome=outcome):
                self.active = self.NEW
                if outcome is not None:
                    raise outcome

            self.active = self.OLD
            with mock.patch.object(rbd_images, 'adopt', late):
                error = self.assertRaises(
                    exception.ServiceUnavailable,
                    self.driver.manage_existing_snapshot, row,
                    {'source-name': 'snap'})
            self.assertEqual('Backend images has just failed over to another '
                             'cluster.', error.msg)


class TestReplicationTargets(test_base.BaseTestCase):
    """Where the audit finds the cluster, as Cinder's driver does."""

    def active(self, target, *devices, **options):
        made = conformance.load_driver('images', 'rbd', **{
            'rbd_ceph_conf': '/a.conf', 'replication_device': devices,
            **options})
        return rbd_cluster.active(made.conf['images'], 'images', target)

    def test_its_own_before_and_after_a_failback(self):
        for target in (None, '', 'default'):
            self.assertEqual(('ceph', '/a.conf', None),
                             self.active(target, {'backend_id': 'b'}))

    def test_a_target(self):
        devices = ({'backend_id': 'c', 'conf': '/c.conf'},
                   {'backend_id': 'b', 'conf': '/b.conf', 'user': 'me'})
        self.assertEqual(('b', '/b.conf', 'me'), self.active('b', *devices))
        self.assertEqual(('c', '/c.conf', 'cinder'),
                         self.active('c', *devices))
        self.assertEqual(('c', '/c.conf', 'x'),
                         self.active('c', *devices, rbd_user='x'))

    def test_what_cinder_assumes_of_one_that_says_little(self):
        self.assertEqual(('b', '/etc/ceph/b.conf', 'cinder'),
                         self.active('b', {'backend_id': 'b'}))

    def test_one_that_is_not_configured(self):
        error = self.assertRaises(
            exception.ConfigurationError, self.active, 'gone',
            {'backend_id': 'b'})
        self.assertEqual(
            'Option replication_device in section [images]: the backend has '
            'failed over to gone, which no replication_device has as '
            'backend_id', error.msg)


class TestScan(RBDTestCase):

    def test_kinds_that_nobody_may_rename(self):
        for kind, reason in (
                (librbd.GROUP, 'it is a part of a snapshot of a group of '
                               'images'),
                (librbd.TRASH, 'it is deleted, and there only for the clones '
                               'that it has'),
                (librbd.MIRROR, 'it belongs to the mirroring of its image'),
                (9, 'it is not a snapshot that a user has taken')):
            volume = self.volume(f'kind-{kind}', 'mine')
            self.storage.snapshot(
                volume.name, f'kind-{kind}')['namespace'] = kind
            self.assertNotSafe(volume, f'kind-{kind}', reason)
            self.assertNotAdoptable(volume, f'kind-{kind}',
                                    'its image has no such snapshot')
            self.assertTrue(self.scan()['mine'].safe_to_manage)

    def test_images_in_which_nobody_may_rename(self):
        for features, primary, reason in (
                (librbd.MIGRATING, True, 'its image is being migrated'),
                (librbd.NON_PRIMARY, True, 'its image is not the primary one '
                                           'of its mirror'),
                (librbd.JOURNALING, False, 'its image is not the primary one '
                                           'of its mirror')):
            volume = self.volume(f'features-{features}')
            self.storage.images[volume.name.encode()].update(
                features=features, primary=primary)
            self.assertNotSafe(volume, f'features-{features}', reason)
        volume = self.volume('journal')
        self.storage.images[volume.name.encode()].update(
            features=librbd.JOURNALING)
        self.assertTrue(self.scan()['journal'].safe_to_manage)

    def test_protected_and_cloned(self):
        volume = self.volume('protected', 'cloned', 'both', 'neither')
        for name in ('protected', 'both'):
            self.storage.snapshot(volume.name, name)['protected'] = True
        for parent in (('volumes', '', volume.name, 'cloned'),
                       ('volumes', '', volume.name, 'both'),
                       ('volumes', '', volume.name, 'both'),
                       ('volumes', 'mine', volume.name, 'neither'),
                       ('others', '', volume.name, 'neither')):
            clone = self.volume()
            self.storage.images[clone.name.encode()]['parent'] = parent
        self.assertEqual(
            {'protected': {'protected': 'true'}, 'cloned': {'clones': '1'},
             'both': {'protected': 'true', 'clones': '2'}, 'neither': None},
            {name: entry.extra_info for name, entry in self.scan().items()})

    def test_what_cinder_has_taken_for_itself(self):
        for name, reason in (
                ('volume-1.clone_snap', 'used for clone snap'),
                ('.clone_snap', 'used for clone snap'),
                ('backup.snap.clone_snap', 'used for clone snap'),
                ('backup.1.snap.1764291.5', 'used for volume backup'),
                ('backups of mine.snap.', 'used for volume backup')):
            volume = self.volume(name)
            self.assertNotSafe(volume, name, reason)
            self.assertNotAdoptable(volume, name, reason)
            self.driver.delete_snapshot(
                conformance.Row(volume=volume, name=name))
            self.driver.delete_volume(volume)
        for name in ('clone_snap', 'x.clone_snap.y', 'backup.1', 'x.snap.',
                     'my-backup.1.snap.5', 'Backup.1.snap.5'):
            self.volume(name)
            self.assertTrue(self.scan()[name].safe_to_manage, name)

    def test_what_was_adopted_is_found_whatever_its_name(self):
        volume = self.volume('backup.row.snap.1')
        row = conformance.Row(
            conformance.snapshot_row(volume), name='backup.row.snap.1')
        self.assertTrue(self.driver.is_adopted(row))

    def test_an_image_that_fails_costs_itself(self):
        broken, fine = (self.volume('snap') for _number in range(2))
        self.storage.faults[f'open {broken.name}'] = [
            librbd.Error(errno.EIO)]
        unread, listed = sorted(self.driver.scan([]),
                                key=lambda entry: not entry.is_unread)
        self.assertEqual({'source-name': fine.name}, listed.source_reference)
        self.assertEqual(
            ({'source-id': f'{broken.name}@'}, {'source-name': broken.name},
             None, False, 'its image cannot be opened: [errno 5] it went '
                          'wrong', None, 'images'),
            (unread.reference, unread.source_reference, unread.size,
             unread.safe_to_manage, unread.reason_not_safe,
             unread.extra_info, unread.pool))
        self.assertEqual(
            'Images of backend images that could not be read: 1. The list '
            'has one entry for each, in place of its snapshots. '
            f'{broken.name}: its image cannot be opened: [errno 5] it went '
            'wrong\n', self.log.output)
        self.assertNotAdoptable(broken, unread.reference,
                                'source-id names an image, not a snapshot')
        self.assertIsNone(self.driver.managed_name(unread.reference))

    def test_the_log_names_a_few_images(self):
        for _number in range(30):
            volume = self.volume()
            self.storage.faults[f'open {volume.name}'] = [librbd.Error()]
        self.assertEqual(30, len(self.unread()))
        self.assertIn(' could not be read: 30. ', self.log.output)
        self.assertEqual((1, 10), (self.log.output.count('\n'),
                                   self.log.output.count('volume-')))

    def test_an_image_that_is_deleted_meanwhile(self):
        gone, fine = self.volume(), self.volume('snap')
        self.storage.meanwhile[f'open {gone.name}'] = (
            lambda: self.driver.delete_volume(gone))
        (entry,) = self.driver.scan([])
        self.assertEqual({'source-name': fine.name}, entry.source_reference)
        self.assertEqual('', self.log.output)

    def test_an_image_that_is_renamed_meanwhile(self):
        images = self.storage.images
        before = self.volume('snap').name
        self.storage.meanwhile[f'open {before}'] = (
            lambda: images.update(
                {b'after': images.pop(before.encode())}))
        (entry,) = self.driver.scan([])
        self.assertEqual({'source-name': 'after'}, entry.source_reference)

    def test_an_image_that_is_renamed_after_it_was_read(self):
        self.driver = new_driver(rbd_list_threads=1)
        images = self.storage.images
        first, second = sorted(self.volume('snap').name for _twice in 'ab')

        def rename():
            images[b'after'] = images.pop(first.encode())
            images.pop(second.encode())

        self.storage.meanwhile[f'open {second}'] = rename
        (entry,) = self.driver.scan([])
        self.assertEqual({'source-name': 'after'}, entry.source_reference)

    def test_an_image_that_is_broken(self):
        broken = self.volume('snap')
        self.storage.faults[f'open {broken.name}'] = [
            librbd.Module.ImageNotFound(errno.ENOENT) for _twice in range(2)]
        self.assertEqual({broken.name: 'its image is gone or broken'},
                         self.unread())

    def test_a_parent_that_cannot_be_told(self):
        self.volume('snap')
        with mock.patch.object(
                librbd.Module.Image, 'get_parent_image_spec',
                side_effect=[librbd.Module.ImageNotFound(errno.ENOENT)]):
            self.assertEqual({'snap'}, set(self.scan()))

    def test_an_image_that_fails_once_it_is_open(self):
        volume = self.volume('snap')
        with mock.patch.object(librbd.Module.Image, 'features',
                               side_effect=librbd.Error(errno.EIO)):
            self.assertEqual(
                {volume.name: 'its image cannot be read: [errno 5] it went '
                              'wrong'}, self.unread())
        self.assertEqual(0, self.storage.opened)

    def test_names_that_are_not_text(self):
        volume = self.volume('text')
        with self.storage.image(volume.name) as image:
            image.create_snap(b'not \xff')
        for number in range(3):
            librbd.Module.RBD().create(
                librbd.Ioctx(self.storage), b'%d%%\n\xff' % number, units.Gi,
                old_format=False)
        with librbd.Module.Image(
                librbd.Ioctx(self.storage), b'1%\n\xff') as image:
            image.create_snap(b'snap')
        listed = self.scan()
        self.assertEqual({'text', 'not \\xff', 'snap'}, set(listed))
        self.assertRegex(listed['snap'].reference['source-id'],
                         '^1%25%0A%FF@[0-9]+$')
        self.assertEqual('snap', self.driver.managed_name(
            {'source-id': listed['snap'].reference['source-id']}))
        row = conformance.snapshot_row(volume)
        self.driver.manage_existing_snapshot(
            row, listed['not \\xff'].reference)
        self.assertEqual(['text', row.name], self.names(volume))

    def test_an_image_of_the_older_format(self):
        volume = self.volume('snap')
        self.storage.older = b''.join((
            struct.pack('<I', 3), b'any', struct.pack('<I', 1),
            librbd._string(volume.name.encode()), librbd._string(b'')))
        listed = rbd_scan.directory(librbd.Ioctx(self.storage))
        self.assertEqual(rbd_scan.Listed(volume.name.encode(), ''), listed[0])
        self.storage.silent = {f'{volume.name}.rbd'}
        self.assertEqual([volume.name], list(self.unread()))

    def test_a_pool_that_never_had_an_image(self):
        self.storage.faults['list'] = [
            librbd.Rados.ObjectNotFound(errno.ENOENT)]
        self.assertEqual([], list(self.driver.scan([])))

    def test_a_name_in_the_log_is_one_line(self):
        librbd.Module.RBD().create(
            librbd.Ioctx(self.storage), b'two\nlines', units.Gi,
            old_format=False)
        self.storage.faults['open two\nlines'] = [librbd.Error(errno.EIO)]
        self.assertEqual(['two\nlines'], list(self.unread()))
        self.assertEqual(1, self.log.output.count('\n'))
        self.assertIn("'two\\nlines'", self.log.output)

    def test_images_that_do_not_answer(self):
        by_id, by_header, in_the_end, _fine = (
            self.volume('snap').name for _number in range(4))
        header = self.storage.images[by_header.encode()]['id']
        self.storage.silent = {f'rbd_id.{by_id}', f'rbd_header.{header}'}
        # These are not opened: Ceph would keep a thread waiting.
        for name in (by_id, by_header):
            self.storage.faults[f'open {name}'] = [librbd.Error(errno.EIO)]
        self.storage.faults[f'open {in_the_end}'] = [
            librbd.Error(errno.ETIMEDOUT)]
        reason = 'its image cannot be read: Ceph does not answer in time'
        self.assertEqual(
            {by_id: reason, by_header: reason, in_the_end: reason},
            self.unread())
        self.storage.faults[f'open {in_the_end}'] = [
            librbd.Error(errno.ETIMEDOUT)]
        self.assertEqual({'snap'}, set(self.scan()))
        self.assertEqual(0, self.storage.opened)

    def test_images_none_of_which_can_be_opened(self):
        names = {self.volume('snap').name for _number in range(3)}
        self.storage.silent = {'rbd_info'}
        for name in names:
            self.storage.faults[f'open {name}'] = [librbd.Error(errno.EIO)]
        self.assertEqual(names, set(self.unread()))
        self.assertTrue(all(self.storage.faults.values()))

    def test_images_that_block(self):
        self.driver = new_driver(rbd_list_threads=1)
        self.driver.conf.set_override('list_timeout', 3,
                                      'manageable_snapshots')
        blocked = [self.volume('snap').name for _number in range(3)]
        fine = {f'snap-{number}' for number in range(3)}
        for name in fine:
            self.volume(name)
        released = threading.Event()
        self.addCleanup(released.set)
        for name in blocked:
            self.storage.meanwhile[f'open {name}'] = released.wait
        with mock.patch.object(threads, '_PAUSE', 0.05):
            entries = list(self.driver.scan([]))
        self.assertEqual(
            {name: 'its image cannot be read: Ceph does not answer in time'
             for name in blocked},
            {entry.source_reference['source-name']: entry.reason_not_safe
             for entry in entries if entry.is_unread})
        self.assertEqual(fine, {
            entry.reference['source-name'] for entry in entries
            if not entry.is_unread})

    def test_ceph_stops_answering_in_the_midst(self):
        volume = self.volume('snap')
        self.storage.faults[f'open {volume.name}'] = [
            librbd.Error(errno.ETIMEDOUT)]
        self.storage.faults['list'] = [None, librbd.Error(errno.ETIMEDOUT)]
        error = self.assertRaises(exception.BackendTimeout, self.scan)
        self.assertEqual('The backend images did not answer within 3 '
                         'seconds.', error.msg)

    def test_ceph_does_not_answer(self):
        self.volume('snap')
        self.storage.faults['list'] = [librbd.Error(errno.ETIMEDOUT)]
        self.assertRaises(exception.BackendTimeout, self.scan)

    def test_another_connection_in_the_midst(self):
        volume = self.volume('snap')
        self.storage.faults[f'open {volume.name}'] = [
            librbd.Error(errno.ESHUTDOWN)]
        self.assertEqual({'snap'}, set(self.scan()))
        self.assertEqual(2, len(self.storage.clusters))

    def test_another_fault_of_ceph(self):
        self.storage.faults['list'] = [librbd.Error(errno.EPERM)]
        error = self.assertRaises(exception.ServiceUnavailable, self.scan)
        self.assertEqual('Ceph is in trouble on backend images: [errno 1] it '
                         'went wrong.', error.msg)

    def test_another_connection_where_ceph_has_shut_it_out(self):
        self.volume('snap')
        self.storage.faults['list'] = [librbd.Error(errno.ESHUTDOWN)]
        self.assertEqual({'snap'}, set(self.scan()))
        self.assertEqual(2, len(self.storage.clusters))
        self.assertEqual('Ceph has shut out the connection of backend images; '
                         'connecting again.\n', self.log.output)
        self.storage.faults['list'] = [
            librbd.Error(errno.ESHUTDOWN) for _twice in range(2)]
        self.assertRaises(exception.ServiceUnavailable, self.scan)


class TestReferences(RBDTestCase):

    def test_what_does_not_belong_together(self):
        volume = self.volume('one', 'two')
        listed = self.scan()
        self.assertNotAdoptable(
            volume, {**listed['one'].reference, 'source-name': 'two'},
            'source-name and source-id do not belong together')

    def test_forms_that_no_id_has(self):
        volume = self.volume('snap')
        for junk in ('5', '@5', '@', f'{volume.name}@x',
                     f'{volume.name}@-5', f'{volume.name}@٥',
                     f'{volume.name}@{"9" * 5000}'):
            self.assertNotAdoptable(volume, {'source-id': junk},
                                    'source-id is not of the form IMAGE@ID')
            self.assertIsNone(self.driver.managed_name({'source-id': junk}))

    def test_a_name_alone_asks_nobody(self):
        self.storage.faults['list'] = [librbd.Error()]
        self.assertEqual('snap', self.driver.managed_name(
            {'source-name': 'snap'}))

    def test_the_name_of_an_id_is_asked_for(self):
        volume = self.volume('snap')
        ref = {'source-id': self.scan()['snap'].reference['source-id']}
        self.assertEqual('snap', self.driver.managed_name(ref))
        row = conformance.snapshot_row(volume)
        self.driver.manage_existing_snapshot(row, ref)
        self.assertEqual(row.name, self.driver.managed_name(ref))
        self.driver.delete_snapshot(row)
        self.assertIsNone(self.driver.managed_name(ref))

    def test_a_key_of_another_driver(self):
        self.assertNotAdoptable(self.volume('snap'), {'name': 'snap'},
                                'it needs source-name or source-id')


class TestAdoption(RBDTestCase):

    def setUp(self):
        super().setUp()
        self.mine = self.volume('wanted', 'other')
        self.row = conformance.snapshot_row(self.mine)

    def adopt(self):
        self.driver.manage_existing_snapshot(self.row, 'wanted')

    def meanwhile(self, *renames):
        """Rename, past the driver, right before it does."""
        rename = rbd_images.rename
        todo = list(renames)

        def late(image, old, new):
            while todo:
                with self.storage.image(self.mine.name) as opened:
                    opened.rename_snap(*todo.pop(0))
            rename(image, old, new)

        return mock.patch.object(rbd_images, 'rename', late)

    def test_it_is_renamed_meanwhile(self):
        with self.meanwhile((b'wanted', b'renamed')):
            self.assertRaises(exception.ManageExistingInvalidReference,
                              self.adopt)
        self.assertEqual(['renamed', 'other'], self.names(self.mine))

    def test_names_are_swapped_meanwhile(self):
        with self.meanwhile((b'wanted', b'renamed'), (b'other', b'wanted')):
            self.assertRaises(exception.ManageExistingInvalidReference,
                              self.adopt)
        self.assertEqual(['renamed', 'wanted'], self.names(self.mine))

    def test_the_new_name_is_given_away_meanwhile(self):
        with self.meanwhile((b'other', self.row.name.encode())):
            self.assertRaises(exception.ManageExistingAlreadyManaged,
                              self.adopt)
        self.assertEqual(['wanted', self.row.name], self.names(self.mine))

    def test_it_is_renamed_right_afterwards(self):
        rename = rbd_images.rename

        def early(image, old, new):
            rename(image, old, new)
            rename(image, new, b'renamed')

        with mock.patch.object(rbd_images, 'rename', early):
            self.assertRaises(exception.ManageExistingInvalidReference,
                              self.adopt)
        self.assertEqual(['renamed', 'other'], self.names(self.mine))

    def test_another_snapshot_is_deleted_meanwhile(self):
        def delete():
            with self.storage.image(self.mine.name) as image:
                image.remove_snap(b'other')

        for step in ('list_snaps', 'rename', 'protect'):
            volume = self.volume('before', 'other', 'wanted', 'after')
            self.mine, self.row = volume, conformance.snapshot_row(volume)
            with mock.patch.dict(self.storage.meanwhile, {step: delete}):
                self.adopt()
            self.assertEqual(['before', self.row.name, 'after'],
                             self.names(volume), step)

    def test_others_cannot_keep_it_from_being_adopted(self):
        is_protected = librbd.Module.Image.is_protected_snap

        def fails_for_others(image, name):
            if name != b'wanted':
                raise librbd.Module.ImageNotFound(errno.ENOENT)
            return is_protected(image, name)

        with mock.patch.object(librbd.Module.Image, 'is_protected_snap',
                               fails_for_others):
            self.driver.manage_existing_snapshot_get_size(self.row, 'wanted')
            self.adopt()
        self.assertEqual([self.row.name, 'other'], self.names(self.mine))

    def test_it_is_deleted_before_it_is_protected(self):
        def delete():
            with self.storage.image(self.mine.name) as image:
                image.remove_snap(self.row.name.encode())

        self.storage.meanwhile['protect'] = delete
        error = self.assertRaises(
            exception.ManageExistingInvalidReference, self.adopt)
        self.assertEqual('it has just been renamed or deleted', error.reason)
        self.assertFalse(self.driver.is_adopted(self.row))

    def test_the_answer_is_lost(self):
        self.storage.faults['rename'] = [librbd.Error(errno.ETIMEDOUT)]
        self.assertRaises(exception.ServiceUnavailable, self.adopt)
        self.assertFalse(self.driver.is_adopted(self.row))
        self.adopt()
        self.assertTrue(self.driver.is_adopted(self.row))

    def test_ceph_refuses(self):
        self.storage.faults['rename'] = [librbd.Error(errno.EPERM)]
        error = self.assertRaises(
            exception.ManageExistingInvalidReference, self.adopt)
        self.assertEqual('Ceph does not rename it: [errno 1] it went wrong',
                         error.reason)

    def test_another_worker_adopts_from_the_same_image(self):
        key = f'rbd_header.{self.storage.image(self.mine.name).id()}'
        self.storage.locks[key] = 'another'
        sleep = mock.Mock(side_effect=lambda _s: self.storage.locks.clear())
        with mock.patch.object(driver.time, 'sleep', sleep):
            self.adopt()
        sleep.assert_called_once_with(driver._PAUSE)
        self.assertEqual([self.row.name, 'other'], self.names(self.mine))

    def test_another_worker_keeps_the_lock(self):
        key = f'rbd_header.{self.storage.image(self.mine.name).id()}'
        self.storage.locks[key] = 'another'
        with mock.patch.object(driver.time, 'monotonic', side_effect=[0, 9]):
            error = self.assertRaises(
                exception.ServiceUnavailable, self.adopt)
        self.assertEqual(
            'Another adoption on backend images holds the lock of image '
            f'{self.mine.name}.', error.msg)

    def test_the_lock_is_let_go_of_though_ceph_does_not_say_so(self):
        self.storage.faults['unlock'] = [librbd.Error(errno.ETIMEDOUT)]
        self.adopt()
        self.assertEqual([self.row.name, 'other'], self.names(self.mine))

    def test_an_image_of_the_older_format(self):
        self.storage.images[self.mine.name.encode()]['old'] = True
        self.adopt()
        self.assertEqual([self.row.name, 'other'], self.names(self.mine))

    def test_ceph_is_away(self):
        for method in (self.driver.manage_existing_snapshot,
                       self.driver.manage_existing_snapshot_get_size):
            self.storage.faults[f'open {self.mine.name}'] = [
                librbd.Error(errno.ETIMEDOUT)]
            self.assertRaises(exception.ServiceUnavailable, method, self.row,
                              'wanted')

    def test_it_is_protected_as_cinder_does(self):
        self.adopt()
        snapshot = self.storage.snapshot(self.mine.name, self.row.name)
        self.assertTrue(snapshot['protected'])
        snapshot['clones'] = 1
        self.driver.unmanage_snapshot(self.row)
        self.assertTrue(snapshot['protected'])
        snapshot['clones'] = 0
        for _twice in range(2):
            self.driver.unmanage_snapshot(self.row)
            self.assertFalse(snapshot['protected'])

    def test_what_cannot_be_protected(self):
        self.storage.faults['protect'] = [
            librbd.Module.FunctionNotSupported(errno.ENOSYS),
            librbd.Module.ReadOnlyImage(errno.EROFS)]
        self.adopt()
        self.assertTrue(self.driver.is_adopted(self.row))

    def test_an_image_that_became_read_only_is_unmanaged(self):
        self.adopt()
        self.storage.faults['unprotect'] = [
            librbd.Module.ReadOnlyImage(errno.EROFS)]
        self.driver.unmanage_snapshot(self.row)
        self.assertEqual([self.row.name, 'other'], self.names(self.mine))

    def test_a_worker_died_before_it_was_protected(self):
        self.storage.faults['protect'] = [librbd.Error(errno.ETIMEDOUT)]
        self.assertRaises(exception.ServiceUnavailable, self.adopt)
        snapshot = self.storage.snapshot(self.mine.name, self.row.name)
        self.assertFalse(snapshot['protected'])
        self.assertTrue(self.driver.is_adopted(self.row))
        self.assertTrue(snapshot['protected'])


class TestVolumes(RBDTestCase):

    def test_what_is_in_the_way_of_deleting(self):
        volume = self.volume('snap')
        row = conformance.snapshot_row(volume)
        self.driver.manage_existing_snapshot(row, 'snap')
        snapshot = self.storage.snapshot(volume.name, row.name)
        snapshot.update(clones=1, protected=True)
        for function, argument, reason in (
                (self.driver.delete_volume, volume, 'it has snapshots'),
                (self.driver.delete_snapshot, row, 'it has clones')):
            error = self.assertRaises(exception.Invalid, function, argument)
            self.assertTrue(error.msg.endswith(f': {reason}'), error.msg)
        snapshot['clones'] = 0
        self.driver.delete_snapshot(row)
        self.driver.delete_snapshot(row)
        image = self.storage.images[volume.name.encode()]
        image['in_use'] = True
        error = self.assertRaises(
            exception.InvalidVolume, self.driver.delete_volume, volume)
        self.assertEqual('Invalid volume: it is in use', error.msg)
        image['in_use'] = False
        self.driver.delete_volume(volume)
        self.driver.delete_volume(volume)

    def test_what_is_in_the_way_of_making(self):
        volume = conformance.volume_row()
        row = conformance.snapshot_row(volume)
        self.assertRaises(exception.InvalidVolume,
                          self.driver.create_snapshot, row)
        self.driver.create_volume(volume)
        self.assertRaises(exception.InvalidVolume,
                          self.driver.create_volume, volume)
        self.driver.create_snapshot(row)
        self.assertRaises(exception.InvalidSnapshot,
                          self.driver.create_snapshot, row)

    def test_stats(self):
        self.assertEqual(
            'unknown', self.driver.get_volume_stats()['total_capacity_gb'])
        self.storage.df = json.dumps({'pools': [
            {'name': 'others', 'stats': {}},
            {'name': 'volumes', 'stats': {
                'stored': units.Gi, 'max_avail': 3 * units.Gi}},
        ]}).encode()
        stats = self.driver.get_volume_stats()
        self.assertEqual((4, 3), (stats['total_capacity_gb'],
                                  stats['free_capacity_gb']))
        self.assertEqual('images', stats['volume_backend_name'])
