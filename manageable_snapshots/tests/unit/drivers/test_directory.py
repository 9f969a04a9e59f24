# SPDX-License-Identifier: Apache-2.0

"""The directory driver, beyond what every driver must do."""

from concurrent import futures
import contextlib
import ctypes
import errno
import fcntl
import os
import pathlib
import socket
from unittest import mock

import fixtures
import hypothesis
from hypothesis import strategies
from oslo_utils import units
from oslotest import base as test_base

from manageable_snapshots import conf as configuration
from manageable_snapshots.drivers import directory
from manageable_snapshots.drivers import loader
from manageable_snapshots import exception
from manageable_snapshots.tests.drivers import conformance

FILE_NAMES = strategies.binary(min_size=1, max_size=255).filter(
    lambda name: not {b'/', b'\0'} & {bytes([byte]) for byte in name}
    and name not in (b'.', b'..')) | strategies.text(
        min_size=1, max_size=60).map(str.encode).filter(
            lambda name: b'/' not in name and b'\0' not in name
            and name not in (b'.', b'..'))


def new_driver(path=None, **options):
    conf = configuration.new()
    loader.register_options(conf, 'pictures')
    if path is not None:
        conf.set_override('directory_path', str(path), 'pictures')
    for name, value in options.items():
        conf.set_override(name, value)
    conf([], default_config_files=[])
    return directory.DirectoryDriver(conf, 'pictures')


