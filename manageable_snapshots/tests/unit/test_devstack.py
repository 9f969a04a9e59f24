# SPDX-License-Identifier: Apache-2.0

"""What the DevStack plugin does to Cinder's configuration.

DevStack's functions are stood in for by some that do the same.
"""

import configparser
import pathlib
import subprocess
import sys

import fixtures
from oslotest import base

_FOLDER = pathlib.Path(__file__).parents[3] / 'devstack'

_PASTE = '''\
[composite:openstack_volume_api_v3]
use = call:cinder.api.middleware.auth:pipeline_factory
noauth = request_id noauth apiv3
keystone = request_id authtoken keystonecontext apiv3

[app:apiv3]
paste.app_factory = cinder.api.v3.router:APIRouter.factory
'''
_CONF = '''\
[DEFAULT]
host = devstack
'''
_MANAGER = 'manageable_snapshots.volume.cinder.VolumeManager'

_INI = '''\
import configparser
import sys

action, path, section, option, *value = sys.argv[1:]
ini = configparser.RawConfigParser(default_section=None)
ini.optionxform = str
ini.read(path)
if action == 'get':
    print(ini.get(section, option, fallback=''))
    sys.exit()
if action == 'delete':
    if ini.has_section(section):
        ini.remove_option(section, option)
else:
    if not ini.has_section(section):
        ini.add_section(section)
    ini.set(section, option, *value)
with open(path, 'w') as file:
    ini.write(file)
'''

_DEVSTACK = '''\
set -o errexit
iniset() { "$PYTHON" "$INI" set "$@"; }
iniget() { "$PYTHON" "$INI" get "$@"; }
inidelete() { "$PYTHON" "$INI" delete "$@"; }
trueorfalse() { echo "${!2:-$1}"; }
is_service_enabled() { [[ " $ENABLED " == *" $1 "* ]]; }
define_plugin() { :; }
echo_summary() { :; }
setup_develop() { echo "installed $1"; }
pip_uninstall() { echo "removed $1 from $PIP_VIRTUAL_ENV"; }
source "$FOLDER/settings"
source "$FOLDER/plugin.sh" "$@"
'''


class DevStackTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.paste = self.folder / 'api-paste.ini'
        self.conf = self.folder / 'cinder.conf'
        self.paste.write_text(_PASTE)
        self.conf.write_text(_CONF)
        (self.folder / 'ini.py').write_text(_INI)

    def _run(self, *phase: str, **settings: str) -> str:
        return subprocess.run(
            ['bash', '-c', _DEVSTACK, 'devstack', *phase], check=True,
            stdout=subprocess.PIPE, text=True, timeout=60,
            env={'PATH': '/usr/bin:/bin', 'PYTHON': sys.executable,
                 'INI': str(self.folder / 'ini.py'),
                 'FOLDER': str(_FOLDER), 'ENABLED': 'cinder',
                 'DEST': '/opt/stack', 'GLOBAL_VENV': 'True',
                 'DEVSTACK_VENV': '/opt/stack/data/venv',
                 'CINDER_API_PASTE_INI': str(self.paste),
                 'CINDER_CONF': str(self.conf), **settings}).stdout

    def _read(self, path: pathlib.Path) -> dict[str, dict[str, str]]:
        ini = configparser.RawConfigParser(default_section='')
        ini.read(path)
        return {name: dict(section) for name, section in ini.items() if name}

    def test_installs_the_checkout(self) -> None:
        self.assertEqual('installed /opt/stack/manageable-snapshots\n',
                         self._run('stack', 'install'))

    def test_puts_the_filter_before_the_api_in_each_pipeline(self) -> None:
        self._run('stack', 'post-config')

        paste = self._read(self.paste)
        composite = paste['composite:openstack_volume_api_v3']
        self.assertEqual('request_id noauth manageable_snapshots apiv3',
                         composite['noauth'])
        self.assertEqual(
            'request_id authtoken keystonecontext manageable_snapshots apiv3',
            composite['keystone'])
        self.assertEqual('call:cinder.api.middleware.auth:pipeline_factory',
                         composite['use'])
        self.assertEqual(
            {'paste.filter_factory':
                'manageable_snapshots.api:filter_factory'},
            paste['filter:manageable_snapshots'])

    def test_sets_the_volume_manager(self) -> None:
        self._run('stack', 'post-config')

        self.assertEqual(
            {'host': 'devstack', 'volume_manager': _MANAGER},
            self._read(self.conf)['DEFAULT'])

    def test_loads_the_filter_alone(self) -> None:
        self._run('stack', 'post-config',
                  MANAGEABLE_SNAPSHOTS_MANAGER='False')

        self.assertIn('filter:manageable_snapshots', self._read(self.paste))
        self.assertEqual(_CONF, self.conf.read_text())

    def test_loads_the_manager_alone(self) -> None:
        self._run('stack', 'post-config', MANAGEABLE_SNAPSHOTS_FILTER='False')

        self.assertEqual(_PASTE, self.paste.read_text())
        self.assertEqual(_MANAGER,
                         self._read(self.conf)['DEFAULT']['volume_manager'])

    def test_changes_nothing_the_second_time(self) -> None:
        self._run('stack', 'post-config')
        once = self.paste.read_text(), self.conf.read_text()

        self._run('stack', 'post-config')

        self.assertEqual(once, (self.paste.read_text(),
                                self.conf.read_text()))

    def test_leaves_cinder_as_it_was(self) -> None:
        before = self._read(self.paste), self._read(self.conf)
        self._run('stack', 'post-config')

        self._run('unstack')

        self.assertEqual(before,
                         (self._read(self.paste), self._read(self.conf)))

    def test_leaves_a_volume_manager_of_others_alone(self) -> None:
        self.conf.write_text('[DEFAULT]\nvolume_manager = theirs.Manager\n')

        self._run('unstack')

        self.assertEqual({'volume_manager': 'theirs.Manager'},
                         self._read(self.conf)['DEFAULT'])

    def test_has_nothing_to_undo_before_the_first_run(self) -> None:
        self.paste.unlink()
        self.conf.unlink()

        self._run('unstack')

        self.assertFalse(self.paste.exists() or self.conf.exists())

    def test_removes_the_package(self) -> None:
        self.assertEqual(
            'removed manageable-snapshots from /opt/stack/data/venv\n',
            self._run('clean'))

    def test_does_nothing_without_cinder(self) -> None:
        self._run('stack', 'post-config', ENABLED='nova')

        self.assertEqual((_PASTE, _CONF),
                         (self.paste.read_text(), self.conf.read_text()))
