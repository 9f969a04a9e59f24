# SPDX-License-Identifier: Apache-2.0

"""Cinder's drivers through the interface that they have in common.

Its RBD driver on real Ceph, a vendor's driver on the vendor's own fake of the
array, the NFS driver, which can neither list nor adopt, on a local folder in
the place of a share, and two drivers made for what is peculiar to others.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import unittest
import urllib.parse
import urllib.request

import fixtures

from manageable_snapshots.tests.integration import cinder
from manageable_snapshots.tests.integration import test_cinder

HERE = os.path.dirname(__file__)

#: the one to look at, in each class
BACKENDS = ('ceph', 'vpsa', 'bare', 'encoded', 'nfs')

ACCESS_KEY = '0123456789ABCDEF'
SHARE = '127.0.0.1:/export'

DRIVERS = '''
import base64
import os
import uuid

from cinder import exception
from cinder.volume import driver


class Plain:

    def check_for_setup_error(self):
        pass

    def create_volume(self, volume):
        pass

    def delete_volume(self, volume):
        pass

    def _update_volume_stats(self):
        self._stats = {
            'volume_backend_name': self.configuration.volume_backend_name,
            'storage_protocol': 'none', 'vendor_name': 'none',
            'driver_version': '1', 'total_capacity_gb': 'infinite',
            'free_capacity_gb': 'infinite'}


class Bare(Plain, driver.BaseVD):
    """Has not even the methods."""

    def create_export(self, context, volume, connector):
        pass

    def ensure_export(self, context, volume):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector):
        pass

    def terminate_connection(self, volume, connector, **kwargs):
        pass


class Encoded(Plain, driver.VolumeDriver):
    """Has names of its own for everything, as 3PAR and others.

    It lists what it calls "name" and takes that as "source-name". Each of
    its volumes has a nightly and a weekly snapshot from the start, and one
    that cannot be renamed, so that the row says which it is, as of Datera.
    What is mapped to a host is not safe, and adopted all the same.
    """

    held = {}

    def create_volume(self, volume):
        name = 'vv-' + volume.name_id
        self.held[name] = {'nightly', 'weekly', 'fixed:' + name}

    def get_manageable_snapshots(self, cinder_snapshots, marker, limit,
                                 offset, sort_keys, sort_dirs):
        managed = {self._name(row): row.id for row in cinder_snapshots}
        managed.update((row.provider_location, '')
                       for row in cinder_snapshots)
        return [{
            'reference': {'name': name},
            'size': 0.5,
            'safe_to_manage': reason is None,
            'reason_not_safe': reason,
            'cinder_id': managed.get(name),
            'source_reference': {'name': volume},
        } for volume, names in self.held.items() for name in names
            for reason in [self._reason(volume, name, managed)]]

    def manage_existing_snapshot_get_size(self, snapshot, existing_ref):
        if existing_ref['source-name'] not in self._of(snapshot):
            raise exception.InvalidInput(reason='the array has none')
        return 0.5

    def manage_existing_snapshot(self, snapshot, existing_ref):
        name = existing_ref['source-name']
        if name.startswith('fixed:'):
            return {'provider_location': name}
        self._of(snapshot).remove(name)
        self._of(snapshot).add(self._name(snapshot))
        if name == 'weekly' and snapshot.display_name == 'unheard':
            raise exception.VolumeBackendAPIException(data='timeout')
        return {'display_name': snapshot.display_name or name,
                'provider_location': 'shelf 7',
                'metadata': {'array': 'north'}}

    def unmanage_snapshot(self, snapshot):
        pass

    def _of(self, snapshot):
        return self.held['vv-' + snapshot.volume.name_id]

    def _reason(self, volume, name, managed):
        if name in managed:
            return 'taken'
        mark = os.path.join(os.path.dirname(__file__), volume)
        return ('mapped' if name == 'nightly' and os.path.exists(mark)
                else None)

    def _name(self, snapshot):
        return base64.b32encode(uuid.UUID(snapshot.id).bytes).decode()
'''

CONF = """
[DEFAULT]
enabled_backends = {backends}
[manageable_snapshots]
inventory_max_age = 0
recovery_interval = 5
[ceph]
manageable_snapshots_native = false
[vpsa]
volume_driver = cinder.volume.drivers.zadara.zadara.ZadaraVPSAISCSIDriver
volume_backend_name = vpsa
zadara_vpsa_host = 127.0.0.1
zadara_vpsa_port = {port}
zadara_vpsa_use_ssl = false
zadara_access_key = {key}
zadara_vpsa_poolname = pool-0001
[bare]
volume_driver = peculiar.Bare
volume_backend_name = bare
[encoded]
volume_driver = peculiar.Encoded
volume_backend_name = encoded
[nfs]
volume_driver = cinder.volume.drivers.nfs.NfsDriver
volume_backend_name = nfs
nfs_shares_config = {folder}/shares
nfs_mount_point_base = {folder}/mounts
nfs_snapshot_support = true
nas_secure_file_operations = false
nas_secure_file_permissions = false
"""


class Array:
    """The vendor's fake of the storage array, as a server.

    :param port: where it listens
    """

    def __init__(self, port):
        self.port = port
        self.url = f'http://127.0.0.1:{port}'

    def ask(self, path, **values):
        """Its answer.

        :param values: what to do; none: it is asked for what there is
        """
        request = urllib.request.Request(
            self.url + urllib.parse.quote(path),
            headers={'X-Access-Key': ACCESS_KEY},
            data=urllib.parse.urlencode(values).encode() if values else None)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or '{}').get('response')

    def put(self, volume_id, *names):
        """Snapshots of a volume that nobody manages."""
        for name in names:
            self.ask(f'/api/consistency_groups/OS_volume-{volume_id}'
                     '/snapshots.json', display_name=name)

    def hold(self):
        """Let the next adoption be done, and not be answered."""
        self.ask('/hold', next='rename')

    def held(self, volume_id):
        """The names of a volume's snapshots."""
        return {each['display_name'] for each in self.ask(
            '/api/consistency_groups/'
            f'OS_volume-{volume_id}/snapshots.json')['snapshots']}


