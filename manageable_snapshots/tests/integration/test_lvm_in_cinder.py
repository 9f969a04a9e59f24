# SPDX-License-Identifier: Apache-2.0

"""Cinder's volume manager and its LVM driver, with this project, on real LVM.

And its NFS driver, on a real share.

The manager is called as Cinder's service calls it when a message comes, with
Cinder's objects. Around it are an SQLite file and a transport in memory: what
goes over the wire is tested where there is a broker, and in the virtual
machine that has LVM everything takes its time. The Python is that of a Cinder.
"""

import contextlib
import hashlib
import importlib.util
import os
import shlex
import subprocess
import sys
import unittest
import uuid

import fixtures
from oslotest import base

from manageable_snapshots.drivers.lvm import commands as lvm_commands
from manageable_snapshots.drivers.lvm import report as lvm_report
from manageable_snapshots.tests.drivers import lvm_group
from manageable_snapshots.tests.integration import cinder

CONF = """
[DEFAULT]
state_path = {folder}
host = devhost
transport_url = fake:/
volume_manager = manageable_snapshots.volume.cinder.VolumeManager
enabled_backends = {backend}
[coordination]
backend_url = file://{folder}
[oslo_concurrency]
lock_path = {folder}
[database]
connection = sqlite:///{folder}/cinder.sqlite
[manageable_snapshots]
inventory_max_age = 0
[{backend}]
"""

DISKS = """
volume_driver = cinder.volume.drivers.lvm.LVMVolumeDriver
volume_group = {group}
lvm_type = {type}
volume_clear = none
manageable_snapshots_native = {native}
"""

SHARES = """
volume_driver = cinder.volume.drivers.nfs.NfsDriver
nfs_shares_config = {folder}/shares
nfs_mount_point_base = {folder}/mounts
nfs_mount_options = vers=4.2
nas_secure_file_operations = false
nas_secure_file_permissions = false
"""

#: bytes that tell one content from another
LENGTH = 65536


class Host:
    """One backend of a volume service, as its process sets it up.

    :param backend: its section
    :param lines: what that one says
    :param folder: for its files
    """

    def __init__(self, backend: str, lines: str, folder: str) -> None:
        os.environ['OS_CINDER_DISABLE_EVENTLET_PATCHING'] = '1'
        # First of all, as in the service: it chooses between threads and
        # eventlet, and registers options.
        from cinder.cmd import volume  # noqa: F401
        from cinder import context
        from cinder import coordination
        from cinder.db import migration
        from cinder import objects
        from cinder import privsep
        from cinder import rpc
        from os_brick import privileged as brick_privileged
        from oslo_config import cfg
        from oslo_utils import importutils

        path = os.path.join(folder, 'cinder.conf')
        with open(path, 'w') as file:
            file.write(CONF.format(folder=folder, backend=backend) + lines)
        objects.register_all()
        cfg.CONF(['--config-file', path], project='cinder',
                 default_config_dirs=[])
        migration.db_sync()
        rpc.init(cfg.CONF)
        coordination.COORDINATOR.start()
        # This is root already.
        privsep.sys_admin_pctxt.set_client_mode(False)
        brick_privileged.default.set_client_mode(False)
        self._objects = objects
        self.context = context.get_admin_context()
        self.context.project_id = self.context.user_id = uuid.uuid4().hex
        manager = importutils.import_class(cfg.CONF.volume_manager)
        self._host = f'devhost@{backend}'
        objects.Service(
            self.context, host=self._host, binary='cinder-volume',
            topic='cinder-volume', report_count=0, disabled=False,
            availability_zone='nova',
            rpc_current_version=manager.RPC_API_VERSION,
            object_current_version='1.39').create()
        service = objects.Service.get_by_args(
            self.context, self._host, 'cinder-volume')
        self.manager = manager(host=self._host, service_name=backend)
        self.manager.init_host(added_to_cluster=False, service_id=service.id)
        self.manager.init_host_with_rpc()

    def volume(self):
        """A volume that Cinder's driver has made."""
        volume = self._objects.Volume(
            self.context, host=f'{self._host}#pool', size=1,
            project_id=self.context.project_id,
            user_id=self.context.user_id, status='available',
            display_name='volume', availability_zone='nova',
            volume_type_id=self._volume_type())
        volume.create()
        volume.update(self.manager.driver.create_volume(volume) or {})
        volume.save()
        return volume

    def _volume_type(self):
        from cinder.volume import volume_types
        return volume_types.get_default_volume_type(self.context)['id']

    def snapshot(self, volume):
        """The row that Cinder's API makes."""
        snapshot = self._objects.Snapshot(
            self.context, volume_id=volume.id, status='creating',
            progress='0%', volume_size=volume.size, display_name='adopted',
            project_id=self.context.project_id,
            user_id=self.context.user_id,
            volume_type_id=volume.volume_type_id)
        snapshot.create()
        return snapshot

    def adopt(self, volume, ref):
        """The row, once it is settled."""
        snapshot = self.snapshot(volume)
        self.manager.manage_existing_snapshot(
            self.context, snapshot, ref=ref)
        backlog = self.manager._started()._backlog
        cinder.wait_for(lambda: not backlog.has(snapshot.id))
        return self.again(snapshot)

    def again(self, snapshot):
        return self._objects.Snapshot.get_by_id(self.context, snapshot.id)

    def listed(self):
        """What there is, by name."""
        return _by_name(self.manager.get_manageable_snapshots(
            self.context, None, 1000, 0, ['reference'], ['asc']))

    def listed_by_cinder(self):
        """What Cinder's own driver lists."""
        return _by_name(self.manager.driver.get_manageable_snapshots(
            self._objects.SnapshotList.get_by_host(self.context, self._host),
            None, 1000, 0, ['reference'], ['asc']))

    def clone(self, volume):
        """Have Cinder's driver clone a volume."""
        clone = self._objects.Volume(
            self.context, host=volume.host, size=1, status='creating',
            project_id=self.context.project_id,
            user_id=self.context.user_id,
            volume_type_id=volume.volume_type_id)
        clone.create()
        self.manager.driver.create_cloned_volume(clone, volume)
        return clone

    def backup_snapshot(self, volume):
        """The snapshot that Cinder takes for the time of a backup."""
        return self.manager.driver._create_temp_snapshot(
            self.context, volume)

    def resume(self):
        """Take up what was put off."""
        self.manager._started().resume()

    @property
    def commands(self):
        """By which our driver asks LVM."""
        return self.manager._started()._driver.commands


