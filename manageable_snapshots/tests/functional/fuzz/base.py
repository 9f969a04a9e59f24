# SPDX-License-Identifier: Apache-2.0

"""What the fuzz tests share: a populated service, and what must stay true.

Two variables of the environment rule them:

``MANAGEABLE_SNAPSHOTS_TEST_EXAMPLES``
    requests of each test, more or less
``MANAGEABLE_SNAPSHOTS_TEST_SEED``
    an integer that repeats a run. Each run prints its own.
"""

from collections.abc import Callable
import logging
import os
import random
import re
import sys
from typing import Any

import hypothesis
from oslotest import base
import webob

from manageable_snapshots.db import models
from manageable_snapshots.tests.functional import fixtures

EXAMPLES = int(os.environ.get('MANAGEABLE_SNAPSHOTS_TEST_EXAMPLES', 100))
SEED = int(os.environ.get('MANAGEABLE_SNAPSHOTS_TEST_SEED')
           or random.SystemRandom().randrange(2 ** 32))

TOKEN = f'tester:{fixtures.PROJECT}'

_SETTINGS: dict[str, Any] = {
    'deadline': None, 'database': None, 'print_blob': True,
    'suppress_health_check': list(hypothesis.HealthCheck)}

# What only an answer that has leaked the inside can have.
_LEAKS = re.compile(
    r'Traceback|File \\?"/|site-packages|sqlalchemy|sqlite3|'
    r'\bSELECT .* FROM |\bINSERT INTO |\.py\b.*line \d')

_CONTROLS = re.compile('[\0-\x08\x0a-\x1f\x7f\x85\u2028\u2029]')


class _Broken(logging.Handler):
    """Keeps what should not be in a log."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith('manageable_snapshots'):
            return
        message = record.getMessage()
        if record.exc_info and record.exc_info[0]:
            self.found.append(f'{message}: {record.exc_info[1]!r}')
        elif _CONTROLS.search(message):
            self.found.append(f'not one line: {message!r}')


class FuzzTestCase(base.BaseTestCase):
    """Has ``service``, and looks at everything that comes back."""

    def setUp(self) -> None:
        super().setUp()
        print(f'MANAGEABLE_SNAPSHOTS_TEST_SEED={SEED}', file=sys.stderr)
        self.service = self.useFixture(fixtures.Service(
            DEFAULT={'quota_snapshots': -1, 'quota_gigabytes': -1,
                     'quota_volumes': -1}))
        self.service.populate()
        self.log = _Broken()
        logger = logging.getLogger()
        logger.addHandler(self.log)
        self.addCleanup(logger.removeHandler, self.log)

    def check_log(self) -> None:
        """Nothing unforeseen is in the log, nor more than a line each."""
        found, self.log.found = self.log.found, []
        self.assertEqual([], found)

    def fuzz(self, strategy: Any, try_one: Callable[[Any], None],
             examples: int = EXAMPLES) -> None:
        """Try examples of a strategy, then look at the service."""
        @hypothesis.seed(SEED)
        @hypothesis.settings(max_examples=max(1, examples), **_SETTINGS)
        @hypothesis.given(strategy)
        def run(example: Any) -> None:
            try_one(example)
            self.service.logger.reset_output()
            # Only to read it goes back to its start; else what is written
            # next comes behind as many zeros as were there.
            self.service.logger.output

        run()
        self.check_service()

    def send(self, method: str, path: str, query: str = '',
             headers: dict[str, str] | None = None, body: bytes = b'',
             ) -> webob.Response:
        """Send what no client library would.

        :param path: decoded, of characters to U+00FF, as WSGI has it
        """
        environ = webob.Request.blank('/').environ
        environ.update(
            REQUEST_METHOD=method, PATH_INFO=path, QUERY_STRING=query,
            HTTP_X_AUTH_TOKEN=TOKEN)
        request = webob.Request(environ)
        request.body = body
        for name, value in (headers or {}).items():
            key = name.upper().replace('-', '_')
            if key not in ('CONTENT_TYPE', 'CONTENT_LENGTH'):
                key = f'HTTP_{key}'
            environ[key] = value
        return request.get_response(self.service.app)

    def check_answer(self, status: int, body: str) -> None:
        """No answer is a failure of the service, or tells of its inside."""
        self.assertLess(status, 500, body)
        self.assertIsNone(_LEAKS.search(body), body)
        self.assertNotIn(self.service.directory, body)
        self.check_log()

    def check_service(self) -> None:
        """The worker answers, and rows, quota and backend agree."""
        service = self.service
        answer = self.send(
            'GET', f'/v3/{fixtures.PROJECT}/os-snapshot-manage',
            f'host={fixtures.HOST}@{fixtures.BACKEND}')
        self.assertEqual(200, answer.status_int, answer.text)
        service.wait_for(lambda: not self.unsettled())
        self.check_log()
        with service.database.reader(service.context) as session:
            available = session.query(models.Snapshot).filter_by(
                deleted=False, status='available').all()
            held = [(f'volume-{row.volume_id}', f'snapshot-{row.id}')
                    for row in available]
            usages = session.query(models.QuotaUsage).filter_by(
                resource='snapshots').all()
            counts = {
                usage.project_id: (usage.in_use, usage.reserved)
                for usage in usages}
            rows = {
                project: (session.query(models.Snapshot).filter_by(
                    project_id=project, deleted=False).count(), 0)
                for project in counts}
        for volume, name in held:
            self.assertIn(name, service.held(volume))
        self.assertEqual(rows, counts)

    def unsettled(self) -> list[str]:
        """Ids of snapshots that a worker has yet to do something with."""
        with self.service.database.reader(self.service.context) as session:
            return [row.id for row in session.query(models.Snapshot).filter(
                models.Snapshot.deleted.is_(False),
                models.Snapshot.status.in_(
                    ['creating', 'deleting', 'unmanaging']))]