class Backends:
    """What Cinder is to run on, and what of it there is.

    :ivar names: of the backends
    :ivar conf: for cinder.conf
    :ivar array: behind ``vpsa``
    """

    def __init__(self, cleanup):
        self._cleanup = cleanup
        self._stack = cinder.stack()
        self._folder = os.path.join(self._stack.folder, 'drivers')
        os.makedirs(self._folder, exist_ok=True)
        with open(os.path.join(self._folder, 'peculiar.py'), 'w') as file:
            file.write(DRIVERS)
        self.array = Array(self._start_array())
        self.names = [name for name in BACKENDS
                      if name != 'nfs' or self._mount()]
        self.conf = CONF.format(
            backends=','.join(self.names), key=ACCESS_KEY,
            port=self.array.port, folder=self._folder)
        for variable, value in (
                ('PYTHONPATH', self._folder),
                ('PATH', f'{self._folder}:{os.environ["PATH"]}')):
            self._use(fixtures.EnvironmentVariable(variable, value))
        cleanup.callback(self._forget)

    def _use(self, fixture):
        fixture.setUp()
        self._cleanup.callback(fixture.cleanUp)

    def _start_array(self):
        python = os.path.join(
            os.environ['CINDER_STACK_VENV'], 'bin', 'python')
        port_file = os.path.join(self._folder, 'port')
        with contextlib.suppress(FileNotFoundError):
            os.remove(port_file)
        # Without -P what is beside the script would come before Cinder.
        process = subprocess.Popen(
            [python, '-P', '-W', 'ignore', os.path.join(HERE, 'vpsa.py'),
             port_file],
            stdin=subprocess.DEVNULL)
        self._cleanup.callback(process.wait, cinder.PATIENCE)
        self._cleanup.callback(process.kill)
        cinder.wait_for(lambda: os.path.exists(port_file)
                        or process.poll() is not None)
        with open(port_file) as file:
            return int(file.read())

    def _mount(self):
        """Put a local folder where the NFS driver would mount the share.

        It leaves alone what is mounted there, and asks for no more of
        ``mount.nfs`` than that there is one.
        """
        point = os.path.join(self._folder, 'mounts', hashlib.md5(
            SHARE.encode(), usedforsecurity=False).hexdigest())
        os.makedirs(point, exist_ok=True)
        if subprocess.run(
                ['mount', '-t', 'tmpfs', 'share', point],
                stderr=subprocess.DEVNULL).returncode:
            return False
        self._cleanup.callback(
            subprocess.run, ['umount', '-l', point], check=True)
        with open(os.path.join(self._folder, 'shares'), 'w') as file:
            file.write(SHARE)
        command = os.path.join(self._folder, 'mount.nfs')
        with open(command, 'w') as file:
            file.write('#!/bin/sh\nexit 1\n')
        os.chmod(command, 0o755)
        return True

    def _forget(self):
        self._stack.rig('stop', 'volume')
        self._stack.clear()
        self._stack.execute(
            "DELETE FROM services WHERE topic = 'cinder-volume'")


