# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.


"""Cinder's volume manager and its LVM driver, with this project, on real LVM.

The manager is called as Cinder's service calls it when a message comes, with
Cinder's objects. Around it are an SQLite file and a transport in memory: what
goes over the wire is tested where there is a broker, and in the virtual
machine that has LVM everything takes its time. The Python is that of a Cinder.
"""

import hashlib
import importlib.util
import os
import unittest
import uuid

import fixtures
from oslotest import base

from manageable_snapshots.tests.drivers import lvm_group

CONF = """
[DEFAULT]
state_path = {folder}
host = devhost
transport_url = fake:/
volume_manager = manageable_snapshots.volume.cinder.VolumeManager
enabled_backends = disks
[coordination]
backend_url = file://{folder}
[oslo_concurrency]
lock_path = {folder}
[database]
connection = sqlite:///{folder}/cinder.sqlite
[manageable_snapshots]
inventory_max_age = 0
[disks]
volume_driver = cinder.volume.drivers.lvm.LVMVolumeDriver
volume_group = {group}
lvm_type = {type}
volume_clear = none
manageable_snapshots_native = {native}
"""

#: bytes that tell one content from another
LENGTH = 65536


class Host:
    """One backend of a volume service, as its process sets it up.

    :param group: the volume group
    :param folder: for its files
    """

    def __init__(self, group: lvm_group.VolumeGroup, folder: str, *,
                 thin: bool, native: bool) -> None:
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
        from oslo_config import cfg
        from oslo_utils import importutils

        path = os.path.join(folder, 'cinder.conf')
        with open(path, 'w') as file:
            file.write(CONF.format(
                folder=folder, group=group.name, native=native,
                type='thin' if thin else 'default'))
        objects.register_all()
        cfg.CONF(['--config-file', path], project='cinder',
                 default_config_dirs=[])
        migration.db_sync()
        rpc.init(cfg.CONF)
        coordination.COORDINATOR.start()
        # This is root already.
        privsep.sys_admin_pctxt.set_client_mode(False)
        self._objects = objects
        self.context = context.get_admin_context()
        self.context.project_id = self.context.user_id = uuid.uuid4().hex
        manager = importutils.import_class(cfg.CONF.volume_manager)
        objects.Service(
            self.context, host='devhost@disks', binary='cinder-volume',
            topic='cinder-volume', report_count=0, disabled=False,
            availability_zone='nova',
            rpc_current_version=manager.RPC_API_VERSION,
            object_current_version='1.39').create()
        service = objects.Service.get_by_args(
            self.context, 'devhost@disks', 'cinder-volume')
        self.manager = manager(host='devhost@disks', service_name='disks')
        self.manager.init_host(added_to_cluster=False, service_id=service.id)
        self.manager.init_host_with_rpc()

    def volume(self):
        """A volume that Cinder's driver has made."""
        volume = self._objects.Volume(
            self.context, host='devhost@disks#disks', size=1,
            project_id=self.context.project_id,
            user_id=self.context.user_id, status='available',
            display_name='volume', availability_zone='nova',
            volume_type_id=self._volume_type())
        volume.create()
        self.manager.driver.create_volume(volume)
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
        return self.again(snapshot)

    def again(self, snapshot):
        return self._objects.Snapshot.get_by_id(self.context, snapshot.id)

    def listed(self):
        """What there is, by name."""
        return {
            entry['reference']['source-name']: entry
            for entry in self.manager.get_manageable_snapshots(
                self.context, None, 1000, 0, ['reference'], ['asc'])}


class InCinder:

    thin = False
    native = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if importlib.util.find_spec('cinder') is None:
            raise unittest.SkipTest('This is not the Python of a Cinder.')
        cls.group = lvm_group.VolumeGroup(cls.thin)
        folder = fixtures.TempDir()
        folder.setUp()
        cls.host = Host(cls.group, folder.path, thin=cls.thin,
                        native=cls.native)

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


class ThickTest(InCinder, base.BaseTestCase):
    pass


class ThinTest(InCinder, base.BaseTestCase):

    thin = True


class OwnTest(InCinder, base.BaseTestCase):
    """With Cinder's driver, which does not look at the origin."""

    native = False
