# SPDX-License-Identifier: Apache-2.0

"""The LVM driver, on what a real LVM has in store."""

import contextlib
import hashlib
import os
import pathlib
import re
import string
import subprocess
import uuid

import fixtures
from oslo_concurrency import processutils
from oslo_utils import units
from oslotest import base

from manageable_snapshots import exception
from manageable_snapshots.tests.drivers import conformance
from manageable_snapshots.tests.drivers import lvm_group

#: lines of lvm.conf each of which changes what LVM prints
SETTINGS = (
    'report/output_format="basic"', 'report/compact_output=1',
    'report/compact_output_cols="all"',
    'report/compact_output_cols="lv_tags,origin,data_percent"',
    'report/aligned=0', 'report/buffered=0', 'report/headings=0',
    'report/separator="|"', 'report/list_item_separator=";"',
    'report/prefixes=1', 'report/columns_as_rows=1',
    'report/binary_values_as_numeric=0', 'report/mark_hidden_devices=0',
    'report/lvs_sort="no_such_field"', 'report/lvs_sort="-lv_size"',
    'report/lvs_cols="no_such_field"',
    'log/report_command_log=1\nlog/command_log_sort="no_such_field"',
    'log/verbose=3', 'log/indent=1', 'log/command_names=1',
    'log/prefix=" -- "', 'global/units="h"', 'global/suffix=1',
    'global/si_unit_consistency=0', 'global/test=1')