def _by_name(entries):
    return {entry['reference']['source-name']: entry for entry in entries}


def new_folder() -> str:
    """A folder for a Cinder's files.

    :raises unittest.SkipTest: there is no Cinder here
    """
    if importlib.util.find_spec('cinder') is None:
        raise unittest.SkipTest('This is not the Python of a Cinder.')
    folder = fixtures.TempDir()
    folder.setUp()
    return folder.path


class InCinder:

    thin = False
    native = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = new_folder()
        cls.group = lvm_group.VolumeGroup(cls.thin)
        cls.host = Host('disks', DISKS.format(
            group=cls.group.name, native=cls.native,
            type='thin' if cls.thin else 'default'), folder)

    def setUp(self):
        super().setUp()
        self.volume = self.host.volume()
        self.old = self.write()
        self.put(self.volume, f'old-{uuid.uuid4().hex[:8]}')
        self.new = self.write()

    def put(self, volume, name):
        """A snapshot that nobody manages."""
        lvm_group.lvm(self.group.snapshot(volume.name, name))
        self.name = name

    def write(self):
        data = os.urandom(LENGTH)
        with open(self.group.path(self.volume.name), 'r+b') as device:
            device.write(data)
            device.flush()
            os.fsync(device.fileno())
        return hashlib.sha256(data).hexdigest()

    def read(self, name):
        with open(self.group.path(name), 'rb') as device:
            return hashlib.sha256(device.read(LENGTH)).hexdigest()

    def adopted(self):
        snapshot = self.host.adopt(self.volume, {'source-name': self.name})
        self.assertEqual('available', snapshot.status, snapshot.metadata)
        return snapshot

    def test_adopt_and_delete(self):
        other = f'{self.name}-other'
        lvm_group.lvm(self.group.snapshot(self.volume.name, other))
        entry = self.host.listed()[self.name]
        self.assertEqual((1, True, {'source-name': self.volume.name}), (
            entry['size'], entry['safe_to_manage'],
            entry['source_reference']))
        snapshot = self.host.adopt(self.volume, entry['reference'])
        self.assertEqual('available', snapshot.status, snapshot.metadata)
        name = f'_{snapshot.name}'
        self.assertEqual(self.old, self.read(name))
        self.assertEqual(self.new, self.read(self.volume.name))
        self.assertEqual(snapshot.id, self.host.listed()[name]['cinder_id'])
        self.host.manager.delete_snapshot(self.host.context, snapshot)
        self.assertEqual({other}, set(self.group.active()) & {name, other})
        self.assertEqual(self.new, self.read(self.volume.name))

    def test_unmanage_and_adopt_again(self):
        snapshot = self.adopted()
        self.host.manager.delete_snapshot(
            self.host.context, snapshot, unmanage_only=True)
        name = f'_{snapshot.name}'
        entry = self.host.listed()[name]
        self.assertEqual((None, True),
                         (entry['cinder_id'], entry['safe_to_manage']))
        again = self.host.adopt(self.volume, entry['reference'])
        self.assertEqual('available', again.status, again.metadata)
        self.assertEqual(self.old, self.read(f'_{again.name}'))

    def test_what_is_managed_is_refused(self):
        snapshot = self.adopted()
        again = self.host.adopt(
            self.volume, {'source-name': f'_{snapshot.name}'})
        self.assertEqual('error', again.status)
        self.assertIn(f'{snapshot.id} manages it already',
                      again.metadata['manage_error'])
        self.assertEqual(self.old, self.read(f'_{snapshot.name}'))

    def test_another_volumes_snapshot_is_refused(self):
        other = self.host.volume()
        snapshot = self.host.adopt(other, {'source-name': self.name})
        self.assertEqual('error', snapshot.status)
        self.assertIn('not of' if self.native else 'it is not a snapshot of',
                      snapshot.metadata['manage_error'])
        self.assertEqual(self.old, self.read(self.name))

    def refused(self, name):
        snapshot = self.host.adopt(self.volume, {'source-name': name})
        self.assertEqual('error', snapshot.status, name)
        return snapshot.metadata['manage_error']

    def put_in_use(self):
        """A context in which there is a snapshot that somebody has open."""
        self.put(self.volume, f'open-{uuid.uuid4().hex[:8]}')
        return open(self.group.path(self.name), 'rb')

    def not_safe(self, entries):
        """Why each snapshot of the volume is not, by name."""
        return {name: entry['reason_not_safe']
                for name, entry in entries.items()
                if entry['source_reference']['source-name']
                == self.volume.name and not entry['safe_to_manage']}

    def test_what_is_not_safe(self):
        managed = self.adopted()
        backup = self.host.backup_snapshot(self.volume)
        with self.put_in_use(), fixtures.MockPatchObject(
                lvm_commands, 'OPEN_SECONDS', 1):
            ours = self.not_safe(self.host.listed())
            cinders = self.not_safe(self.host.listed_by_cinder())
            in_use = self.refused(self.name)
        expected = {f'_{managed.name}': 'already managed',
                    f'_{backup.name}': 'already managed',
                    self.name: 'snapshot in use'}
        self.assertEqual(expected, ours)
        # Those of thin volumes are no snapshots to Cinder's driver.
        self.assertEqual({} if self.thin else expected, cinders)
        self.assertIn('snapshot in use', in_use)
        self.assertIn(f'{backup.id} manages it already',
                      self.refused(f'_{backup.name}'))


