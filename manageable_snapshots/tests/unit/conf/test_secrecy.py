# SPDX-License-Identifier: Apache-2.0

"""Which files tell their secrets, and to whom."""

import os
import pathlib

import fixtures
from oslotest import base

from manageable_snapshots import conf as configuration
from manageable_snapshots.conf import secrecy

SECRETS = (
    'transport_url = rabbit://user:word@host:5672/',
    'connection=mysql+pymysql://user:word@host/db',
    'connection : mysql+pymysql://user:w/o#r@d@host/db',
    'backend_url = redis://:word@host',
    'password = word', 'admin_password=word', 'san_password = word',
    'memcache_secret_key = word', 'chap_secret = word')
HARMLESS = (
    '', '# password = word', 'password =', 'password = ',
    'connection = sqlite:////var/lib/x.sqlite',
    'backend_url = file:///var/lib', 'auth_url = https://host:5000/v3',
    'rbd_secret_uuid = 5f2d', 'password_file = /etc/x',
    'www_authenticate_uri = http://host', 'username = user')


class SecrecyTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        # Those that are made for a test are private.
        for folder in (self.folder, os.path.dirname(self.folder)):
            os.chmod(folder, 0o755)
        if not all(path.stat().st_mode & 0o001
                   for path in pathlib.Path(self.folder).parents):
            self.skipTest('Temporary files are private here.')

    def exposed(self, text, mode=0o644, by_folder=False):
        path = os.path.join(self.folder, 'project.conf')
        with open(path, 'w') as file:
            file.write(f'[DEFAULT]\n{text}\n')
        os.chmod(path, mode)
        conf = configuration.new()
        conf(['--config-dir', self.folder] if by_folder
             else ['--config-file', path], default_config_files=[])
        found = secrecy.exposed(conf)
        self.assertIn(found, ([], [path]))
        return bool(found)

    def test_a_secret_that_everybody_may_read(self):
        for text in SECRETS:
            with self.subTest(text=text):
                self.assertTrue(self.exposed(text))

    def test_what_is_no_secret(self):
        for text in HARMLESS:
            with self.subTest(text=text):
                self.assertFalse(self.exposed(text))

    def test_what_not_everybody_may_read(self):
        for mode in (0o600, 0o640, 0o660):
            self.assertFalse(self.exposed(SECRETS[0], mode))

    def test_in_a_folder_that_not_everybody_may_enter(self):
        os.chmod(self.folder, 0o750)
        self.assertFalse(self.exposed(SECRETS[0]))

    def test_one_of_a_folder_of_files(self):
        self.assertTrue(self.exposed(SECRETS[0], by_folder=True))
