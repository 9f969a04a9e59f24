# SPDX-License-Identifier: Apache-2.0

"""The LVM driver, without LVM.

``lvm_states.json`` is what LVM 2.03.16 answered the driver's ``lvs`` where
snapshots of all kinds were in all states.
"""

import json
import pathlib
import string
import threading
import uuid

import fixtures
from oslo_concurrency import processutils
from oslo_utils import units
from oslotest import base as test_base

from manageable_snapshots.drivers.lvm import commands as lvm_commands
from manageable_snapshots.drivers.lvm import driver as lvm
from manageable_snapshots.drivers.lvm import report as lvm_report
from manageable_snapshots.drivers import processes
from manageable_snapshots import exception
from manageable_snapshots.tests.drivers import conformance

STATES = pathlib.Path(__file__).with_name('lvm_states.json')

#: a program that reports of a group without LVs
NOTHING = 'echo \'{"report": [{"lv": []}]}\'\n'

NOWHERE = 'AAAAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAAAA'

# Out of LVM 2.02.187 to 2.03.39, and one that LVM adds to others.
LOCK_REFUSALS = (
    'VG vg lock failed: held by other host.',
    'VG vg lock failed: lock start in progress',
    'VG vg lock failed: storage errors for sanlock leases',
    'VG vg lock failed: error -221',
    'LV locked by other host: vg/a',
    'LV vg/a lock failed: lockspace is inactive',
    'LV is already locked with incompatible mode: vg/a',
    'Locking failed for LV vg/a',
    'Failed to lock snapshot origin LV vg/volume',
    'Global lock failed: check that lvmlockd is running.',
    'Start a lock manager, lvmlockd did not find one running.',
    'Cannot access VG vg with lock type sanlock that requires lvmlockd.',
    'LV in VG vg with lock_type dlm requires lvmlockd.',
    'Cannot access VG vg due to failed lock.',
    'Skipping volume group vg: lock is held by host 2',
    'Error locking on node 1: device busy on another node',
    "Can't get lock for vg.",
    '/run/lock/lvm/V_vg: flock failed: Resource temporarily unavailable',
    'Giving up waiting for lock.')


class Group:
    """A volume group: LVs, and what the commands do to them.

    :ivar commands: those that were run, without ``env`` and what it sets
    :ivar before: called with a command before it is run
    """

    def __init__(self, records=()):
        self.records = list(records)
        self.commands = []
        self.environment = []
        self.before = lambda command: None
        self._number = 0
        self._lock = threading.Lock()

    def call(self, function, *arguments, seconds):
        return function(*arguments)

    def run(self, env, *words, seconds, harmless):
        place = next(place for place, word in enumerate(words)
                     if '=' not in word)
        command = words[place:]
        with self._lock:
            self.environment = list(words[:place])
            self.commands.append(command)
            self.before(command)
            return getattr(self, command[0])(*command[1:])

    def lvs(self, *arguments):
        fields = arguments[arguments.index('--options') + 1].split(',')
        return json.dumps({'report': [{'lv': [
            {field: record[field] for field in fields}
            for record in self.records]}]})

    def vgs(self, *arguments):
        return json.dumps({'report': [{'vg': [
            {'vg_size': str(10 * units.Gi), 'vg_free': str(4 * units.Gi)}]}]})

    def lvrename(self, group, old, new):
        if self.find(new) or not self.find(old):
            raise processutils.ProcessExecutionError(
                exit_code=5, stderr='It is\nas it is.')
        for record in self.records:
            if record['origin'] == old:
                record['origin'] = new
        self.find(old)['lv_name'] = new

    def lvcreate(self, *arguments):
        name = arguments[arguments.index('--name') + 1]
        parent = arguments[-1].partition('/')[2]
        if '--snapshot' in arguments:
            self.snapshot(name, parent)
        else:
            self.add(name)

    def lvremove(self, *arguments):
        self.remove(arguments[-1].partition('/')[2])

    def find(self, name):
        return next((record for record in self.records
                     if record['lv_name'] == name), None)

    def remove(self, name):
        self.records.remove(self.find(name))

    def add(self, name, size=units.Gi, **fields):
        self._number += 1
        digits = string.ascii_letters
        record = {field: '0' for field in lvm_report.FIELDS}
        record.update({
            'lv_name': name, 'lv_size': str(size), 'lv_role': 'public',
            'lv_uuid': f'{self._number:06}-aaaa-bbbb-cccc-dddd-eeee-'
                       + digits[:6],
            'lv_layout': 'linear', 'origin': '', 'origin_size': '',
            'lv_active': 'active', 'lv_tags': '', 'data_percent': '',
            'lv_health_status': '', 'vg_lock_type': ''}, **fields)
        self.records.append(record)

    def snapshot(self, name, origin, **fields):
        self.add(name, 12 * units.Mi, **{
            'lv_role': 'public,snapshot,thicksnapshot', 'origin': origin,
            'origin_size': self.find(origin)['lv_size'], **fields})