_cleanup = contextlib.ExitStack()
_backends = []


def setUpModule():
    _backends.append(Backends(_cleanup))


def tearDownModule():
    _backends.clear()
    _cleanup.close()


class TestCase(cinder.TestCase):
    """With all of the backends."""

    BACKEND = 'ceph'

    @classmethod
    def setUpClass(cls):
        [backends] = _backends
        if cls.BACKEND not in backends.names:
            raise unittest.SkipTest('mounting takes rights that are missing')
        cls.array, cls.CONF = backends.array, backends.conf
        super().setUpClass()
        cls.HOST = f'devhost@{cls.BACKEND}'
        cinder.wait_for(cls._is_known)
        # It may be there already.
        cls.stack.ask('POST', 'types', {'volume_type': {
            'name': cls.BACKEND,
            'extra_specs': {'volume_backend_name': cls.BACKEND}}})

    @classmethod
    def _is_known(cls):
        _status, body = cls.stack.ask('GET', 'scheduler-stats/get_pools')
        return any(pool['name'].startswith(f'{cls.HOST}#')
                   for pool in body['pools'])

    def make_volume(self):
        return self.stack.volume(volume_type=self.BACKEND)

    def query(self, **parameters):
        return urllib.parse.urlencode({'host': self.HOST, **parameters})

    def entries(self, **parameters):
        """What is listed, page by page."""
        for page in self.stack.pages('manageable_snapshots/detail?'
                                     + self.query(**parameters)):
            yield from page

    def adopted(self, volume_id, ref, **values):
        """The snapshot that was adopted."""
        status, body = self.stack.ask('POST', 'manageable_snapshots', {
            'snapshot': {'volume_id': volume_id, 'ref': ref, **values}})
        self.assertEqual(202, status, body)
        return self.stack.wait(
            'snapshot', body['snapshot']['id'], 'available')

    def refused(self, volume_id, ref):
        """The reason, in the snapshot or at once."""
        status, answer = self.stack.adopt(volume_id, ref)
        if status == 400:
            return answer['badRequest']['message']
        self.assertEqual(202, status, answer)
        return self.stack.wait('snapshot', answer['id'], 'error')[
            'metadata']['manage_error']

    def unmanage(self, snapshot_id):
        status, _answer = self.stack.ask(
            'POST', f'snapshots/{snapshot_id}/action', {'os-unmanage': {}})
        self.assertEqual(202, status)
        self.stack.wait('snapshot', snapshot_id, None)


class RBDTest(test_cinder.Combination, TestCase):
    """Cinder's RBD driver, though there is one of ours."""

    def make_volume(self):
        return TestCase.make_volume(self)

    def adopted(self, name):
        return TestCase.adopted(
            self, self.volume_id, {'source-name': name})['id']

    def test_references_are_the_drivers(self):
        self.put('only-one')
        self.assertEqual({'source-name': 'only-one'},
                         self.listed()['only-one']['reference'])

    def test_what_the_driver_lists_as_not_safe(self):
        self.put('a.clone_snap')
        self.assertEqual('used for clone snap', self.listed()['a.clone_snap'][
            'reason_not_safe'])
        self.assertIn('used for clone snap', self.refused(
            self.volume_id, {'source-name': 'a.clone_snap'}))
        self.assertEqual({'a.clone_snap'}, self.held())

    def test_another_volumes(self):
        self.put('old')
        self.assertIn('not a snapshot of volume', self.refused(
            self.make_volume(), {'source-name': 'old'}))
        self.assertEqual({'old'}, self.held())

    def test_names_that_repeat(self):
        other_id = self.make_volume()
        self.put('nightly')
        self.stack.put(other_id, 'nightly')
        references = {
            entry['source_reference']['source-name']: entry['reference']
            for entry in self.entries()}
        ref = references[f'volume-{self.volume_id}']
        self.assertIn('not a snapshot of volume', self.refused(other_id, ref))
        adopted = TestCase.adopted(self, self.volume_id, ref)
        self.assertEqual({f'snapshot-{adopted["id"]}'}, self.held())
        self.assertEqual({'nightly'}, self.stack.held(other_id))


