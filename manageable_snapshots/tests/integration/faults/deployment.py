# SPDX-License-Identifier: Apache-2.0

"""A deployment to break: an API and workers over real servers and Ceph.

Which snapshots there were and what was answered is written down, so that it
can be told at any time whether one was lost.
"""

from collections.abc import Callable
import os
import random
import subprocess
import sys
import sysconfig
import time
from typing import Any
import uuid

import fixtures
from oslotest import base
import sqlalchemy as sa
from testtools import content

from manageable_snapshots.tests.drivers import ceph
from manageable_snapshots.tests.integration.faults import invariants
from manageable_snapshots.tests.integration import test_standalone

PATIENCE = test_standalone.PATIENCE

#: seconds, as configured
RPC_TIMEOUT = 2
DATABASE_TIMEOUT = 2
RECOVERY_INTERVAL = 1
OP_TIMEOUT = 5

#: of the configuration file
OPTIONS = f"""
[manageable_snapshots]
recovery_interval = {RECOVERY_INTERVAL}
rpc_timeout = {RPC_TIMEOUT}
list_timeout = {OP_TIMEOUT}
db_timeout = {DATABASE_TIMEOUT}
inventory_max_age = 0
"""


def setting(name: str, default: Any) -> Any:
    """How much is done, where the environment says so.

    :param name: of the variable, without what all of them begin with
    """
    return type(default)(os.environ.get(
        f'MANAGEABLE_SNAPSHOTS_TEST_{name}', default))


def seeded(test: base.BaseTestCase) -> random.Random:
    """The dice of a test; a failure tells how to throw the same again."""
    seed = setting('FAULTS_SEED', random.randrange(2 ** 32))
    print(f'MANAGEABLE_SNAPSHOTS_TEST_FAULTS_SEED={seed}', file=sys.stderr)
    test.addDetail('seed', content.text_content(str(seed)))
    return random.Random(seed)


