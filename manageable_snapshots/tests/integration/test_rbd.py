# SPDX-License-Identifier: Apache-2.0

"""The rbd driver on a real Ceph, beyond what every driver must do."""

import contextlib
import hashlib
import json
import operator
import random
import subprocess
import sys
import threading
import time
from unittest import mock

import fixtures
from oslo_utils import units
from oslotest import base

from manageable_snapshots.drivers.rbd import images as rbd_images
from manageable_snapshots.drivers.rbd import scan as rbd_scan
from manageable_snapshots import exception
from manageable_snapshots.tests.drivers import ceph
from manageable_snapshots.tests.drivers import conformance

try:
    import rbd
except ImportError:
    rbd = None

GROUP = 'it is a part of a snapshot of a group of images'
TRASH = 'it is deleted, and there only for the clones that it has'
MIRROR = 'it belongs to the mirroring of its image'
MIGRATING = 'its image is being migrated'
NOT_PRIMARY = 'its image is not the primary one of its mirror'

#: keeps the lock of an image, and writes to it
_WRITER = """
import sys
import rados
import rbd

cluster = rados.Rados(conffile=sys.argv[1])
cluster.connect()
image = rbd.Image(cluster.open_ioctx(sys.argv[2]), sys.argv[3])
image.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)
print('holds it', flush=True)
number = 0
for line in sys.stdin:
    image.write(b'%08d' % number, 4096)
    number += 1
    print(number, image.is_exclusive_lock_owner(), flush=True)
"""