def new_driver(group, **options):
    driver = conformance.load_driver('disks', 'lvm', **options)
    driver.commands._runner = group
    return driver


class TestConformance(conformance.DriverConformance, test_base.BaseTestCase):

    weird_names = (
        '+', '_', '0', '...', '.hidden', 'a--b', 'trailing-', 'Mixed.Case',
        'snapshots-to-keep', 'volume', 'n' * 120)

    names_repeat = False

    steps = ('manageable_snapshots.drivers.lvm.commands.Commands.lvrename',
             'manageable_snapshots.drivers.lvm.driver.LVMDriver._lvs')

    def setUp(self):
        self.group = Group()
        super().setUp()

    def new_driver(self):
        driver = new_driver(self.group)
        driver.do_setup(None)
        driver.check_for_setup_error()
        return driver

    def make_volume(self, volume, size):
        self.group.add(volume, size * units.Gi)

    def resize_volume(self, volume, size):
        self.group.find(volume)['lv_size'] = str(size * units.Gi)

    def make_snapshot(self, volume, name):
        self.group.snapshot(lvm._escaped(name), volume)

    def remove_snapshot(self, volume, name):
        self.group.remove(lvm._escaped(name))

    def names(self, volume):
        return {lvm._unescaped(record['lv_name'])
                for record in self.group.records
                if record['origin'] == volume}

    def fingerprint(self, volume, name=None):
        record = dict(self.group.find(lvm._escaped(name or volume)))
        del record['lv_name']
        return record


