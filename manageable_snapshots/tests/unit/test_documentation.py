# SPDX-License-Identifier: Apache-2.0

"""What the documentation says, where a change of the code makes it wrong.

That options and pages exist, the build of the documentation checks.
"""

import ast
import configparser
import datetime
import json
import pathlib
import re

from oslotest import base

from manageable_snapshots import conf as configuration
from manageable_snapshots.db import models
from manageable_snapshots import releases
from manageable_snapshots.rpc import notifications

_ROOT = pathlib.Path(__file__).parents[3]
_PAGES = _ROOT / 'doc' / 'source'


class DocumentationTest(base.BaseTestCase):

    def test_links_of_the_readme_lead_somewhere(self) -> None:
        targets = re.findall(r'`[^`<]+<([^>]+)>`_',
                             (_ROOT / 'README.rst').read_text())
        self.assertNotEqual([], targets)
        for target in targets:
            self.assertTrue((_ROOT / target).is_file(), target)

    def test_the_guide_to_the_code_names_modules_that_exist(self) -> None:
        for page in ('code', 'cinder-checks', 'decisions', 'drivers'):
            text = (_PAGES / 'contributor' / f'{page}.rst').read_text()
            named = re.findall(r'``((?:\w+/)+\w+\.py)``', text)
            if page == 'code':
                self.assertNotEqual([], named)
            for path in named:
                with self.subTest(page=page, path=path):
                    self.assertTrue(
                        (_ROOT / path).is_file()
                        or (_ROOT / 'manageable_snapshots' / path).is_file())

    def test_times_are_the_defaults(self) -> None:
        conf = configuration.new()
        rows = re.findall(
            r':oslo\.config:option:`(?:(\w+)\.)?(\w+)`\n +- (\d+)\n',
            (_PAGES / 'admin' / 'services.rst').read_text().split(
                'Nothing grows')[0])
        self.assertNotEqual([], rows)
        for group, option, seconds in rows:
            self.assertEqual(
                int(seconds), (conf[group] if group else conf)[option],
                option)

    def test_services_start_commands_that_there_are(self) -> None:
        setup = configparser.ConfigParser()
        setup.read(_ROOT / 'setup.cfg')
        commands = re.findall(r'^([\w-]+) =',
                              setup['entry_points']['console_scripts'], re.M)
        services = list((_PAGES / 'install').glob('*.service'))
        self.assertNotEqual([], services)
        for service in services:
            unit = configparser.ConfigParser(interpolation=None)
            unit.optionxform = str  # type: ignore[method-assign]
            unit.read(service)
            path = pathlib.PurePath(unit['Service']['ExecStart'])
            self.assertIn(path.name, commands)

    def test_releases_of_cinder_are_those_that_are_known(self) -> None:
        rows = re.findall(
            r'   \* - (\d+)\n     - (\S+)\n     - (\S+)\n     - (\S+)\n',
            (_PAGES / 'cinder' / 'releases.rst').read_text())
        self.assertEqual(
            [(str(release.number), release.name, release.rpc_version,
              release.microversion) for release in releases.KNOWN], rows)

    def test_versions_of_libraries_are_those_that_are_tested(self) -> None:
        rows = re.findall(
            r'   \* - (\d+)\n(?:     - \S+\n){3}     - (\S+)\n     - (\S+)\n',
            (_PAGES / 'cinder' / 'releases.rst').read_text())
        self.assertNotEqual([], rows)
        for number, sqlalchemy, messaging in rows:
            pins = (_ROOT / 'tools' / 'constraints'
                    / f'cinder-{number}.txt').read_text().splitlines()
            self.assertIn(f'SQLAlchemy=={sqlalchemy}', pins)
            self.assertIn(f'oslo.messaging=={messaging}', pins)

    def test_threats_are_answered_by_tests_that_there_are(self) -> None:
        text = (_PAGES / 'admin' / 'security.rst').read_text()
        tests = _ROOT / 'manageable_snapshots' / 'tests'
        named = re.findall(r'^   - ``([\w.]+)``$', text, re.M)
        self.assertNotEqual([], named)
        for name in named:
            *module, kind, method = name.split('.')
            tree = ast.parse(tests.joinpath(*module).with_suffix(
                '.py').read_text())
            self.assertIn(method, [
                each.name for node in tree.body
                if isinstance(node, ast.ClassDef) and node.name == kind
                for each in node.body if isinstance(each, ast.FunctionDef)],
                name)
        sentences = re.findall(
            r'^   - ``([\w./]+)``: \*([^*]+)\*$', text, re.M)
        self.assertNotEqual([], sentences)
        for file, sentence in sentences:
            self.assertIn(f'  - name: {sentence}\n',
                          (tests / file).read_text())
        self.assertEqual(len(named) + len(sentences),
                         len(re.findall(r'^   - ', text, re.M)))

    def test_each_threat_is_answered_by_a_test(self) -> None:
        text = (_PAGES / 'admin' / 'security.rst').read_text()
        threats = re.split(r'^[A-Z].*\n   (?=\w)', text, flags=re.M)[1:]
        self.assertNotEqual([], threats)
        for threat in threats:
            self.assertIn('\n   - ``', threat)

    def test_the_notification_has_the_keys_of_the_payload(self) -> None:
        now = datetime.datetime(2026, 1, 1)
        payload = notifications.snapshot_usage(
            models.Snapshot(id='s', volume_id='v', created_at=now,
                            volume_size=1, deleted=False),
            models.Volume(id='v'), {})
        sample = json.loads(
            (_PAGES / 'admin' / 'notification.json').read_text())
        self.assertEqual(list(payload), list(sample))