class Deployment(fixtures.Fixture):
    """One backend, which several workers may serve.

    :ivar pool: the backend's
    :ivar host: its name
    :ivar database_url: the database's
    :ivar api: the API's process
    :ivar workers: theirs
    :ivar armed: the folder where points are armed for all of them
    """

    pool: ceph.Pool
    host: str
    database_url: str
    api: Any
    workers: list[Any]
    armed: str
    #: its configuration file
    _file: str

    def __init__(self) -> None:
        super().__init__()
        self.ledger = invariants.Ledger()

    @property
    def processes(self) -> list[Any]:
        return [self.api, *self.workers]

    def restart(self, process: Any) -> None:
        """Start again what has ended, and wait until it serves."""
        raise NotImplementedError

    def begin(self, process: Any) -> Any:
        """Start again what has ended."""
        raise NotImplementedError

    def ask(self, method: str, path: str,
            body: Any = None) -> tuple[int | None, Any]:
        """The status of an answer, and its body; None: there was none.

        :param path: what follows the project in the URL
        """
        raise NotImplementedError

    def foreign(self, volumes: int, snapshots: int,
                size: int = 1) -> list[invariants.Foreign]:
        """New volumes with foreign snapshots, of one volume after another.

        :param snapshots: of each volume
        :param size: theirs, GiB; the volumes' rows say 1
        """
        names = [f'foreign-{number}' for number in range(snapshots)]
        found = []
        for volume_id in self.volumes(volumes):
            with self.pool.open(f'volume-{volume_id}') as image:
                image.resize(size << 30)
            found += self.take(volume_id, names)
        return found

    def volumes(self, number: int) -> list[str]:
        """The ids of new volumes."""
        made = []
        for _ in range(number):
            status, answer = self.ask(
                'POST', 'volumes', {'volume': {'size': 1}})
            if status != 202:
                raise AssertionError(f'{status}: {answer}')
            made.append(answer['volume']['id'])
        wait_for(lambda: {
            each['status'] for each in self.ask(
                'GET', 'volumes/detail')[1]['volumes']} == {'available'})
        return made

    def take(self, volume_id: str,
             names: list[str]) -> list[invariants.Foreign]:
        """Foreign snapshots of a volume, each with bytes of its own."""
        image = f'volume-{volume_id}'
        data = {name: f'{volume_id}/{name:<40}'.encode() for name in names}
        with self.pool.open(image) as opened:
            for name in names:
                opened.write(data[name], 0)
                opened.create_snap(name)
        numbers = self.pool.snapshots(image)
        taken = [invariants.Foreign(volume_id, name, numbers[name],
                                    data[name]) for name in names]
        self.ledger.foreign.update((each.key, each) for each in taken)
        return taken

    def adopt(self, foreign: invariants.Foreign, *,
              ref: Any = None) -> tuple[int | None, Any]:
        """Ask for an adoption, and write down what comes of it."""
        name = uuid.uuid4().hex
        status, answer = self.ask('POST', 'manageable_snapshots', {
            'snapshot': {
                'volume_id': foreign.volume_id, 'name': name,
                'ref': ref or {'source-name': foreign.name},
                'description': foreign.key}})
        if status == 202:
            self.ledger.accepted.add(answer['snapshot']['id'])
        elif status is not None:
            self.ledger.refused[name] = status, answer
        return status, answer

    def grow_old(self) -> None:
        """Let adoptions that are under way have been accepted long ago."""
        engine = sa.create_engine(self.database_url)
        with engine.begin() as connection:
            connection.exec_driver_sql(
                'UPDATE snapshots SET created_at = created_at - INTERVAL 1 '
                "YEAR WHERE status = 'creating'")
        engine.dispose()

    def insist(self, foreign: invariants.Foreign, *,
               ref: Any = None) -> int | None:
        """Ask for an adoption until there is an answer that is final.

        :returns: 202 or 400: it is accepted now, or was before
        """
        end = time.monotonic() + PATIENCE
        while True:
            status, answer = self.adopt(foreign, ref=ref)
            if status in (202, 400):
                return status
            if status not in (None, 503) or time.monotonic() > end:
                raise AssertionError(f'{status}: {answer}')
            if status is None:
                # Refused at once where nobody listens.
                time.sleep(0.1)

    def settle(self) -> None:
        """Wait until no adoption is under way, as long as some end."""
        try:
            while left := len(invariants.creating(self.database_url)):
                wait_for(lambda: len(
                    invariants.creating(self.database_url)) < left, 60)
        except AssertionError:
            raise AssertionError('\n'.join(
                [*invariants.creating(self.database_url),
                 *(each.log[-5000:] for each in self.processes)])) from None

    def breaches(self) -> list[str]:
        """Of the invariants, once no adoption is under way."""
        self.settle()
        return invariants.breaches(
            self.database_url, self.pool, self.ledger)

    def audit(self) -> None:
        """Have the project's own command look for breaches.

        :raises AssertionError: it finds one, or cannot look
        """
        done = subprocess.run(
            [os.path.join(sysconfig.get_path('scripts'),
                          'manageable-snapshots-manage'),
             '--config-file', self._file, 'audit', '--older-than', '0'],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=PATIENCE)
        if done.returncode:
            raise AssertionError(done.stdout)

    def foreign_still(self, of: list[invariants.Foreign],
                      ) -> list[invariants.Foreign]:
        """Those that nobody has adopted; to be asked when all is sound."""
        names = {volume_id: self.pool.snapshots(f'volume-{volume_id}')
                 for volume_id in {each.volume_id for each in of}}
        return [each for each in of if each.name in names[each.volume_id]]


class TestCase(base.BaseTestCase):
    """A deployment for each test."""

    def setUp(self) -> None:
        super().setUp()
        self.deployment = self.useFixture(self.deploy())

    def deploy(self) -> Deployment:
        raise NotImplementedError

    def assert_sound(self, message: str = '') -> None:
        self.assertEqual([], self.deployment.breaches(), message)
        self.deployment.audit()

    def assert_adopted(self, foreign: list[invariants.Foreign],
                       message: str = '') -> None:
        """Each has its row; to be asked when the rows are sound."""
        self.assertEqual([], self.deployment.foreign_still(foreign), message)


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE,
             message: str = '') -> None:
    """Wait for what happens elsewhere.

    :raises AssertionError: it does not
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f'it did not happen in time {message}')
        time.sleep(0.05)