class ThickTest(InCinder, base.BaseTestCase):

    def test_the_snapshot_by_which_cinder_clones(self):
        from cinder.volume import volume_utils
        copy, seen, refusals = volume_utils.copy_volume, {}, []

        def look(*args, **kwargs):
            seen.update(self.host.listed())
            refusals.extend(self.refused(name) for name in seen
                            if name.startswith('clone-snap-'))
            return copy(*args, **kwargs)

        with fixtures.MockPatchObject(volume_utils, 'copy_volume', look):
            clone = self.host.clone(self.volume)
        entry = seen[f'clone-snap-{clone.id}']
        self.assertEqual(
            (False, 'Cinder uses it to clone a volume'),
            (entry['safe_to_manage'], entry['reason_not_safe']))
        [refusal] = refusals
        self.assertIn('to clone a volume', refusal)
        # What it would not have, had the snapshot another name now.
        self.assertEqual(self.new, self.read(clone.name))
        self.assertNotIn(f'clone-snap-{clone.id}', self.host.listed())

    def test_a_rename_that_hangs(self):
        log = self.useFixture(fixtures.FakeLogger())
        commands, held = self.host.commands, contextlib.ExitStack()
        self.addCleanup(held.close)
        rename = commands._cinders_rename

        def hang(*names):
            held.enter_context(self.group.locked())
            # There will be no answer to what is asked next either.
            commands._seconds = 2
            return rename(*names)

        snapshot = self.host.snapshot(self.volume)
        with fixtures.MockPatchObject(commands, '_seconds', 10), (
                fixtures.MockPatchObject(commands, '_cinders_rename', hang)):
            self.host.manager.manage_existing_snapshot(
                self.host.context, snapshot, ref={'source-name': self.name})
            cinder.wait_for(lambda: 'is put off' in log.output)
        self.assertEqual('creating', self.host.again(snapshot).status)
        self.assertIn('lvrename of volume group', log.output)
        # It comes to its end late.
        held.close()
        self.host.resume()
        cinder.wait_for(
            lambda: self.host.again(snapshot).status != 'creating')
        self.assertEqual('available', self.host.again(snapshot).status)
        self.assertEqual(self.old, self.read(f'_{snapshot.name}'))

    def test_cinders_rootwrap_lets_it_pass(self):
        from oslo_rootwrap import wrapper
        filters = wrapper.load_filters([
            os.path.join(sys.prefix, 'etc', 'cinder', 'rootwrap.d')])
        folders = ['/usr/sbin', '/sbin', '/usr/bin', '/bin']
        for options in ([], ['LVM_SYSTEM_DIR=/etc/cinder'],
                        ['LVM_SUPPRESS_FD_WARNINGS=1'],
                        ['LVM_SYSTEM_DIR=/etc/cinder',
                         'LVM_SUPPRESS_FD_WARNINGS=1']):
            command = ['env', 'LC_ALL=C', *options, 'lvs',
                       *lvm_report.arguments(lvm_report.FIELDS), 'group']
            self.assertEqual(
                command[command.index('lvs') + 1:],
                wrapper.match_filter(filters, command, folders).get_command(
                    command, folders)[1:])


