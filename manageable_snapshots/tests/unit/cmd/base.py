# SPDX-License-Identifier: Apache-2.0

"""What the tests of the commands have in common."""

import io
import os

import fixtures
from oslotest import base


class TestCase(base.BaseTestCase):
    """A test with a folder, and what a command printed.

    :ivar folder: its path
    """

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        # What commands log by is one for the process.
        self.useFixture(fixtures.FakeLogger())
        self.useFixture(fixtures.MonkeyPatch('sys.argv', ['the-command']))

    def write(self, text, name='project.conf'):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as file:
            file.write(text)
        return path

    def call(self, main, *arguments):
        """Call a command.

        :returns: its exit status, stdout and stderr
        """
        out, err = io.StringIO(), io.StringIO()
        with fixtures.MonkeyPatch('sys.stdout', out), \
                fixtures.MonkeyPatch('sys.stderr', err):
            try:
                status = main(list(arguments))
            except SystemExit as end:
                status = end.code
        return status, out.getvalue(), err.getvalue()