class LVMTestCase(test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.group = Group()
        self.driver = new_driver(self.group)

    def volume(self, *names):
        row = conformance.volume_row()
        self.group.add(row.name)
        for name in names:
            self.group.snapshot(name, row.name)
        return row

    def row(self, volume):
        return conformance.snapshot_row(volume)

    def count(self, *names):
        return [command[0] for command in self.group.commands].count(*names)

    def adopt(self, volume, ref):
        row = self.row(volume)
        self.driver.manage_existing_snapshot(row, ref)
        return row

    def refused(self, errors, volume, ref):
        error = self.assertRaises(errors, self.adopt, volume, ref)
        return str(error)


class TestListing(LVMTestCase):

    def states(self):
        self.group.records = json.loads(
            STATES.read_text())['report'][0]['lv']
        return {entry.reference['source-name']: entry
                for entry in self.driver.scan([])}

    def test_snapshots_are_listed_and_nothing_else(self):
        self.assertEqual(
            {'_snapshot-6d0c4a52-9a1e-4a9b-8b1d-0c6a6d2f5f10': 'volume-m',
             'before': 'resized', 'beside': 'volume-m', 'full': 'volume-a',
             'in-use': 'volume-a', 'merging': 'volume-m',
             'of-external': 'external', 'of-raid': 'raid',
             'tagged': 'volume-a', 'thin': 'volume-t',
             'thin-active': 'volume-t', 'thin-merging': 'volume-t'},
            {name: entry.source_reference['source-name']
             for name, entry in self.states().items()})

    def test_what_cannot_be_adopted_says_why(self):
        self.assertEqual(
            {'full': 'it is invalid: it had no room left',
             'in-use': 'snapshot in use',
             'merging': 'it is being merged into its volume',
             'thin-active': 'its device is suspended',
             'thin-merging': 'it is being merged into its volume'},
            {name: entry.reason_not_safe
             for name, entry in self.states().items()
             if not entry.safe_to_manage})

    def test_faults_that_are_rare(self):
        self.volume('a')
        for fields, words in (
                ({'vg_partial': '1'}, 'lacks a physical volume'),
                ({'lv_health_status': 'partial'}, '"partial"'),
                ({'lv_merge_failed': '1'}, 'could not be merged'),
                ({'lv_allocation_locked': '1'}, 'locked'),
                ({'lv_active_remotely': '1'}, 'another host'),
                ({'lv_active': 'unknown'}, 'cannot tell'),
                ({'data_percent': '100.00'}, 'no room left')):
            before = dict(self.group.find('a'))
            self.group.find('a').update(fields)
            (entry,) = self.driver.scan([])
            self.assertFalse(entry.safe_to_manage)
            self.assertIn(words, entry.reason_not_safe)
            self.group.find('a').update(before)

    def test_the_size_is_that_of_the_volume_when_it_was_taken(self):
        states = self.states()
        # Theirs are 3 GiB now, and the room of the first is 12 MiB.
        for name in ('before', 'thin', 'thin-active'):
            self.assertEqual(1, states[name].size)

    def test_what_else_there_is_to_know(self):
        states = self.states()
        self.assertEqual(
            {'type': 'thick', 'active': 'yes', 'used_percent': '1.18',
             'tags': 'cinder,k=v'}, states['tagged'].extra_info)
        self.assertEqual({'type': 'thin', 'active': 'no'},
                         states['thin'].extra_info)

    def test_whether_it_is_active(self):
        self.volume('a')
        for lock_type, activity in (
                ('', 'no'), ('none', 'no'), ('clvm', 'no'),
                ('sanlock', 'unknown'), ('dlm', 'unknown'),
                ('idm', 'unknown')):
            for active, expected in (
                    ('active', 'yes'), ('local exclusive', 'yes'),
                    ('', activity), ('unknown', 'unknown')):
                self.group.find('a').update(
                    lv_active=active, vg_lock_type=lock_type,
                    lv_active_remotely='-1')
                (entry,) = self.driver.scan([])
                self.assertEqual(expected, entry.extra_info['active'])
                self.assertEqual(active != 'unknown', entry.safe_to_manage)

    def test_what_cinder_clones_by_is_not_adopted(self):
        name = f'clone-snap-{uuid.uuid4()}'
        others = ('clone-snap-', 'clone-snap-mine', f'my-{name}', f'{name}-1')
        volume = self.volume(name, *others)
        self.assertEqual({name: 'Cinder uses it to clone a volume'}, {
            entry.reference['source-name']: entry.reason_not_safe
            for entry in self.driver.scan([]) if not entry.safe_to_manage})
        message = self.refused(
            exception.ManageExistingInvalidReference, volume, name)
        self.assertIn('to clone a volume', message)
        self.assertIsNotNone(self.group.find(name))

    def test_the_pool_is_named_as_the_backend(self):
        self.assertEqual({'disks'}, {
            entry.pool for entry in self.states().values()})

    def test_it_takes_one_command(self):
        for number in (10, 500):
            for _number in range(number):
                self.volume(f's{len(self.group.records)}')
            self.group.commands.clear()
            listed = list(self.driver.scan([]))
            self.assertEqual(len(self.group.records), 2 * len(listed))
            self.assertEqual(['lvs'], [
                command[0] for command in self.group.commands])

    def test_what_makes_no_sense_costs_itself_alone(self):
        self.volume('a', 'b')
        self.group.find('a')['origin_size'] = 'huge'
        self.assertEqual(['b'], [
            entry.reference['source-name'] for entry in self.driver.scan([])])
        self.assertIn('Cannot make sense of a,', self.log.output)

    def test_a_group_that_cannot_be_read_is_away(self):
        def fail(command):
            raise processutils.ProcessExecutionError(
                exit_code=5, stderr='  Volume group "x"\n  not found\n')
        self.group.before = fail
        error = self.assertRaises(exception.ServiceUnavailable, list,
                                  self.driver.scan([]))
        self.assertIn('disks', error.msg)
        self.assertIn('Volume group "x" not found', self.log.output)

    def test_a_command_that_is_missing(self):
        def fail(command):
            raise FileNotFoundError('sudo')
        self.group.before = fail
        self.assertRaises(exception.ServiceUnavailable, list,
                          self.driver.scan([]))

    def test_what_is_no_json_is_an_outage(self):
        for output in ('', 'null', '{}', '{"report": []}'):
            self.group.lvs = lambda *arguments: output
            self.assertRaises(exception.ServiceUnavailable, list,
                              self.driver.scan([]))

    def test_a_report_without_a_field_is_an_outage(self):
        self.volume('a')
        report = self.group.lvs
        for field in lvm_report.FIELDS:
            for change in ({}, {field: None}, {field: 1}):
                def lvs(*arguments):
                    (table,) = json.loads(report(*arguments))['report']
                    for record in table['lv']:
                        del record[field]
                        record.update(change)
                    return json.dumps({'report': [table]})

                self.group.lvs = lvs
                error = self.assertRaises(exception.ServiceUnavailable, list,
                                          self.driver.scan([]))
                self.assertIn(f'the report has no field {field}.', error.msg)
                self.assertIn('disks', error.msg)

    def script(self, text):
        """Put a program in the place of lvs."""
        folder = self.useFixture(fixtures.TempDir()).path
        script = pathlib.Path(folder, 'lvs')
        script.write_text(f'#!/bin/sh\ncd {folder}\n{text}')
        script.chmod(0o755)
        self.useFixture(fixtures.EnvironmentVariable(
            'PATH', f'{folder}:/usr/bin:/bin'))
        self.useFixture(fixtures.MockPatchObject(
            processutils.os, 'geteuid', lambda: 0))
        self.driver.commands._runner = processes.Runner('')

    def test_a_command_that_hangs_ends_in_time(self):
        self.driver = new_driver(self.group, lvm_command_timeout=1)
        self.script('exec sleep 600\n')
        error = self.assertRaises(exception.BackendTimeout, list,
                                  self.driver.scan([]))
        self.assertIn('disks', error.msg)
        self.script(NOTHING)
        self.assertEqual([], list(self.driver.scan([])))

    def test_a_command_that_dies_is_run_once_more(self):
        for death in ('kill -SEGV $$', 'kill -KILL $$', 'exit 139'):
            self.script(f'[ -e ran ] || {{ touch ran; {death}; }}\n'
                        + NOTHING)
            self.assertEqual([], list(self.driver.scan([])))
            self.script(death)
            self.assertRaises(exception.ServiceUnavailable, list,
                              self.driver.scan([]))


class TestCommands(LVMTestCase):

    def test_the_language_is_set(self):
        list(self.driver.scan([]))
        self.assertEqual(['LC_ALL=C'], self.group.environment)

    def test_the_order_is_that_of_cinders_filters(self):
        file = pathlib.Path(self.useFixture(fixtures.TempDir()).path,
                            'lvm.conf')
        file.touch()
        self.driver = new_driver(self.group, lvm_conf_file=str(file),
                                 lvm_suppress_fd_warnings=True)
        list(self.driver.scan([]))
        self.assertEqual(
            ['LC_ALL=C', f'LVM_SYSTEM_DIR={file.parent}',
             'LVM_SUPPRESS_FD_WARNINGS=1'], self.group.environment)

    def test_another_way_to_rename(self):
        self.driver.commands.become_root_by('doas', self.renamed)
        self.driver.commands._runner = self.group
        volume = self.volume('a')
        row = self.adopt(volume, 'a')
        self.assertTrue(self.driver.is_adopted(row))
        self.assertEqual(0, self.count('lvrename'))

    def renamed(self, group, old, new):
        self.assertEqual('cinder-volumes', group)
        self.group.lvrename(group, old, new)


class TestSettingUp(LVMTestCase):

    def check(self, **options):
        self.driver = new_driver(self.group, **options)
        return str(self.assertRaises(exception.ConfigurationError,
                                     self.driver.check_for_setup_error))

    def test_a_group_that_is_there(self):
        self.driver.do_setup(None)
        self.driver.check_for_setup_error()

    def test_a_group_that_is_not(self):
        def fail(command):
            raise processutils.ProcessExecutionError(exit_code=5)
        self.group.before = fail
        self.assertIn('volume_group', self.check())

    def test_a_group_that_can_have_no_such_name(self):
        for name in ('', '-a', 'a b', '--help', 'a/b'):
            self.assertIn('volume_group', self.check(volume_group=name))
        self.assertEqual([], self.group.commands)

    def test_a_pool_that_is_not_there(self):
        self.assertIn('lvm_type', self.check(lvm_type='thin'))
        self.group.add('cinder-volumes-pool')
        self.driver.check_for_setup_error()

    def test_templates_that_make_no_names(self):
        for option in ('volume_name_template', 'snapshot_name_template'):
            for template in ('-%s', 'a b %s', '%s/%s', '%d', 'x' * 99 + '%s'):
                self.driver = new_driver(self.group)
                self.driver.conf.set_override(option, template)
                error = self.assertRaises(
                    exception.ConfigurationError,
                    self.driver.check_for_setup_error)
                self.assertIn(option, str(error))


class TestReferences(LVMTestCase):

    def test_a_name_with_its_group(self):
        volume = self.volume('a')
        row = self.adopt(volume, {'source-name': 'cinder-volumes/a'})
        self.assertTrue(self.driver.is_adopted(row))

    def test_a_name_of_another_group(self):
        volume = self.volume('a')
        message = self.refused(exception.ManageExistingInvalidReference,
                               volume, {'source-name': 'other/a'})
        self.assertIn('not in volume group cinder-volumes', message)

    def test_the_name_that_a_row_has(self):
        volume = self.volume()
        other = self.row(volume)
        self.group.snapshot(f'_{other.name}', volume.name)
        row = self.adopt(volume, {'source-name': other.name})
        self.assertTrue(self.driver.is_adopted(row))

    def test_name_and_id_must_belong_together(self):
        volume = self.volume('a', 'b')
        message = self.refused(
            exception.ManageExistingInvalidReference, volume,
            {'source-name': 'a',
             'source-id': self.group.find('b')['lv_uuid']})
        self.assertIn('do not belong together', message)

    def test_what_lvm_forbids_reaches_no_command(self):
        volume = self.volume('a')
        row = self.row(volume)
        for junk in conformance.JUNK + conformance.WEIRD_NAMES:
            self.assertRaises(
                conformance.REFUSED,
                self.driver.manage_existing_snapshot, row, junk)
        self.assertEqual({'lvs'}, {
            command[0] for command in self.group.commands})
        self.assertEqual(1, len(set(self.group.commands)))

    def test_what_is_no_snapshot(self):
        volume = self.volume('a')
        self.group.add('thin-without-origin')
        for name in ('thin-without-origin', volume.name):
            message = self.refused(
                exception.ManageExistingInvalidReference, volume, name)
            self.assertIn('no such snapshot', message)

    def test_a_volume_that_is_a_snapshot_to_lvm(self):
        volume, clone = self.volume(), conformance.volume_row()
        self.group.snapshot(clone.name, volume.name)
        message = self.refused(
            exception.ManageExistingInvalidReference, volume, clone.name)
        self.assertIn('name of a volume', message)
        self.assertEqual([], list(self.driver.scan([])))

    def test_what_is_not_safe(self):
        volume = self.volume('a')
        self.group.find('a')['lv_snapshot_invalid'] = '1'
        message = self.refused(
            exception.ManageExistingInvalidReference, volume, 'a')
        self.assertIn('it is invalid', message)

    def test_the_managed_name(self):
        volume = self.volume('a')
        row = self.adopt(volume, 'a')
        identifier = self.group.records[-1]['lv_uuid']
        for ref in ({'source-name': f'_{row.name}'},
                    {'source-name': f'cinder-volumes/_{row.name}'},
                    {'source-name': row.name}, {'source-id': identifier}):
            self.assertEqual(row.name, self.driver.managed_name(ref))
        for ref in ({'source-id': NOWHERE}, {'source-id': 'a'},
                    {'source-name': '-a'}, {'name': 'a'}):
            self.assertIsNone(self.driver.managed_name(ref))


class TestAdopting(LVMTestCase):

    def before(self, wanted, function):
        """Have something happen just before the first such command."""
        def act(command):
            if command[0] == wanted:
                self.group.before = lambda command: None
                function()
        self.group.before = act

    def fail(self, error):
        raise error

    def test_it_is_one_rename(self):
        volume = self.volume('a')
        row = self.adopt(volume, 'a')
        self.assertEqual(
            [('lvrename', 'cinder-volumes', 'a', f'_{row.name}')],
            [command for command in self.group.commands
             if command[0] != 'lvs'])

    def test_what_got_the_old_name_gets_it_back(self):
        volume = self.volume('a', 'b')
        found, other = self.group.find('a'), self.group.find('b')

        def swap():
            found['lv_name'], other['lv_name'] = 'c', 'a'

        self.before('lvrename', swap)
        message = self.refused(
            exception.ManageExistingInvalidReference, volume, 'a')
        self.assertIn('just been renamed', message)
        self.assertEqual(('c', 'a'), (found['lv_name'], other['lv_name']))

    def test_what_is_deleted_meanwhile(self):
        volume = self.volume('a')
        self.before('lvrename', lambda: self.group.remove('a'))
        message = self.refused(
            exception.ManageExistingInvalidReference, volume, 'a')
        self.assertIn('deleted', message)

    def test_a_name_that_is_taken_meanwhile(self):
        volume = self.volume('a')
        row = self.row(volume)
        self.before('lvrename', lambda: self.group.snapshot(
            f'_{row.name}', volume.name))
        self.assertRaises(
            exception.ManageExistingAlreadyManaged,
            self.driver.manage_existing_snapshot, row, 'a')
        self.assertIsNotNone(self.group.find('a'))

    def test_what_lvm_does_not_rename(self):
        volume = self.volume('a')
        self.before('lvrename', lambda: self.fail(
            processutils.ProcessExecutionError(stderr='A\r\nreason')))
        message = self.refused(
            exception.ManageExistingInvalidReference, volume, 'a')
        self.assertIn('LVM does not rename it', message)
        self.assertIn(': A reason', self.log.output)

    def test_a_failure_after_the_deed(self):
        volume = self.volume('a')
        row = self.row(volume)

        def rename():
            self.group.lvrename('cinder-volumes', 'a', f'_{row.name}')
            self.fail(processutils.ProcessExecutionError())

        self.before('lvrename', rename)
        self.driver.manage_existing_snapshot(row, 'a')
        self.assertTrue(self.driver.is_adopted(row))

    def test_a_lock_that_lvm_does_not_get_is_waited_for(self):
        volume = self.volume('a')
        for words in LOCK_REFUSALS:
            self.before('lvrename', lambda: self.fail(
                processutils.ProcessExecutionError(
                    exit_code=5, stderr=f'  {words}\n')))
            self.assertRaises(
                exception.ServiceUnavailable, self.adopt, volume, 'a')
            self.assertIn(words, self.log.output)
        self.assertTrue(self.driver.is_adopted(self.adopt(volume, 'a')))

    def test_what_a_lock_has_no_part_in_is_final(self):
        volume = self.volume('lock')
        for words in ('Cannot rename locked LV lock',
                      'Cannot rename internal LV "lock".',
                      '/dev/block/7:0: read failed',
                      'Operation prohibited while --readonly is set.'):
            self.before('lvrename', lambda: self.fail(
                processutils.ProcessExecutionError(
                    exit_code=5, stderr='  WARNING: lvmlockd process is not '
                    f'running.\n  {words}\n')))
            message = self.refused(
                exception.ManageExistingInvalidReference, volume, 'lock')
            self.assertIn('LVM does not rename it', message)

    def test_a_rename_that_dies_is_put_off(self):
        volume = self.volume('a')
        for status in (-11, 139):
            self.before('lvrename', lambda: self.fail(
                processutils.ProcessExecutionError(exit_code=status)))
            self.assertRaises(
                exception.ServiceUnavailable, self.adopt, volume, 'a')
        self.assertEqual(2, self.count('lvrename'))

    def open_for(self, looks):
        """Have a process open the snapshot for the next looks at it."""
        self.useFixture(fixtures.MockPatchObject(lvm_commands, 'PAUSE', 0.01))
        self.group.find('a')['lv_device_open'] = '1'

        def close(command):
            if self.count('lvs') == looks:
                self.group.find('a')['lv_device_open'] = '0'

        self.group.commands.clear()
        self.group.before = close

    def test_a_device_that_is_open_for_a_moment_is_waited_for(self):
        volume = self.volume('a')
        self.open_for(3)
        row = self.row(volume)
        self.assertEqual(
            1, self.driver.manage_existing_snapshot_get_size(row, 'a'))
        self.open_for(3)
        self.driver.manage_existing_snapshot(row, 'a')
        self.assertTrue(self.driver.is_adopted(row))

    def test_a_device_that_stays_open_is_in_use(self):
        volume = self.volume('a')
        self.useFixture(fixtures.MockPatchObject(
            lvm_commands, 'OPEN_SECONDS', 0.2))
        self.open_for(None)
        message = self.refused(
            exception.ManageExistingInvalidReference, volume, 'a')
        self.assertIn('snapshot in use', message)
        self.assertEqual(0, self.count('lvrename'))
        self.assertLess(1, self.count('lvs'))

    def test_a_fault_that_stays_is_not_waited_for(self):
        volume = self.volume('a')
        self.group.find('a').update(
            lv_device_open='1', lv_snapshot_invalid='1')
        message = self.refused(
            exception.ManageExistingInvalidReference, volume, 'a')
        self.assertIn('it is invalid', message)
        self.assertEqual(1, self.count('lvs'))

    def test_a_rename_in_cinders_way_that_hangs(self):
        self.driver = new_driver(self.group, lvm_command_timeout=1)
        released, threads = threading.Event(), []
        self.addCleanup(released.set)

        def rename(*names):
            threads.append(threading.current_thread())
            released.wait(60)
            self.group.lvrename(*names)

        self.useFixture(fixtures.MockPatchObject(processes, 'AT_ONCE', 1))
        self.driver.commands.become_root_by('', rename)
        self.driver.commands._runner.run = self.group.run
        volume = self.volume('a', 'b')
        row = self.row(volume)
        for number in range(2):
            self.assertRaises(
                exception.BackendTimeout,
                self.driver.manage_existing_snapshot, row, 'ab'[number])
            # There is no more than one that hangs.
            self.assertEqual(1, len(threads))
        self.assertFalse(self.driver.is_adopted(row))
        released.set()
        threads[0].join(30)
        self.assertTrue(self.driver.is_adopted(row))
        self.adopt(volume, 'b')

    def test_a_rename_that_hangs_is_put_off(self):
        volume = self.volume('a')
        self.before('lvrename', lambda: self.fail(processes.Stuck('60 s')))
        self.assertRaises(exception.BackendTimeout, self.adopt, volume, 'a')

    def test_a_rename_that_nobody_knows_of_is_put_off(self):
        volume = self.volume('a')
        self.before('lvrename', lambda: self.fail(RuntimeError('gone')))
        self.assertRaises(
            exception.ServiceUnavailable, self.adopt, volume, 'a')

    def test_an_adopted_one_is_of_its_volume(self):
        volume, other = self.volume('a'), self.volume()
        row = self.adopt(volume, 'a')
        row['volume'] = other
        self.assertFalse(self.driver.is_adopted(row))


class TestVolumes(LVMTestCase):

    def pool(self):
        self.group.add('cinder-volumes-pool', 8 * units.Gi,
                       data_percent='25.00', lv_layout='thin,pool')

    def test_a_thick_volume_and_its_snapshot(self):
        volume = conformance.volume_row(2)
        self.driver.create_volume(volume)
        row = self.row(volume)
        self.driver.create_snapshot(row)
        self.assertTrue(self.driver.is_adopted(row))
        self.assertEqual(
            [('lvcreate', '--yes', '--name', volume.name, '--size', '2g',
              'cinder-volumes'),
             ('lvcreate', '--yes', '--snapshot', '--name', f'_{row.name}',
              '--extents', '100%ORIGIN', f'cinder-volumes/{volume.name}')],
            [command for command in self.group.commands
             if command[0] != 'lvs'])

    def test_a_thin_volume_and_its_snapshot(self):
        self.pool()
        volume = conformance.volume_row(2)
        self.driver.create_volume(volume)
        self.group.find(volume.name)['lv_layout'] = 'thin,sparse'
        row = self.row(volume)
        self.driver.create_snapshot(row)
        self.assertEqual(
            [('lvcreate', '--yes', '--name', volume.name, '--virtualsize',
              '2g', '--thinpool', 'cinder-volumes/cinder-volumes-pool'),
             ('lvcreate', '--yes', '--snapshot', '--name', f'_{row.name}',
              f'cinder-volumes/{volume.name}')],
            [command for command in self.group.commands
             if command[0] != 'lvs'])

    def test_nothing_is_made_twice(self):
        volume = self.volume()
        self.assertRaises(exception.InvalidVolume,
                          self.driver.create_volume, volume)
        row = self.row(volume)
        self.driver.create_snapshot(row)
        self.assertRaises(exception.InvalidSnapshot,
                          self.driver.create_snapshot, row)

    def test_a_snapshot_of_nothing(self):
        self.assertRaises(
            exception.InvalidVolume, self.driver.create_snapshot,
            self.row(conformance.volume_row()))

    def test_deleting_removes_just_that(self):
        volume = self.volume('a', 'b')
        row = self.adopt(volume, 'a')
        for _number in range(2):
            self.driver.delete_snapshot(row)
        self.assertEqual({volume.name, 'b'}, {
            record['lv_name'] for record in self.group.records})

    def test_what_is_open_for_a_moment_is_deleted(self):
        self.useFixture(fixtures.MockPatchObject(lvm_commands, 'PAUSE', 0.01))
        volume = self.volume('a')
        row = self.adopt(volume, 'a')
        words = [f'  Logical volume g/_{row.name} in use.',
                 '  device-mapper: remove ioctl failed: '
                 'Device or resource busy']

        def refuse(command):
            if command[0] == 'lvremove' and words:
                raise processutils.ProcessExecutionError(
                    exit_code=5, stderr=words.pop())

        self.group.before = refuse
        self.driver.delete_snapshot(row)
        self.assertIsNone(self.group.find(f'_{row.name}'))

    def test_what_stays_open_is_not_deleted(self):
        self.useFixture(fixtures.MockPatchObject(
            lvm_commands, 'OPEN_SECONDS', 0))
        volume = self.volume('a')
        row = self.adopt(volume, 'a')

        def refuse(command):
            if command[0] == 'lvremove':
                raise processutils.ProcessExecutionError(
                    exit_code=5, stderr='Logical volume g/a in use.')

        self.group.before = refuse
        self.assertRaises(exception.ServiceUnavailable,
                          self.driver.delete_snapshot, row)

    def test_another_volumes_snapshot_is_not_deleted(self):
        volume, other = self.volume('a'), self.volume()
        row = self.adopt(volume, 'a')
        row['volume'] = other
        self.driver.delete_snapshot(row)
        self.assertIsNotNone(self.group.find(f'_{row.name}'))

    def test_a_volume_with_snapshots_stays(self):
        volume = self.volume('a')
        self.assertRaises(exception.InvalidVolume,
                          self.driver.delete_volume, volume)
        self.group.remove('a')
        for _number in range(2):
            self.driver.delete_volume(volume)
        self.assertEqual([], self.group.records)

    def test_the_capacity(self):
        stats = self.driver.get_volume_stats()
        self.assertEqual((10, 4, False), (
            stats['total_capacity_gb'], stats['free_capacity_gb'],
            stats['thin_provisioning_support']))
        self.pool()
        stats = self.driver.get_volume_stats(refresh=True)
        self.assertEqual((8, 6, True), (
            stats['total_capacity_gb'], stats['free_capacity_gb'],
            stats['thin_provisioning_support']))