class DirectoryTestCase(conformance.Refusals, test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.outside = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.path = self.outside / 'pictures'
        self.driver = new_driver(self.path)
        self.driver.do_setup(None)
        self.driver.check_for_setup_error()

    def volume(self, *names, size=1):
        """A volume with snapshots that somebody has put there."""
        volume = conformance.volume_row(size)
        self.driver.create_volume(volume)
        for name in names:
            self.file(volume, name).write_text(name)
        return volume

    def file(self, volume, name=None):
        if name is None:
            return self.path / 'volumes' / volume.name
        return self.path / 'snapshots' / volume.name / name

    def scan(self):
        return {entry.reference['source-name']: entry
                for entry in self.driver.scan([])}


class TestSetup(DirectoryTestCase):

    def assertMisconfigured(self, reason, driver):
        error = self.assertRaises(exception.ConfigurationError, lambda: (
            driver.do_setup(None), driver.check_for_setup_error()))
        self.assertEqual(
            'Option directory_path in section [pictures]: cannot use '
            f'{driver._path}: {reason}', error.msg)

    def test_the_folders_are_made(self):
        self.assertEqual({'volumes', 'snapshots', 'tmp'},
                         set(os.listdir(self.path)))
        self.assertEqual([], os.listdir(self.path / 'tmp'))

    def test_by_default_below_the_state_path(self):
        driver = new_driver(state_path=str(self.outside / 'state'))
        driver.do_setup(None)
        driver.check_for_setup_error()
        self.assertTrue((self.outside / 'state/pictures/volumes').is_dir())

    def test_set_up_again_keeps_everything(self):
        volume = self.volume('snap')
        self.driver.do_setup(None)
        self.assertTrue(self.file(volume).exists())
        self.assertEqual({'snap'}, set(self.scan()))

    def test_while_another_worker_starts_and_cleans_up(self):
        other = new_driver(self.path)
        fsync = os.fsync

        def meanwhile(file):
            fsync(file)
            other.do_setup(None)

        with mock.patch.object(os, 'fsync', meanwhile):
            self.driver.check_for_setup_error()
        self.assertEqual([], os.listdir(self.path / 'tmp'))

    def test_a_path_that_leads_through_a_file(self):
        (self.outside / 'file').touch()
        self.assertMisconfigured('Not a directory', new_driver(
            self.outside / 'file' / 'pictures'))

    def test_a_folder_that_is_a_symbolic_link(self):
        (self.path / 'snapshots').rmdir()
        (self.path / 'snapshots').symlink_to(self.outside)
        self.assertMisconfigured('Not a directory', self.driver)

    def test_a_folder_that_cannot_be_written_to(self):
        # Asked instead of tried: root may write where others may not.
        with mock.patch.object(os, 'access', return_value=False):
            self.assertMisconfigured('Permission denied', self.driver)

    def test_a_file_system_that_cannot_rename_without_overwriting(self):
        def renameat2(*args):
            ctypes.set_errno(errno.EINVAL)
            return -1

        with mock.patch.object(directory, '_LIBC', renameat2=renameat2):
            self.assertMisconfigured(
                'the file system cannot rename without overwriting',
                self.driver)
        self.assertEqual([], os.listdir(self.path / 'tmp'))

    def test_a_c_library_that_cannot(self):
        with mock.patch.object(directory, '_LIBC', object()):
            self.assertMisconfigured(
                'the C library has no renameat2', self.driver)

    def test_templates_that_make_no_name_of_a_file(self):
        for option, template in (('volume_name_template', 'a/%s'),
                                 ('volume_name_template', 'constant'),
                                 ('snapshot_name_template', '%s' + 'x' * 220),
                                 ('snapshot_name_template', '../%s')):
            driver = new_driver(self.path, **{option: template})
            error = self.assertRaises(exception.ConfigurationError,
                                      driver.check_for_setup_error)
            self.assertTrue(error.msg.startswith(
                f'Option {option} in section [DEFAULT]: it makes no name of '
                'a file: '), error.msg)

    def test_what_a_crash_left_is_removed(self):
        (self.path / 'tmp' / 'left').touch()
        (self.path / 'tmp' / 'folder').mkdir()
        self.driver.do_setup(None)
        self.assertEqual(['folder'], os.listdir(self.path / 'tmp'))

    def test_what_another_worker_is_making_is_not(self):
        volume = self.volume()
        row = conformance.snapshot_row(volume)

        def copy(source, target):
            new_driver(self.path).do_setup(None)

        with mock.patch.object(directory, '_copy', copy):
            self.driver.create_snapshot(row)
        self.assertTrue(self.file(volume, row.name).exists())


class TestVolumes(DirectoryTestCase):

    def test_a_new_volume_is_large_and_takes_no_space(self):
        volume = self.volume(size=3)
        status = self.file(volume).stat()
        self.assertEqual(3 * units.Gi, status.st_size)
        self.assertEqual(0, status.st_blocks)

    def test_a_volume_is_not_overwritten(self):
        volume = self.volume()
        self.file(volume).write_text('data')
        self.assertRaises(exception.InvalidVolume, self.driver.create_volume,
                          volume)
        self.assertEqual('data', self.file(volume).read_text())
        self.assertEqual([], os.listdir(self.path / 'tmp'))

    def test_deleting_takes_just_that_volume(self):
        volume, other = self.volume(), self.volume('snap')
        self.driver.delete_volume(volume)
        self.driver.delete_volume(volume)
        self.assertEqual([other.name], os.listdir(self.path / 'volumes'))
        self.assertEqual([other.name], os.listdir(self.path / 'snapshots'))

    def test_foreign_snapshots_outlive_their_volume(self):
        volume = self.volume('snap')
        self.driver.delete_volume(volume)
        self.assertIn('there are snapshots left', self.log.output)
        entry = self.scan()['snap']
        self.assertFalse(entry.safe_to_manage)
        self.assertEqual('its volume is not on the backend',
                         entry.reason_not_safe)
        self.assertNotAdoptable(volume, entry.reference,
                                'its volume is not on the backend')
        self.assertEqual('snap', self.file(volume, 'snap').read_text())

    def test_an_error_of_the_file_system_is_the_backends(self):
        with mock.patch.object(os, 'rmdir', side_effect=OSError(
                errno.EIO, os.strerror(errno.EIO), '/srv/secret')):
            error = self.assertRaises(
                exception.ServiceUnavailable, self.driver.delete_volume,
                self.volume())
        self.assertEqual('The folder of backend pictures is in trouble: '
                         'Input/output error.', error.msg)


class TestSnapshots(DirectoryTestCase):

    def written_volume(self):
        """A volume with data at its beginning, in its midst, at its end."""
        volume = self.volume(size=2)
        with self.file(volume).open('r+b') as file:
            for place in (0, units.Gi, 2 * units.Gi - 5):
                file.seek(place)
                file.write(b'data!')
        return volume

    def assertCopied(self, volume, name):
        copy, original = self.file(volume, name), self.file(volume)
        self.assertEqual(2 * units.Gi, copy.stat().st_size)
        self.assertLess(copy.stat().st_blocks * 512, units.Mi)
        with copy.open('rb') as one, original.open('rb') as other:
            for place in (0, units.Gi - 100, 2 * units.Gi - 100):
                one.seek(place)
                other.seek(place)
                self.assertEqual(other.read(200), one.read(200))

    def test_a_snapshot_is_what_the_volume_was(self):
        volume = self.written_volume()
        row = conformance.snapshot_row(volume)
        self.driver.create_snapshot(row)
        self.assertTrue(self.driver.is_adopted(row))
        self.assertCopied(volume, row.name)
        self.assertEqual([], os.listdir(self.path / 'tmp'))

    def test_of_a_file_system_that_cannot_clone(self):
        volume = self.written_volume()
        row = conformance.snapshot_row(volume)
        with mock.patch.object(fcntl, 'ioctl', side_effect=OSError(
                errno.EOPNOTSUPP, 'no')):
            self.driver.create_snapshot(row)
        self.assertCopied(volume, row.name)

    def test_of_a_file_system_that_can(self):
        volume = self.written_volume()
        row = conformance.snapshot_row(volume)
        with mock.patch.object(fcntl, 'ioctl') as clone:
            self.driver.create_snapshot(row)
        clone.assert_called_once_with(mock.ANY, 0x40049409, mock.ANY)
        self.assertTrue(self.file(volume, row.name).exists())

    def test_of_an_empty_volume(self):
        volume = self.volume()
        row = conformance.snapshot_row(volume)
        self.driver.create_snapshot(row)
        status = self.file(volume, row.name).stat()
        self.assertEqual((units.Gi, 0), (status.st_size, status.st_blocks))

    def test_of_a_volume_that_shrinks_meanwhile(self):
        volume = self.volume()
        self.file(volume).write_bytes(b'data')
        row = conformance.snapshot_row(volume)
        with mock.patch.object(os, 'sendfile', return_value=0), \
                mock.patch.object(fcntl, 'ioctl', side_effect=OSError):
            self.driver.create_snapshot(row)
        self.assertEqual(4, self.file(volume, row.name).stat().st_size)

    def test_a_snapshot_is_not_overwritten(self):
        volume = self.volume()
        row = conformance.snapshot_row(volume)
        self.file(volume, row.name).write_text('data')
        self.assertRaises(exception.InvalidSnapshot,
                          self.driver.create_snapshot, row)
        self.assertEqual('data', self.file(volume, row.name).read_text())

    def test_half_a_copy_is_never_listed(self):
        volume = self.volume('snap')
        row = conformance.snapshot_row(volume)
        seen = []

        def copy(source, target):
            os.write(target, b'half')
            seen.append(set(self.scan()))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with mock.patch.object(directory, '_copy', copy):
            error = self.assertRaises(
                exception.ServiceUnavailable, self.driver.create_snapshot,
                row)
        self.assertIn('No space left on device', error.msg)
        self.assertEqual([{'snap'}], seen)
        self.assertEqual({'snap'}, set(self.scan()))
        self.assertEqual([], os.listdir(self.path / 'tmp'))

    def test_an_error_while_looking_for_data_is_one(self):
        volume = self.written_volume()
        row = conformance.snapshot_row(volume)
        with mock.patch.object(os, 'lseek', side_effect=OSError(
                errno.EIO, os.strerror(errno.EIO))), \
                mock.patch.object(fcntl, 'ioctl', side_effect=OSError):
            self.assertRaises(exception.ServiceUnavailable,
                              self.driver.create_snapshot, row)
        self.assertFalse(self.driver.is_adopted(row))

    def test_there_is_none_of_what_is_no_volume(self):
        volume = conformance.volume_row()
        row = conformance.snapshot_row(volume)
        self.assertRaises(exception.InvalidVolume,
                          self.driver.create_snapshot, row)
        (self.outside / 'secret').write_text('secret')
        self.file(volume).symlink_to(self.outside / 'secret')
        self.assertRaises(exception.InvalidVolume,
                          self.driver.create_snapshot, row)
        self.assertEqual([], os.listdir(self.path / 'snapshots'))

    def test_deleting_takes_just_that_snapshot(self):
        volume = self.volume('snap')
        row, other = (conformance.snapshot_row(volume) for _n in range(2))
        self.driver.create_snapshot(row)
        self.driver.create_snapshot(other)
        self.driver.delete_snapshot(row)
        self.driver.delete_snapshot(row)
        self.driver.delete_snapshot(
            conformance.snapshot_row(conformance.volume_row()))
        self.assertEqual({'snap', other.name}, set(self.scan()))
        self.assertTrue(self.file(volume).exists())

    def test_stats_are_in_the_form_of_cinders_drivers(self):
        stats = self.driver.get_volume_stats(refresh=True)
        self.assertEqual(
            ('pictures', 'file'),
            (stats['volume_backend_name'], stats['storage_protocol']))
        self.assertLess(0, stats['free_capacity_gb'])
        self.assertLessEqual(stats['free_capacity_gb'],
                             stats['total_capacity_gb'])


class TestForeignEntries(DirectoryTestCase):
    """What else somebody may put into the folders."""

    def test_what_is_no_file_is_listed_as_not_safe(self):
        volume = self.volume('snap')
        (self.outside / 'secret').write_text('secret')
        self.file(volume, 'link').symlink_to(self.outside / 'secret')
        self.file(volume, 'dangling').symlink_to('nowhere')
        self.file(volume, 'folder').mkdir()
        os.mkfifo(self.file(volume, 'pipe'))
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
            server.bind(str(self.file(volume, 'socket')))
        reasons = {'link': 'it is a symbolic link, not a file',
                   'dangling': 'it is a symbolic link, not a file',
                   'folder': 'it is a folder, not a file',
                   'pipe': 'it is a device, a pipe or a socket, not a file',
                   'socket': 'it is a device, a pipe or a socket, not a file'}
        entries = self.scan()
        self.assertEqual({'snap', *reasons}, set(entries))
        self.assertTrue(entries['snap'].safe_to_manage)
        for name, reason in reasons.items():
            self.assertEqual(
                (False, reason), (entries[name].safe_to_manage,
                                  entries[name].reason_not_safe))
            self.assertNotAdoptable(volume, entries[name].reference, reason)
        self.assertEqual({'snap', *reasons}, set(os.listdir(
            self.path / 'snapshots' / volume.name)))

    def test_what_is_no_file_is_not_adopted_already(self):
        volume = self.volume()
        row = conformance.snapshot_row(volume)
        self.file(volume, row.name).mkdir()
        self.assertFalse(self.driver.is_adopted(row))

    def test_a_link_in_place_of_a_folder_is_not_followed(self):
        volume = self.volume()
        (self.outside / 'secret').write_text('secret')
        folder = self.path / 'snapshots' / volume.name
        folder.rmdir()
        folder.symlink_to(self.outside)
        self.assertEqual({}, self.scan())
        self.assertIn(f'Leaving the snapshots of {volume.name} out of the '
                      'list: Not a directory', self.log.output)
        reason = f'volume {volume.name} has no such snapshot'
        self.assertNotAdoptable(volume, 'secret', reason)
        self.assertNotAdoptable(
            volume, {'source-id': f'{volume.name}/secret'}, reason)
        self.assertFalse(self.driver.is_adopted(
            conformance.snapshot_row(volume)))

    def test_a_volume_that_is_a_link_has_no_snapshots_to_adopt(self):
        volume = self.volume('snap')
        self.file(volume).unlink()
        self.file(volume).symlink_to(self.outside)
        reason = 'its volume is not a regular file'
        self.assertEqual(reason, self.scan()['snap'].reason_not_safe)
        self.assertNotAdoptable(volume, 'snap', reason)

    def test_a_file_beside_the_folders_is_left_out(self):
        self.volume('snap')
        (self.path / 'snapshots' / 'README').touch()
        self.assertEqual({'snap'}, set(self.scan()))
        self.assertIn('Leaving the snapshots of README out', self.log.output)

    def test_what_cannot_be_read_costs_itself(self):
        volume = self.volume('snap', 'gone')
        stat = os.stat

        def fail(path, **kwargs):
            if path == b'gone':
                raise FileNotFoundError(errno.ENOENT, 'No such file')
            return stat(path, **kwargs)

        with mock.patch.object(os, 'stat', fail):
            self.assertEqual({'snap'}, set(self.scan()))
        self.assertIn(f'Leaving snapshot {volume.name}/gone out of the list: '
                      'No such file', self.log.output)


class TestReferences(DirectoryTestCase):

    @hypothesis.settings(deadline=None, max_examples=100)
    @hypothesis.given(FILE_NAMES)
    def test_any_name_is_listed_and_adopted(self, name):
        volume = self.volume()
        folder = os.fsencode(self.file(volume, 'x').parent)
        with open(os.path.join(folder, name), 'xb') as file:
            file.write(name)
        (entry,) = [entry for entry in self.driver.scan([])
                    if entry.source_reference['source-name'] == volume.name]
        for text in entry.reference.values():
            text.encode('utf-8')
        row = conformance.snapshot_row(volume)
        self.driver.manage_existing_snapshot(row, entry.reference)
        self.assertEqual(name, self.file(volume, row.name).read_bytes())
        self.assertEqual([row.name.encode()], os.listdir(folder))

    @hypothesis.settings(deadline=None)
    @hypothesis.given(strategies.lists(FILE_NAMES, min_size=2, max_size=2,
                                       unique=True))
    def test_two_names_have_two_ids(self, names):
        ids = {directory._join(b'volume', name) for name in names}
        self.assertEqual(2, len(ids))
        self.assertEqual({(b'volume', name) for name in names},
                         set(map(directory._split, ids)))

    @hypothesis.settings(deadline=None)
    @hypothesis.given(strategies.text(
        strategies.sampled_from('./%02Fe\0\nvolume-') | strategies.characters(
            min_codepoint=1, max_codepoint=0x2ff)))
    def test_no_reference_leads_out_of_the_folder(self, text):
        for ref in ({'source-name': text}, {'source-id': text},
                    {'source-id': f'volume/{text}'},
                    {'source-id': f'{text}/snap'}):
            try:
                volume, name = directory._parse(ref)
            except ValueError:
                continue
            for part in (volume, name):
                self.assertNotIn(part, (b'', b'.', b'..'))
                self.assertFalse({*b'/\0'} & {*(part or b'')})

    def test_a_name_and_an_id_must_belong_together(self):
        volume = self.volume('a', 'b')
        self.assertNotAdoptable(
            volume, {'source-name': 'a', 'source-id': f'{volume.name}/b'},
            'source-name and source-id do not belong together')

    def test_another_key_is_not_enough(self):
        self.assertNotAdoptable(self.volume('a'), {'name': 'a'},
                                'it needs source-name or source-id')

    def test_the_reason_names_the_volume_that_it_belongs_to(self):
        volume, other = self.volume(), self.volume('snap')
        reason = (f'it is a snapshot of volume {other.name}, not of '
                  f'{volume.name}')
        self.assertNotAdoptable(volume, 'snap', reason)
        self.assertNotAdoptable(
            volume, {'source-id': f'{other.name}/snap'}, reason)

    def test_the_managed_name_is_the_file(self):
        for ref, name in (
                ({'source-name': 'a'}, 'a'),
                ({'source-id': 'volume/a%20b%FF'}, 'a b\\xff'),
                ({'source-name': 'x', 'source-id': 'volume/a'}, 'a'),
                ({'source-id': 'nonsense'}, None),
                ({'source-id': '../..'}, None),
                ({'name': 'a'}, None)):
            self.assertEqual(name, self.driver.managed_name(ref))

    def test_renamed_by_another_at_that_moment(self):
        volume = self.volume('snap')
        with mock.patch.object(directory, '_rename',
                               side_effect=FileNotFoundError):
            error = self.assertRaises(
                exception.ManageExistingInvalidReference,
                self.driver.manage_existing_snapshot,
                conformance.snapshot_row(volume), 'snap')
        self.assertIn('just been renamed or deleted', error.msg)


class TestTrouble(DirectoryTestCase):

    def test_a_folder_that_is_away_and_comes_back(self):
        volume = self.volume('snap')
        row = conformance.snapshot_row(volume)
        self.path.rename(self.outside / 'unmounted')
        for call in (lambda: list(self.driver.scan([])),
                     lambda: self.driver.is_adopted(row),
                     lambda: self.driver.manage_existing_snapshot(
                         row, 'snap'),
                     lambda: self.driver.manage_existing_snapshot_get_size(
                         row, 'snap'),
                     lambda: self.driver.create_snapshot(row),
                     lambda: self.driver.delete_snapshot(row),
                     lambda: self.driver.create_volume(volume),
                     lambda: self.driver.delete_volume(volume),
                     lambda: self.driver.get_volume_stats()):
            error = self.assertRaises(exception.ServiceUnavailable, call)
            self.assertEqual(
                'The folder of backend pictures is in trouble: No such file '
                'or directory.', error.msg)
        (self.outside / 'unmounted').rename(self.path)
        self.driver.manage_existing_snapshot(row, 'snap')
        self.assertTrue(self.driver.is_adopted(row))

    def test_listing_while_many_are_adopted_shows_each_once(self):
        names = [f'snap-{number}' for number in range(1500)]
        volume = self.volume(*names)
        rows = {name: conformance.snapshot_row(volume) for name in names}
        old_names = {row.name: name for name, row in rows.items()}
        self.useFixture(fixtures.MockPatchObject(os, 'fsync'))
        with futures.ThreadPoolExecutor(1) as executor:
            adopting = executor.submit(lambda: [
                self.driver.manage_existing_snapshot(row, name)
                for name, row in rows.items()])
            while not adopting.done():
                self.assertEqual(
                    sorted(names), sorted(
                        old_names.get(entry.reference['source-name'],
                                      entry.reference['source-name'])
                        for entry in self.driver.scan([])))
        self.assertEqual(1500, len(adopting.result()))

    def test_a_lock_that_is_never_given_back_stops_nobody(self):
        volume = self.volume('snap')
        row = conformance.snapshot_row(volume)
        self.useFixture(fixtures.MockPatchObject(
            directory, 'LOCK_SECONDS', 0.02))
        folder = os.open(self.file(volume, 'x').parent, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        self.assertEqual({'snap'}, set(self.scan()))
        self.driver.manage_existing_snapshot(row, 'snap')
        self.assertTrue(self.driver.is_adopted(row))
        self.assertIn('going on without it', self.log.output)

    def test_no_files_are_left_open(self):
        volume = self.volume('snap')
        before = set(os.listdir('/proc/self/fd'))
        row = conformance.snapshot_row(volume)
        next(iter(self.driver.scan([])))
        self.assertNotAdoptable(volume, 'nope',
                                f'volume {volume.name} has no such snapshot')
        self.driver.manage_existing_snapshot(row, 'snap')
        self.driver.create_snapshot(conformance.snapshot_row(volume))
        self.assertEqual(len(before), len(os.listdir('/proc/self/fd')))