class RBDTestCase(conformance.Refusals, base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.pool = self.useFixture(ceph.Pool())
        self.driver = self.pool.driver()

    def volume(self, *names, size=units.Gi, **options):
        """An image with snapshots, each of which has data of its own."""
        volume = conformance.volume_row()
        self.pool.create(volume.name, size, **options)
        for name in names:
            self.take(volume, name)
        return volume

    def take(self, volume, name):
        with self.pool.open(volume.name) as image:
            image.write(name.encode() + b'\0', 0)
            image.create_snap(name)

    def data(self, image, name=None):
        with self.pool.open(image, read_only=True) as opened:
            opened.set_snap(name)
            return hashlib.sha256(opened.read(0, units.Mi)).hexdigest()

    def scan(self):
        """(image, name) → its entry."""
        return {(entry.source_reference['source-name'],
                 entry.reference['source-name']): entry
                for entry in self.driver.scan([]) if not entry.is_unread}

    def unread(self):
        """Image → why it could not be read."""
        return {entry.source_reference['source-name']: entry.reason_not_safe
                for entry in self.driver.scan([]) if entry.is_unread}

    def adopt(self, volume, ref):
        """Adopt, and check that this snapshot was renamed and no other."""
        before = self.pool.snapshots(volume.name)
        row = conformance.snapshot_row(volume)
        self.driver.manage_existing_snapshot_get_size(row, ref)
        self.driver.manage_existing_snapshot(row, ref)
        name = ref['source-name']
        self.assertEqual(
            {row.name if old == name else old: number
             for old, number in before.items()},
            self.pool.snapshots(volume.name))
        self.assertTrue(self.driver.is_adopted(row))
        return row

    def assertNotSafe(self, volume, name, reason):
        """It is listed as not safe, and cannot be adopted, for one reason."""
        entry = self.scan()[volume.name, name]
        self.assertEqual((False, reason),
                         (entry.safe_to_manage, entry.reason_not_safe))
        self.assertNotAdoptable(volume, entry.reference, reason)

    def assertSafe(self, volume, name, extra_info=None):
        """It is listed as safe, and is adopted."""
        before = self.data(volume.name, name)
        entry = self.scan()[volume.name, name]
        self.assertEqual((True, None, extra_info), (
            entry.safe_to_manage, entry.reason_not_safe, entry.extra_info))
        row = self.adopt(volume, entry.reference)
        self.assertEqual(before, self.data(volume.name, row.name))
        return row


class TestSnapshots(RBDTestCase):
    """Which snapshots are safe to manage, and that it is true."""

    def test_protected(self):
        volume = self.volume('snap')
        with self.pool.open(volume.name) as image:
            image.protect_snap('snap')
        row = self.assertSafe(volume, 'snap', {'protected': 'true'})
        with self.pool.open(volume.name) as image:
            self.assertTrue(image.is_protected_snap(row.name))

    def test_with_clones(self):
        for clone_format in (1, 2):
            volume = self.volume('snap', 'other')
            if clone_format == 1:
                with self.pool.open(volume.name) as image:
                    image.protect_snap('snap')
            clone = f'clone-{volume.id}'
            self.pool.clone(volume.name, 'snap', clone, clone_format)
            before = self.data(volume.name), self.data(clone)
            extra = {'clones': '1'}
            if clone_format == 1:
                extra['protected'] = 'true'
            row = self.assertSafe(volume, 'snap', extra)
            self.assertEqual(before, (self.data(volume.name),
                                      self.data(clone)))
            with self.pool.open(clone) as image:
                self.assertEqual((self.pool.name, volume.name, row.name),
                                 image.parent_info())
                image.write(b'still writable', 0)
            self.assertSafe(volume, 'other')

    def test_deleted_while_it_has_clones(self):
        volume = self.volume('snap')
        self.pool.clone(volume.name, 'snap', 'clone', 2)
        with self.pool.open(volume.name) as image:
            image.remove_snap('snap')
            (left,) = image.list_snaps()
        self.assertNotSafe(volume, left['name'], TRASH)
        self.assertNotAdoptable(volume, {'source-name': left['name']},
                                'its image has no such snapshot')

    def test_of_a_group(self):
        volume = self.volume('mine')
        rbd.RBD().group_create(self.pool.ioctx, 'group')
        group = rbd.Group(self.pool.ioctx, 'group')
        group.add_image(self.pool.ioctx, volume.name)
        group.create_snap('of-group')
        (name,) = set(self.pool.snapshots(volume.name)) - {'mine'}
        self.assertNotSafe(volume, name, GROUP)
        self.assertSafe(volume, 'mine')
        self.assertEqual(['of-group'],
                         [each['name'] for each in group.list_snaps()])

    def test_of_a_mirror(self):
        rbd.RBD().mirror_mode_set(
            self.pool.ioctx, rbd.RBD_MIRROR_MODE_IMAGE)
        volume = self.volume('one', 'two')
        with self.pool.open(volume.name) as image:
            image.mirror_image_enable(rbd.RBD_MIRROR_IMAGE_MODE_SNAPSHOT)
        (name,) = set(self.pool.snapshots(volume.name)) - {'one', 'two'}
        self.assertNotSafe(volume, name, MIRROR)
        row = self.assertSafe(volume, 'one')
        with self.pool.open(volume.name) as image:
            image.mirror_image_demote()
        self.assertNotSafe(volume, 'two', NOT_PRIMARY)
        self.driver.unmanage_snapshot(row)
        self.assertTrue(self.driver.is_adopted(row))

    def test_of_a_mirror_by_journal(self):
        rbd.RBD().mirror_mode_set(
            self.pool.ioctx, rbd.RBD_MIRROR_MODE_IMAGE)
        volume = self.volume(
            'one', 'two', 'three', features=rbd.RBD_FEATURE_EXCLUSIVE_LOCK
            | rbd.RBD_FEATURE_JOURNALING)
        self.assertSafe(volume, 'one')
        with self.pool.open(volume.name) as image:
            image.mirror_image_enable(rbd.RBD_MIRROR_IMAGE_MODE_JOURNAL)
        self.assertSafe(volume, 'two')
        with self.pool.open(volume.name) as image:
            image.mirror_image_demote()
        self.assertNotSafe(volume, 'three', NOT_PRIMARY)

    def test_of_an_image_that_is_migrated(self):
        volume = self.volume('snap')
        api = rbd.RBD()
        api.rename(self.pool.ioctx, volume.name, 'elsewhere')
        api.migration_prepare(self.pool.ioctx, 'elsewhere',
                              self.pool.ioctx, volume.name)
        self.assertEqual({(volume.name, 'snap')}, set(self.scan()))
        self.assertNotSafe(volume, 'snap', MIGRATING)
        api.migration_execute(self.pool.ioctx, volume.name)
        self.assertNotSafe(volume, 'snap', MIGRATING)
        api.migration_commit(self.pool.ioctx, volume.name)
        self.assertSafe(volume, 'snap')

    def test_of_an_image_that_somebody_writes_to(self):
        volume = self.volume('snap')
        with subprocess.Popen(
                [sys.executable, '-c', _WRITER, self.pool.conf,
                 self.pool.name, volume.name], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True, bufsize=1) as writer:
            self.addCleanup(writer.kill)
            self.assertEqual('holds it\n', writer.stdout.readline())

            def write():
                print('more', file=writer.stdin)
                return writer.stdout.readline().split()

            self.assertEqual(['1', 'True'], write())
            self.assertSafe(volume, 'snap')
            self.assertEqual(['2', 'True'], write())
            writer.stdin.close()
            self.assertEqual(0, writer.wait(60))

    def test_of_the_older_format(self):
        volume = conformance.volume_row()
        rbd.RBD().create(self.pool.ioctx, volume.name, units.Gi,
                         old_format=True)
        self.take(volume, 'snap')
        self.assertSafe(volume, 'snap')

    def test_of_an_image_that_was_resized_since(self):
        volume = self.volume('small')
        with self.pool.open(volume.name) as image:
            image.resize(3 * units.Gi)
        self.take(volume, 'large')
        with self.pool.open(volume.name) as image:
            image.resize(units.Gi + 1)
        self.take(volume, 'shrunk')
        self.assertEqual(
            {'small': 1, 'large': 3, 'shrunk': 2},
            {name: entry.size for (_image, name), entry
             in self.scan().items()})
        for name in ('small', 'large', 'shrunk'):
            self.assertSafe(volume, name)

    def test_a_name_that_is_not_text(self):
        volume = self.volume('text')
        with self.pool.open(volume.name) as image:
            image.create_snap(b'not \xff')
            number = image.snap_get_id(b'not \xff')
        entry = self.scan()[volume.name, 'not \\xff']
        self.assertEqual({'source-name': 'not \\xff',
                          'source-id': f'{volume.name}@{number}'},
                         entry.reference)
        self.assertEqual(1, entry.size)
        self.assertNotAdoptable(volume, {'source-name': 'not \\xff'},
                                'its image has no such snapshot')
        self.assertIn((volume.name, 'text'), self.scan())
        row = conformance.snapshot_row(volume)
        self.driver.manage_existing_snapshot(row, entry.reference)
        self.assertEqual(number, self.pool.snapshots(volume.name)[row.name])

    def test_what_cinder_has_taken_for_itself(self):
        volume = self.volume('x.clone_snap', 'backup.1.snap.2', 'mine')
        self.assertNotSafe(volume, 'x.clone_snap', 'used for clone snap')
        self.assertNotSafe(volume, 'backup.1.snap.2',
                           'used for volume backup')
        self.assertSafe(volume, 'mine')

    def test_without_a_name(self):
        volume = self.volume('')
        entry = self.scan()[volume.name, '']
        self.assertEqual('it has no name', entry.reason_not_safe)
        self.assertNotAdoptable(
            volume, {'source-id': entry.reference['source-id']},
            'it has no name')


class TestScan(RBDTestCase):

    def test_names_that_repeat(self):
        names = [f'daily-{number}' for number in range(10)]
        volumes = {row.name: row for row in (
            self.volume(*names, size=units.Mi) for _number in range(40))}
        entries = list(self.driver.scan([]))
        listed = [(entry.source_reference['source-name'],
                   entry.reference['source-name']) for entry in entries]
        self.assertCountEqual(
            [(volume, name) for volume in volumes for name in names], listed)
        for entry in random.sample(entries, 20):
            volume = volumes[entry.source_reference['source-name']]
            before = self.data(volume.name, entry.reference['source-name'])
            row = self.adopt(volume, entry.reference)
            self.assertEqual(before, self.data(volume.name, row.name))

    def meanwhile(self, change):
        """Change the pool after its images were listed for the first time."""
        directory = rbd_scan.directory
        todo = [change]

        def late(pool):
            found = directory(pool)
            while todo:
                todo.pop()()
            return found

        return mock.patch.object(rbd_scan, 'directory', late)

    def test_an_image_that_is_removed_meanwhile(self):
        volumes = [self.volume('snap') for _number in range(3)]

        def remove():
            with self.pool.open(volumes[0].name) as image:
                image.remove_snap('snap')
            rbd.RBD().remove(self.pool.ioctx, volumes[0].name)

        with self.meanwhile(remove):
            entries = list(self.driver.scan([]))
        self.assertEqual(
            {each.name for each in volumes[1:]},
            {entry.source_reference['source-name'] for entry in entries})
        self.assertEqual('', self.log.output)

    def test_an_image_that_is_renamed_meanwhile(self):
        volume = self.volume('snap')
        with self.meanwhile(lambda: rbd.RBD().rename(
                self.pool.ioctx, volume.name, 'after')):
            self.assertEqual({('after', 'snap')}, set(self.scan()))

    def test_images_that_are_broken(self):
        volumes = [self.volume('snap') for _number in range(3)]
        with self.pool.open(volumes[0].name) as image:
            header = f'rbd_header.{image.id()}'
        self.pool.ioctx.remove_object(header)
        self.pool.ioctx.write_full(f'rbd_id.{volumes[1].name}', b'junk')
        self.assertEqual({(volumes[2].name, 'snap')}, set(self.scan()))
        self.assertIn('could not be read: 2. ', self.log.output)
        unread = self.unread()
        self.assertEqual({each.name for each in volumes[:2]}, set(unread))
        for volume in volumes[:2]:
            self.assertIn(volume.name, self.log.output)
            self.assertRegex(unread[volume.name], 'broken|cannot be opened')
            row = conformance.snapshot_row(volume)
            error = self.assertRaises(
                exception.ManageExistingInvalidReference,
                self.driver.manage_existing_snapshot, row, 'snap')
            self.assertRegex(error.reason, 'broken|cannot be opened')
            self.assertFalse(self.driver.is_adopted(row))

    def test_images_whose_names_are_not_text(self):
        volume = self.volume('snap')
        for image in (b'not \xff', b'100% line\nbreak \xfe'):
            rbd.RBD().create(self.pool.ioctx, image, units.Gi,
                             old_format=False)
            with rbd.Image(self.pool.ioctx, image) as opened:
                opened.create_snap('snap')
        listed = self.scan()
        self.assertEqual(
            {(volume.name, 'snap'), ('not \\xff', 'snap'),
             ('100% line\nbreak \\xfe', 'snap')}, set(listed))
        self.assertRegex(
            listed['100% line\nbreak \\xfe', 'snap'].reference['source-id'],
            '^100%25 line%0Abreak %FE@[0-9]+$')
        self.assertEqual('snap', self.driver.managed_name({
            'source-id': listed['not \\xff', 'snap'].reference['source-id']}))

    def test_the_trash_is_not_listed(self):
        volume = self.volume('snap')
        rbd.RBD().trash_move(self.pool.ioctx, volume.name, 0)
        self.assertEqual({}, self.scan())
        self.assertNotAdoptable(volume, 'snap', 'its image is gone or broken')

    def test_a_namespace(self):
        self.volume('outside')
        rbd.RBD().namespace_create(self.pool.ioctx, 'mine')
        self.driver = self.pool.driver(rbd_namespace='mine')
        self.assertEqual({}, self.scan())
        self.pool.ioctx.set_namespace('mine')
        volume = self.volume('inside')
        self.assertEqual({(volume.name, 'inside')}, set(self.scan()))
        self.assertSafe(volume, 'inside')

    def test_the_pool_is_named_as_cinder_does(self):
        volume = self.volume('snap')
        self.assertEqual('images', self.scan()[volume.name, 'snap'].pool)
        self.driver = self.pool.driver(volume_backend_name='fast')
        self.assertEqual('fast', self.scan()[volume.name, 'snap'].pool)


class TestRaces(RBDTestCase):
    """What somebody else does between the look-up and the rename."""

    def meanwhile(self, *renames):
        """Rename, past the driver, right before it does."""
        rename = rbd_images.rename
        todo = list(renames)

        def late(image, old, new):
            with self.pool.open(self.mine.name) as opened:
                while todo:
                    opened.rename_snap(*todo.pop(0))
            rename(image, old, new)

        return mock.patch.object(rbd_images, 'rename', late)

    def setUp(self):
        super().setUp()
        self.mine = self.volume('wanted', 'other')
        self.row = conformance.snapshot_row(self.mine)
        self.before = self.pool.snapshots(self.mine.name)

    def assertRefused(self, reason):
        error = self.assertRaises(
            exception.ManageExistingInvalidReference,
            self.driver.manage_existing_snapshot, self.row, 'wanted')
        self.assertEqual(reason, error.reason)

    def test_it_is_renamed(self):
        with self.meanwhile((b'wanted', b'renamed')):
            self.assertRefused('it has just been renamed or deleted')
        self.assertEqual({'renamed': self.before['wanted'],
                          'other': self.before['other']},
                         self.pool.snapshots(self.mine.name))

    def test_another_one_has_its_name(self):
        with self.meanwhile((b'wanted', b'renamed'), (b'other', b'wanted')):
            self.assertRefused('it has just been renamed or deleted')
        self.assertEqual({'renamed': self.before['wanted'],
                          'wanted': self.before['other']},
                         self.pool.snapshots(self.mine.name))

    def test_another_one_has_the_new_name(self):
        with self.meanwhile((b'other', self.row.name.encode())):
            self.assertRaises(
                exception.ManageExistingAlreadyManaged,
                self.driver.manage_existing_snapshot, self.row, 'wanted')
        self.assertEqual({'wanted': self.before['wanted'],
                          self.row.name: self.before['other']},
                         self.pool.snapshots(self.mine.name))

    def test_other_snapshots_come_and_go(self):
        names = [f'wanted-{number}' for number in range(20)]
        for name in names:
            self.take(self.mine, name)
        ended, went = threading.Event(), []

        def come_and_go():
            with self.pool.open(self.mine.name) as image:
                while not ended.is_set():
                    image.create_snap('passing')
                    image.remove_snap('passing')
                    went.append(1)

        thread = threading.Thread(target=come_and_go)
        thread.start()
        self.addCleanup(thread.join, 60)
        self.addCleanup(ended.set)
        for name in names:
            row = conformance.snapshot_row(self.mine)
            self.driver.manage_existing_snapshot_get_size(row, name)
            self.driver.manage_existing_snapshot(row, name)
            self.assertTrue(self.driver.is_adopted(row))
            self.assertTrue(any(self.scan()))
        self.assertTrue(went)

    def lock(self, seconds):
        with self.pool.open(self.mine.name) as image:
            self.pool.ioctx.lock_exclusive(
                f'rbd_header.{image.id()}', 'manageable-snapshots', 'dead',
                'adopting', seconds)

    def test_the_lock_of_a_worker_that_died_ends(self):
        self.lock(2)
        self.driver.manage_existing_snapshot(self.row, 'wanted')
        self.assertTrue(self.driver.is_adopted(self.row))

    def test_a_lock_that_somebody_keeps(self):
        self.lock(60)
        self.driver = self.pool.driver(rbd_op_timeout=1)
        error = self.assertRaises(
            exception.ServiceUnavailable,
            self.driver.manage_existing_snapshot, self.row, 'wanted')
        self.assertEqual(
            'Another adoption on backend images holds the lock of image '
            f'{self.mine.name}.', error.msg)
        self.assertEqual(self.before, self.pool.snapshots(self.mine.name))


class TestOutages(RBDTestCase):

    def setUp(self):
        super().setUp()
        self.driver = self.pool.driver(rbd_op_timeout=2)

    def test_an_osd_hangs(self):
        volumes = [self.volume('snap') for _number in range(20)]
        row = conformance.snapshot_row(volumes[0])
        self.assertEqual(20, len(self.scan()))
        before = self.data(volumes[0].name, 'snap')
        with self.pool.stopped_osd():
            started = time.monotonic()
            error = self.assertRaises(exception.BackendTimeout, self.scan)
            self.assertEqual('The backend images did not answer within 2 '
                             'seconds.', error.msg)
            for function, *args in (
                    (self.driver.manage_existing_snapshot_get_size, row,
                     'snap'),
                    (self.driver.manage_existing_snapshot, row, 'snap'),
                    (self.driver.is_adopted, row)):
                error = self.assertRaises(
                    exception.ServiceUnavailable, function, *args)
                self.assertEqual('Ceph does not answer backend images within '
                                 '2 seconds.', error.msg)
            self.assertLess(time.monotonic() - started, 20)
        self.assertEqual(20, len(self.scan()))
        self.driver.manage_existing_snapshot(row, 'snap')
        self.assertEqual(before, self.data(volumes[0].name, row.name))

    def test_an_osd_hangs_in_the_midst_of_a_scan(self):
        for _number in range(40):
            self.volume('snap', size=units.Mi)
        with contextlib.ExitStack() as stack:
            directory = rbd_scan.directory
            todo = [self.pool.stopped_osd()]

            def stop(pool):
                found = directory(pool)
                while todo:
                    stack.enter_context(todo.pop())
                return found

            started = time.monotonic()
            with mock.patch.object(rbd_scan, 'directory', stop):
                self.assertRaises(exception.BackendTimeout, self.scan)
            # Not once for each image.
            self.assertLess(time.monotonic() - started, 15)

    def until_apart(self, make, is_apart):
        """Make things until there are some of either kind."""
        made = {True: [], False: []}
        while not (made[True] and made[False]):
            each = make()
            made[is_apart(each)].append(each)
        return made[True], made[False]

    def use_pool(self, is_wanted):
        """Use a pool whose own objects are on such OSDs; return these."""
        while not (self.pool.is_spread()
                   and is_wanted(*self.pool.own_osds())):
            self.pool = self.useFixture(ceph.Pool())
            self.driver = self.pool.driver(rbd_op_timeout=2)
        return self.pool.own_osds()

    def test_one_of_two_osds_hangs(self):
        working, _same = self.use_pool(operator.eq)
        readable, unreadable = self.until_apart(
            lambda: self.volume('snap', size=units.Mi),
            lambda volume: self.pool.osds(volume.name) == {working})
        with self.pool.stopped_osd(1 - working):
            started = time.monotonic()
            entries = list(self.driver.scan([]))
            self.assertLess(time.monotonic() - started, 15)
        self.assertEqual(
            {volume.name: (True, None) for volume in readable} | {
                volume.name: (False, 'its image cannot be read: Ceph does '
                                     'not answer in time')
                for volume in unreadable},
            {entry.source_reference['source-name']: (
                entry.safe_to_manage, entry.reason_not_safe)
             for entry in entries})
        self.assertEqual(len(entries), len({
            json.dumps(entry.reference) for entry in entries}))
        self.assertIn(f'could not be read: {len(unreadable)}. ',
                      self.log.output)
        self.assertEqual({}, self.unread())

    def test_a_parent_does_not_answer(self):
        working, _same = self.use_pool(operator.eq)
        parents, _others = self.until_apart(
            lambda: self.volume('snap', size=units.Mi),
            lambda volume: self.pool.osds(volume.name) == {1 - working})
        clones = iter(range(1000))

        def clone():
            name = f'clone-{next(clones)}'
            self.pool.clone(parents[0].name, 'snap', name, 2)
            return conformance.Row(name=name)

        found, _others = self.until_apart(
            clone, lambda volume: self.pool.osds(volume.name) == {working})
        with self.pool.stopped_osd(1 - working):
            unread = self.unread()
        self.assertLessEqual({each.name for each in found}, set(unread))

    def test_no_image_of_a_pool_can_be_opened(self):
        _directory, info = self.use_pool(operator.ne)
        volumes = [self.volume('snap', size=units.Mi)
                   for _number in range(20)]
        with self.pool.stopped_osd(info):
            started = time.monotonic()
            self.assertEqual({volume.name for volume in volumes},
                             set(self.unread()))
            self.assertLess(time.monotonic() - started, 10)
        self.assertEqual(20, len(self.scan()))

    def test_a_rename_whose_answer_is_lost(self):
        volume = self.volume('snap', 'other')
        row = conformance.snapshot_row(volume)
        before = self.pool.snapshots(volume.name)
        rename = rbd_images.rename
        with contextlib.ExitStack() as stack:
            def late(image, old, new):
                stack.enter_context(self.pool.stopped_osd())
                rename(image, old, new)

            with mock.patch.object(rbd_images, 'rename', late):
                self.assertRaises(
                    exception.ServiceUnavailable,
                    self.driver.manage_existing_snapshot, row, 'snap')
        # The OSD does it all the same.
        self.assertTrue(self.driver.is_adopted(row))
        self.assertEqual(
            {row.name: before['snap'], 'other': before['other']},
            self.pool.snapshots(volume.name))

    def test_ceph_shuts_us_out(self):
        volume = self.volume('snap')
        self.assertEqual(1, len(self.scan()))
        self.pool.ceph('osd', 'blocklist', 'add',
                       self.driver._connection.handle.get_addrs())
        row = conformance.snapshot_row(volume)
        with fixtures.Timeout(60, gentle=True):
            while 'connecting again' not in self.log.output:
                self.driver.is_adopted(row)
        self.driver.manage_existing_snapshot(row, 'snap')
        self.assertTrue(self.driver.is_adopted(row))

    def test_the_monitors_are_away(self):
        error = self.assertRaises(
            exception.ServiceUnavailable, self.pool.driver, rbd_op_timeout=1,
            rbd_ceph_conf=self.pool.conf_elsewhere())
        self.assertEqual('Ceph does not answer backend images within 1 '
                         'seconds.', error.msg)


class TestSetup(RBDTestCase):

    def assertMisconfigured(self, option, reason, **options):
        error = self.assertRaises(
            exception.ConfigurationError, self.pool.driver, **options)
        self.assertEqual(
            f'Option {option} in section [images]: {reason}', error.msg)

    def test_a_pool_that_is_not_there(self):
        self.assertMisconfigured('rbd_pool', 'there is no pool nope',
                                 rbd_pool='nope')

    def test_a_namespace_that_is_not_there(self):
        self.assertMisconfigured(
            'rbd_namespace', f'pool {self.pool.name} has no namespace nope',
            rbd_namespace='nope')

    def test_a_configuration_file_that_is_not_there(self):
        self.assertMisconfigured(
            'rbd_ceph_conf', 'cannot connect to Ceph: [errno 2] RADOS object '
            'not found (error calling conf_read_file)',
            rbd_ceph_conf='/nonexistent/ceph.conf')


class TestVolumes(RBDTestCase):
    """What the service needs where it runs on its own."""

    def test_volumes_and_snapshots(self):
        volume = conformance.volume_row(2)
        row = conformance.snapshot_row(volume)
        self.driver.create_volume(volume)
        self.assertRaises(exception.InvalidVolume,
                          self.driver.create_volume, volume)
        self.driver.create_snapshot(row)
        self.assertRaises(exception.InvalidSnapshot,
                          self.driver.create_snapshot, row)
        self.assertEqual(2, self.scan()[volume.name, row.name].size)
        error = self.assertRaises(exception.InvalidVolume,
                                  self.driver.delete_volume, volume)
        self.assertEqual('Invalid volume: it has snapshots', error.msg)
        for _twice in range(2):
            self.driver.delete_snapshot(row)
        for _twice in range(2):
            self.driver.delete_volume(volume)
        self.assertEqual([], rbd.RBD().list(self.pool.ioctx))
        self.assertRaises(exception.InvalidVolume,
                          self.driver.create_snapshot, row)

    def test_a_protected_snapshot_is_deleted(self):
        volume = self.volume('snap', 'other')
        with self.pool.open(volume.name) as image:
            image.protect_snap('snap')
        row = self.adopt(volume, {'source-name': 'snap'})
        self.driver.delete_snapshot(row)
        self.assertEqual({'other'}, set(self.pool.snapshots(volume.name)))

    def test_a_snapshot_that_has_clones_is_kept(self):
        volume = self.volume('snap')
        row = self.adopt(volume, {'source-name': 'snap'})
        self.pool.clone(volume.name, row.name, 'clone', 2)
        error = self.assertRaises(exception.InvalidSnapshot,
                                  self.driver.delete_snapshot, row)
        self.assertEqual('Invalid snapshot: it has clones', error.msg)
        self.assertEqual({row.name}, set(self.pool.snapshots(volume.name)))

    def test_a_volume_that_is_in_use_is_kept(self):
        volume = self.volume()
        with self.pool.open(volume.name):
            error = self.assertRaises(exception.InvalidVolume,
                                      self.driver.delete_volume, volume)
        self.assertEqual('Invalid volume: it is in use', error.msg)

    def test_stats(self):
        stats = self.driver.get_volume_stats()
        self.assertEqual('images', stats['volume_backend_name'])
        self.assertEqual('ceph', stats['storage_protocol'])
        # Of this the manager keeps count, and there is none.
        self.assertEqual('unknown', stats['free_capacity_gb'])