class ThinTest(InCinder, base.BaseTestCase):

    thin = True


class OwnTest(InCinder, base.BaseTestCase):
    """With Cinder's driver, which does not look at the origin."""

    native = False

    def test_what_is_not_safe(self):
        with self.put_in_use():
            self.assertIn('snapshot in use', self.refused(self.name))
        self.adopted()


class NfsTest(base.BaseTestCase):
    """A driver that can neither list nor adopt, on a real share.

    The kernel that has LVM has NFS as well.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = new_folder()
        root = os.path.join(folder, 'root')
        share(root)
        # The root itself is none to Cinder's driver.
        cls.export = os.path.join(root, 'export')
        os.mkdir(cls.export)
        with open(os.path.join(folder, 'shares'), 'w') as file:
            file.write('127.0.0.1:/export\n')
        cls.host = Host('shares', SHARES.format(folder=folder), folder)

    def test_list(self):
        # What Cinder is to run on it chooses before this is imported.
        import oslo_messaging
        error = self.assertRaises(
            oslo_messaging.ExpectedException, self.host.listed)
        self.assertEqual('The driver NfsDriver cannot list snapshots.',
                         error.exc_info[1].msg)

    def test_adopt(self):
        volume = self.host.volume()
        self.assertEqual([volume.name], os.listdir(self.export))
        snapshot = self.host.adopt(volume, {'source-name': 'old'})
        self.assertEqual('error', snapshot.status)
        self.assertIn('The driver NfsDriver cannot adopt snapshots.',
                      snapshot.metadata['manage_error'])


def share(folder):
    """Make a file system, and share it by NFS."""
    disk = f'{folder}.disk'
    os.mkdir(folder)
    with open(disk, 'xb') as file:
        file.truncate(4 * 2**30)
    for command in (
            'modprobe --all nfsd nfsv4',
            f'mke2fs -q -t ext4 {disk}', f'mount -o loop {disk} {folder}',
            'mount -t nfsd nfsd /proc/fs/nfsd',
            'mkdir -p /var/lib/nfs/v4recovery /run/rpc_pipefs',
            'exportfs -o rw,no_root_squash,insecure,fsid=0 '
            f'127.0.0.1:{folder}',
            # Whoever opens a file waits for so long, else 90 seconds.
            'rpc.nfsd --no-nfs-version 3 --grace-time 10 4',
            'rpc.mountd --no-nfs-version 3'):
        subprocess.run(shlex.split(command), check=True,
                       timeout=lvm_group.PATIENCE)