class LVMTestCase(base.BaseTestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # With a pool for thin volumes, and room for thick ones beside it.
        cls.group = lvm_group.VolumeGroup(thin=True)

    @classmethod
    def tearDownClass(cls):
        cls.group.remove()
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.addCleanup(self.group.clear)
        self.driver = self.group.driver()

    def volume(self, *names, thin=True):
        """A volume with snapshots, each of which has data of its own."""
        row = conformance.volume_row()
        lvm_group.lvm(self.group.volume(row.name) if thin else (
            f'lvcreate --wipesignatures n --size 1g --name {row.name} '
            f'{self.group.name}'))
        for name in names:
            self.write(row.name, name.encode())
            self.take(row, name, thin)
        self.write(row.name, b'now')
        return row

    def take(self, volume, name, thin):
        room = '--setactivationskip y' if thin else '--size 8m'
        lvm_group.lvm(f'lvcreate --snapshot --name {name} {room} '
                      f'{self.group.name}/{volume.name}')

    def write(self, name, data, times=1):
        with open(self.group.path(name), 'r+b') as device:
            device.write(data * times)
            device.flush()
            os.fsync(device.fileno())

    def data(self, name):
        """A hash of the first MiB, which activates what is not active."""
        lvm_group.lvm('lvchange --yes --activate y '
                      f'--ignoreactivationskip {self.group.name}/{name}')
        with open(self.group.path(name), 'rb') as device:
            return hashlib.sha256(device.read(units.Mi)).hexdigest()

    def scan(self):
        """Name → entry."""
        return {entry.reference['source-name']: entry
                for entry in self.driver.scan([])}


class TestStates(LVMTestCase):

    def test_what_can_be_adopted_and_what_cannot(self):
        thick = self.volume('full', 'fine', 'open', 'merging', thin=False)
        thin = self.volume('inactive', 'thin-merging')
        parent = self.volume('orphan')
        clone = conformance.volume_row()
        path = self.group.name
        lvm_group.lvm(
            f'lvremove --force {path}/{parent.name}',
            f'lvcreate --snapshot --name {clone.name} {path}/inactive',
            f'lvextend --size 16m {path}/fine',
            f'lvextend --size 16m {path}/open',
            f'lvextend --size 16m {path}/merging',
            f'lvchange --addtag keep {path}/fine')
        self.write(thick.name, b'x' * units.Mi, 10)
        with contextlib.ExitStack() as stack:
            for name in (thick.name, thin.name, 'open'):
                stack.enter_context(open(self.group.path(name), 'rb'))
            for name in ('merging', 'thin-merging'):
                # It says that it waits for the volume to be closed.
                subprocess.run(
                    ['lvconvert', '--merge', f'{path}/{name}'], check=True,
                    capture_output=True, timeout=lvm_group.PATIENCE)
            found = self.scan()
        merging = 'it is being merged into its volume'
        self.assertEqual(
            {'full': (thick.name, 'it is invalid: it had no room left'),
             'fine': (thick.name, None),
             'open': (thick.name, 'snapshot in use'),
             'merging': (thick.name, merging), 'inactive': (thin.name, None),
             'thin-merging': (thin.name, merging)},
            {name: (entry.source_reference['source-name'],
                    entry.reason_not_safe)
             for name, entry in found.items()})
        self.assertEqual({1}, {entry.size for entry in found.values()})
        self.assertEqual('keep', found['fine'].extra_info['tags'])
        self.assertEqual({'type': 'thin', 'active': 'no'},
                         found['inactive'].extra_info)
        for volume, name in ((thick, 'full'), (thin, 'orphan'),
                             (thin, clone.name)):
            self.assertRaises(
                exception.ManageExistingInvalidReference,
                self.driver.manage_existing_snapshot,
                conformance.snapshot_row(volume), name)

    def test_a_group_that_lacks_a_disk_can_be_listed(self):
        volume = self.volume('snap', thin=False)
        lvm_group.lvm(f'vgextend {self.group.name} {self.group.new_disk()}')
        self.group.lose_disk()
        entry = self.scan()['snap']
        self.assertFalse(entry.safe_to_manage)
        self.assertIn('lacks a physical volume', entry.reason_not_safe)
        # LVM would not rename it.
        self.assertRaises(
            exception.ManageExistingInvalidReference,
            self.driver.manage_existing_snapshot,
            conformance.snapshot_row(volume), 'snap')
        lvm_group.lvm(f'vgreduce --removemissing {self.group.name}')
        self.assertTrue(self.scan()['snap'].safe_to_manage)

    def test_a_group_that_is_not_there(self):
        self.driver = self.group.driver(volume_group='no-such-group')
        self.assertRaises(exception.ServiceUnavailable, self.scan)
        self.assertIn('"no-such-group" not found', self.log.output)


class TestSettings(LVMTestCase):
    """A list is the same whatever LVM's configuration says of its output."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.file = self.folder / 'lvm.conf'
        self.kept = pathlib.Path(
            os.environ['LVM_SYSTEM_DIR'], 'lvm.conf').read_text()
        self.driver = self.group.driver(lvm_conf_file=str(self.file))

    def listed(self, settings):
        self.file.write_text(f'{self.kept}\n{settings}\n')
        return [(entry.reference, entry) for entry in self.driver.scan([])]

    def test_reports_and_logs(self):
        volume = self.volume('a', 'b')
        self.take(volume, 'thick', thin=False)
        lvm_group.lvm(f'lvchange --addtag x --addtag y {self.group.name}/a')
        expected = self.listed('')
        self.assertEqual(['a', 'b', 'thick'], [
            ref['source-name'] for ref, _entry in expected])
        self.assertEqual('x,y', expected[0][1].extra_info['tags'])
        for setting in SETTINGS:
            self.assertEqual(expected, self.listed(setting), setting)
        # All the switches that this LVM has.
        self.assertEqual(expected, self.listed('\n'.join(
            self.inverted('report') + self.inverted('log'))))
        (self.folder / 'profile').mkdir()
        (self.folder / 'profile' / 'others.profile').write_text(
            'report { compact_output=1 prefixes=1 lvs_sort="-lv_size" }\n'
            'log { report_command_log=1 }\nglobal { units="h" suffix=1 }\n')
        self.useFixture(fixtures.EnvironmentVariable(
            'LVM_COMMAND_PROFILE', 'others'))
        self.assertEqual(expected, self.listed(''))

    def inverted(self, section):
        """Lines that set each switch of a section to what it is not."""
        shown = subprocess.run(
            ['lvmconfig', '--typeconfig', 'full', section], check=True,
            capture_output=True, text=True,
            timeout=lvm_group.PATIENCE).stdout
        switches = re.findall(r'^\t(\w+)=([01])$', shown, re.M)
        self.assertNotEqual([], switches)
        return [f'{section}/{name}={1 - int(value)}'
                for name, value in switches]

    def test_a_report_that_lvm_refuses_to_make(self):
        self.volume('a')
        self.file.write_text(
            f'{self.kept}\nconfig {{ checks=1 abort_on_errors=1 }}\n'
            'report { no_such_setting=1 }\n')
        self.assertRaises(exception.ServiceUnavailable, self.scan)
        self.assertIn('no_such_setting', self.log.output)


class TestLocks(LVMTestCase):
    """What another host, or another process, holds."""

    def adopt(self, volume, name):
        row = conformance.snapshot_row(volume)
        self.driver.manage_existing_snapshot_get_size(row, name)
        self.driver.manage_existing_snapshot(row, name)
        self.assertTrue(self.driver.is_adopted(row))

    @contextlib.contextmanager
    def shared(self):
        """Have the group be one that takes lvmlockd, which does not run."""
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        path = folder / 'group'
        lvm_group.lvm(f'vgchange --activate n {self.group.name}',
                      f'vgcfgbackup --file {path} {self.group.name}')
        text = path.read_text()
        other = path.with_suffix('.shared')
        other.write_text(text.replace(
            '\textent_size = ', '\tlock_type = "sanlock"\n'
            '\tlock_args = "1.0.0:lvmlock"\n\textent_size = ', 1))
        restore = f'vgcfgrestore --yes --force {self.group.name} --file'
        lvm_group.lvm(f'{restore} {other}')
        try:
            yield folder / 'lvm.conf'
        finally:
            lvm_group.lvm(f'{restore} {path}')

    def test_a_group_that_lvmlockd_does_not_lock(self):
        volume = self.volume('a')
        with self.shared() as file:
            self.assertRaises(exception.ServiceUnavailable, self.scan)
            file.write_text(pathlib.Path(
                os.environ['LVM_SYSTEM_DIR'], 'lvm.conf').read_text()
                + '\nglobal/use_lvmlockd=1\n')
            self.driver = self.group.driver(lvm_conf_file=str(file))
            entry = self.scan()['a']
            # Whether it is active elsewhere only lvmlockd knows.
            self.assertEqual((True, 'unknown'), (
                entry.safe_to_manage, entry.extra_info['active']))
            self.assertRaises(exception.ServiceUnavailable, self.adopt,
                              volume, 'a')
            self.assertIn('due to failed lock', self.log.output)
        self.driver = self.group.driver()
        self.adopt(volume, 'a')

    def test_a_device_that_is_open_for_a_moment(self):
        volume = self.volume('a', thin=False)
        device = open(self.group.path('a'), 'rb')
        self.addCleanup(device.close)
        report = self.driver.commands.report
        looks = []

        def look(*args):
            looks.append(report(*args))
            device.close()
            return looks[-1]

        with fixtures.MockPatchObject(self.driver.commands, 'report', look):
            self.adopt(volume, 'a')
        self.assertEqual('1', next(
            record['lv_device_open'] for record in looks[0]
            if record['lv_name'] == 'a'))


class TestData(LVMTestCase):

    def test_bytes_are_what_they_were(self):
        for thin in (True, False):
            names = [f'{kind}-{thin}' for kind in ('mine', 'other')]
            volume = self.volume(*names, thin=thin)
            before = {name: self.data(name)
                      for name in (*names, volume.name)}
            self.assertEqual(3, len(set(before.values())))
            row = conformance.snapshot_row(volume)
            self.driver.manage_existing_snapshot(row, names[0])
            before[f'_{row.name}'] = before.pop(names[0])
            self.assertEqual(before, {name: self.data(name)
                                      for name in before})
            self.driver.delete_snapshot(row)
            self.assertEqual({names[1]}, set(self.scan()))
            lvm_group.lvm(*map(self.group.remove_snapshot,
                               (names[1], volume.name)))

    def test_what_the_service_makes_itself(self):
        for lvm_type in ('thin', 'default'):
            self.driver = self.group.driver(lvm_type=lvm_type)
            self.driver.check_for_setup_error()
            volume = conformance.volume_row()
            row = conformance.snapshot_row(volume)
            self.driver.create_volume(volume)
            self.driver.create_snapshot(row)
            (entry,) = self.scan().values()
            self.assertEqual((row.name, 1, True), (
                self.driver.managed_name(entry.reference), entry.size,
                entry.safe_to_manage))
            self.assertRaises(exception.InvalidVolume,
                              self.driver.delete_volume, volume)
            self.driver.delete_snapshot(row)
            self.driver.delete_volume(volume)
            self.assertEqual({}, self.scan())
            self.assertLess(
                0, self.driver.get_volume_stats()['free_capacity_gb'])


class TestCommands(LVMTestCase):

    def count(self):
        """How many snapshots are listed, and by how many commands."""
        commands = []
        run = processutils.execute

        def spy(*command, **options):
            commands.append(command)
            return run(*command, **options)

        with fixtures.MockPatchObject(processutils, 'execute', spy):
            return len(self.scan()), len(commands)

    def test_one_for_10_volumes_and_one_for_500(self):
        volume = self.volume('snap')
        self.multiply(volume, 'snap', 10)
        self.assertEqual((10, 1), self.count())
        self.multiply(volume, 'snap', 500)
        self.assertEqual((500, 1), self.count())

    def multiply(self, volume, name, total):
        """Have as many thin volumes, each with a snapshot, without data.

        They are written into LVM's metadata, since making them takes long.
        """
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'group')
        lvm_group.lvm(f'vgchange --activate n {self.group.name}',
                      f'vgcfgbackup --file {path} {self.group.name}')
        text = path.read_text()
        made = []
        blocks = [re.search(
            rf'\n\t\t{re.escape(each)} {{\n.*?\n\t\t}}\n', text, re.S).group()
            for each in (volume.name, name)]
        for number in range(text.count('origin = "'), total):
            for block in blocks:
                made.append(re.sub(
                    r'id = "[^"]*"', f'id = "{_lvm_id()}"', re.sub(
                        r'device_id = (\d+)',
                        lambda match: 'device_id = '
                        f'{int(match[1]) + 2 * number}', block), count=1)
                    .replace(volume.name, f'volume-{number}')
                    .replace(f'\t\t{name} {{', f'\t\t{name}-{number} {{'))
        more = path.with_suffix('.more')
        more.write_text(text.replace(blocks[1], blocks[1] + ''.join(made)))
        restore = f'vgcfgrestore --yes --force {self.group.name} --file'
        lvm_group.lvm(f'{restore} {more}')
        # To remove them would take long as well.
        self.addCleanup(lvm_group.lvm, f'{restore} {path}')

    def test_a_command_that_hangs(self):
        self.volume('snap')
        # Long enough for one that does not hang.
        self.driver = self.group.driver(lvm_command_timeout=10)
        with self.group.locked():
            error = self.assertRaises(exception.BackendTimeout, self.scan)
        self.assertIn('disks did not answer within 10 seconds', error.msg)
        self.assertEqual({'snap'}, set(self.scan()))


def _lvm_id():
    """An id such as LVM makes."""
    letters = string.ascii_letters + string.digits
    number = uuid.uuid4().int
    text = ''
    for _digit in range(32):
        number, place = divmod(number, len(letters))
        text += letters[place]
    return '-'.join((text[:6], *(text[start:start + 4]
                                 for start in range(6, 26, 4)), text[26:]))