class Vendors:
    """Zadara's driver."""

    BACKEND = 'vpsa'

    def setUp(self):
        super().setUp()
        self.volume_id = self.make_volume()
        # The fake takes a snapshot's name for its id.
        self.old = f'old-{self.volume_id}'

    def put(self, *names):
        self.array.put(self.volume_id, *names)

    def held(self):
        return self.array.held(self.volume_id)

    def listed(self, **parameters):
        """This volume's, by name, each once."""
        entries = [entry for entry in self.entries(**parameters)
                   if entry['source_reference']['name']
                   == f'OS_volume-{self.volume_id}']
        found = {entry['reference']['name']: entry for entry in entries}
        self.assertEqual(len(found), len(entries))
        return found

    def test_list(self):
        self.put(self.old)
        snapshot_id = self.stack.snapshot(self.volume_id)
        entries = self.listed()
        self.assertEqual({self.old, f'snapshot-{snapshot_id}'}, set(entries))
        self.assertEqual(
            (True, None, 1), tuple(entries[self.old][key] for key in (
                'safe_to_manage', 'cinder_id', 'size')))
        self.assertEqual(
            (False, snapshot_id, 'already managed'),
            tuple(entries[f'snapshot-{snapshot_id}'][key] for key in (
                'safe_to_manage', 'cinder_id', 'reason_not_safe')))

    def test_list_by_pages(self):
        names = {f'{self.old}-{number}' for number in range(7)}
        self.put(*names)
        self.assertEqual(names, set(self.listed(limit=3)))
        self.assertEqual(names, set(self.listed(
            limit=2, sort='reference:desc')))

    def test_adopt_and_unmanage(self):
        self.put(self.old)
        ref = self.listed()[self.old]['reference']
        first = self.adopted(self.volume_id, ref)['id']
        self.assertEqual({f'snapshot-{first}'}, self.held())
        self.assertEqual(first, self.listed()[f'snapshot-{first}'][
            'cinder_id'])
        self.unmanage(first)
        self.assertEqual({f'snapshot-{first}'}, self.held())
        ref = self.listed()[f'snapshot-{first}']['reference']
        second = self.adopted(self.volume_id, ref)['id']
        self.assertEqual({f'snapshot-{second}'}, self.held())
        self.stack.ask('DELETE', f'snapshots/{second}')
        self.stack.wait('snapshot', second, None)
        self.assertEqual(set(), self.held())

    def test_source_name_is_fine(self):
        self.put(self.old)
        self.adopted(self.volume_id, {'source-name': self.old})

    def test_the_drivers_refusal(self):
        reason = self.refused(self.volume_id, {'name': 'gone'})
        self.assertIn('Snapshot gone could not be found', reason)

    def test_what_is_managed_is_refused(self):
        self.put(self.old)
        adopted = self.adopted(self.volume_id, {'name': self.old})['id']
        for key in 'name', 'source-name':
            self.assertIn('already', self.refused(
                self.volume_id, {key: f'snapshot-{adopted}'}))
        self.assertEqual({f'snapshot-{adopted}'}, self.held())
        self.stack.wait('snapshot', adopted, 'available')


class VendorsTest(Vendors, TestCase):

    def test_the_service_dies_when_the_array_has_renamed(self):
        self.put(self.old)
        self.array.hold()
        status, snapshot = self.stack.adopt(self.volume_id, {'name': self.old})
        self.assertEqual(202, status, snapshot)
        cinder.wait_for(lambda: self.held() != {self.old})
        self.stack.rig('kill', 'volume')
        self.stack.rig('start', 'volume')
        self.stack.wait('snapshot', snapshot['id'], 'available')
        self.assertEqual({f'snapshot-{snapshot["id"]}'}, self.held())


class VendorsWithStockAPITest(Vendors, TestCase):

    PARTS = ('manager',)

    def entries(self, **parameters):
        """Cinder's API gives no links, so by the marker."""
        while page := self.page(**parameters):
            yield from page
            parameters['marker'] = json.dumps(page[-1]['reference'])

    def page(self, **parameters):
        [page] = self.stack.pages('manageable_snapshots/detail?'
                                  + self.query(**parameters))
        return page


class EncodedTest(TestCase):
    """A driver whose names tell nobody else what they stand for."""

    BACKEND = 'encoded'

    def setUp(self):
        super().setUp()
        self.volume_id = self.make_volume()

    def listed(self):
        """This volume's entries."""
        return [entry for entry in self.entries()
                if entry['source_reference']['name']
                == f'vv-{self.volume_id}']

    def ref(self, name):
        [found] = [entry['reference'] for entry in self.listed()
                   if entry['reference']['name'] == name]
        return found

    def test_list(self):
        self.make_volume()
        entries = list(self.entries(limit=1))
        self.assertEqual(
            len(entries), len({json.dumps(entry['reference'])
                               for entry in entries}))
        self.assertEqual({'nightly', 'weekly', f'fixed:vv-{self.volume_id}'}, {
            entry['reference']['name'] for entry in self.listed()})
        self.assertEqual({1}, {entry['size'] for entry in self.listed()})

    def test_adopt_by_the_listed_reference(self):
        other_id = self.make_volume()
        ref = self.ref('weekly')
        self.assertIn('not a snapshot of volume', self.refused(other_id, ref))
        adopted = self.adopted(self.volume_id, ref)
        self.assertEqual([adopted['id']], [
            entry['cinder_id'] for entry in self.listed()
            if entry['cinder_id']])

    def test_what_is_managed_is_refused(self):
        adopted = self.adopted(self.volume_id, self.ref('weekly'))['id']
        [ref] = [entry['reference'] for entry in self.listed()
                 if entry['cinder_id'] == adopted]
        self.assertIn(f'{adopted} manages it already',
                      self.refused(self.volume_id, ref))
        self.assertIn(f'{adopted} manages it already', self.refused(
            self.volume_id, {'source-name': ref['name']}))
        self.unmanage(adopted)
        self.adopted(self.volume_id, ref)

    def test_what_is_managed_under_its_name_is_refused(self):
        ref = self.ref(f'fixed:vv-{self.volume_id}')
        adopted = self.adopted(self.volume_id, ref)['id']
        self.assertIn(f'{adopted} manages it already',
                      self.refused(self.volume_id, ref))
        self.assertEqual([adopted], [
            entry['cinder_id'] for entry in self.listed()
            if entry['reference'] == ref])

    def test_what_the_driver_says_of_it(self):
        shown = self.adopted(self.volume_id, self.ref('weekly'),
                             metadata={'mine': 'kept'})
        self.assertEqual(
            ('weekly', {'mine': 'kept', 'array': 'north'}),
            (shown['name'], shown['metadata']))

    def test_a_name_is_the_users(self):
        shown = self.adopted(
            self.volume_id, self.ref('weekly'), name='of mine')
        self.assertEqual('of mine', shown['name'])

    def test_what_the_driver_says_of_it_gets_lost(self):
        shown = self.adopted(
            self.volume_id, self.ref('weekly'), name='unheard')
        self.assertEqual({'array': 'north'}, shown['metadata'])

    def map(self):
        """Have the nightly snapshot be mapped to a host.

        :returns: the file for which the driver looks
        """
        mark = os.path.join(self.stack.folder, 'drivers',
                            f'vv-{self.volume_id}')
        with open(mark, 'x'):
            return mark

    def test_what_is_not_safe_is_refused(self):
        other_id = self.make_volume()
        ref, others = self.ref('nightly'), {'source-name': 'nightly'}
        self.map()
        for wanted in (ref, others):
            self.assertIn('mapped', self.refused(self.volume_id, wanted))
        # The other volume's of the same name is safe.
        self.adopted(other_id, others)

    def test_what_is_safe_again_is_adopted(self):
        ref = self.ref('nightly')
        mark = self.map()
        self.assertIn('mapped', self.refused(self.volume_id, ref))
        os.remove(mark)
        self.adopted(self.volume_id, ref)

    def test_a_key_that_the_driver_does_not_know(self):
        self.assertIn('source-name', self.refused(
            self.volume_id, {'source-id': '7'}))


class Lacking:
    """A driver that can neither list nor adopt.

    :ivar DRIVER: its class
    """

    def test_list(self):
        status, answer = self.stack.ask(
            'GET', f'manageable_snapshots?host={self.HOST}')
        self.assertEqual(400, status, answer)
        self.assertEqual(
            f'The driver {self.DRIVER} cannot list snapshots.',
            answer['badRequest']['message'])

    def test_adopt(self):
        self.assertIn(
            f'The driver {self.DRIVER} cannot adopt snapshots.',
            self.refused(self.make_volume(), {'source-name': 'old'}))


class BareTest(Lacking, TestCase):

    BACKEND = 'bare'
    DRIVER = 'Bare'


class NFSTest(Lacking, TestCase):

    BACKEND = 'nfs'
    DRIVER = 'NfsDriver'
