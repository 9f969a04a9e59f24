# SPDX-License-Identifier: Apache-2.0

"""Requests that the API refuses and accepts, in one process of it.

The same server runs all of them: Cinder as it is; with this project loaded;
with a filter in its place that answers at once, which is as fast as anything
in that pipeline can be; and this project's own API.
"""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
from urllib import request

from benchmarks import bench_adopt
from benchmarks import results
from benchmarks import sides
from manageable_snapshots.tests.integration import cinder

CONNECTIONS = 8
SECONDS = 5
WARM_UP_SECONDS = 2
VOLUMES = 20

#: a list that is refused for its limit
BAD_LIST = f'manageable_snapshots?host={sides.HOST}&limit=x'

#: of a Cinder that is not the one of another bench
CONF = sides.CONF + '# one process\n'

TOOLS = pathlib.Path(__file__).resolve().parents[1]


def run(turns: int, work: pathlib.Path) -> list[results.Row]:
    os.environ['CINDER_API_WORKERS'] = '1'
    os.environ['CINDER_API_THREADS'] = str(CONNECTIONS)
    try:
        stack = cinder.stack()
        stack.load(conf=CONF, api='uwsgi')
        stack.clear()
        volumes = bench_adopt.make_volumes(VOLUMES)
        measured = sides.by_turns(
            turns, CONF, lambda side: _measure(side, volumes, work),
            api='uwsgi')
        stack.clear()
    finally:
        del os.environ['CINDER_API_WORKERS'], os.environ['CINDER_API_THREADS']

    def row(what: str, stock: str, ours: str, least: float | None = None,
            limit: float | None = None) -> results.Row:
        return results.Row(
            'api', what, '/s', [turn['stock'][stock] for turn in measured],
            [turn['ours'][ours] for turn in measured], least=least,
            more_is_better=True, limit=limit)

    at_once = row('lists answered by a filter that does nothing', 'refused',
                  'at once')
    return [
        row('lists refused, by an API of our own', 'refused', 'standalone',
            5),
        row('lists refused, in Cinder', 'refused', 'refused', 5,
            at_once.ratio),
        at_once,
        row('adoptions accepted, in Cinder', 'accepted', 'accepted', 3)]


def _measure(side: str, volumes: list[str],
             work: pathlib.Path) -> dict[str, float]:
    stack = cinder.stack()
    rates = {'refused': _refused(stack.url)}
    if side == 'ours':
        with _standalone(work) as url:
            rates['standalone'] = _refused(url)
        _answer_at_once()
        rates['at once'] = _refused(stack.url)
        stack.load(*sides.SIDES[side], conf=CONF, api='uwsgi')
    _accepted('warm-up', WARM_UP_SECONDS, volumes)
    # Else it would hold locks.
    cinder.wait_for(_is_idle)
    # Messages are sent all the same, and nobody works beside the API.
    sides.pause('volume', signal.SIGSTOP)
    try:
        rates['accepted'] = _accepted('old', SECONDS, volumes)
    finally:
        stack.rig('kill', 'volume')
    bench_adopt.forget_snapshots(stack)
    return rates


def _refused(url: str) -> float:
    _load(url, BAD_LIST, 400, WARM_UP_SECONDS)
    return _load(url, BAD_LIST, 400, SECONDS)


def _accepted(prefix: str, seconds: int, volumes: list[str]) -> float:
    return _load(cinder.stack().url, 'manageable_snapshots', 202, seconds,
                 'adopt', prefix, *volumes)


def _load(url: str, path: str, status: int, seconds: int,
          *what: str) -> float:
    """Requests in a second, each of which must be answered so.

    :param what: nothing: to list; or ``adopt``, what the names of snapshots
        begin with, and their volumes
    """
    headers = [f'{name}={value}' for name, value in sides.HEADERS.items()]
    said = subprocess.run(
        ['wrk', '-t1', f'-c{CONNECTIONS}', f'-d{seconds}s', '--timeout=30s',
         '-s', TOOLS / 'benchmarks/load.lua',
         f'{url}/v3/{sides.PROJECT}/{path}', '--', str(status), *headers,
         *what],
        check=True, stdout=subprocess.PIPE, text=True,
        timeout=seconds + 60).stdout
    counted = re.search(r'^counted (\d+) (\d+) (\d+)$', said, re.M)
    errors = re.search('Socket errors: (.*)', said)
    if counted is None or int(counted[2]) or errors:
        raise AssertionError(said)
    return int(counted[1]) / (int(counted[3]) / 1e6)


def _answer_at_once() -> None:
    """Have something that does nothing in the place of this project."""
    stack = cinder.stack()
    paste = pathlib.Path(stack.folder, 'api-paste.ini')
    paste.write_text(paste.read_text().replace(
        'manageable_snapshots.api:filter_factory',
        'benchmarks.at_once:filter_factory'))
    stack.rig('start', 'api', CINDER_API='uwsgi', PYTHONPATH=str(TOOLS))


@contextlib.contextmanager
def _standalone(work: pathlib.Path) -> Iterator[str]:
    """The URL of an API of this project, over Cinder's database."""
    stack = cinder.stack()
    configuration = work / 'standalone.conf'
    configuration.touch(mode=0o600)
    configuration.write_text(
        '[DEFAULT]\nauth_strategy = noauth\n'
        f'transport_url = {stack.transport_url}\n'
        f'[database]\nconnection = {stack.database_url}\n')
    with socket.create_server(('127.0.0.1', 0)) as free:
        url = 'http://127.0.0.1:%d' % free.getsockname()[1]
    with open(work / 'standalone.log', 'wb') as log:
        server = subprocess.Popen(
            [os.path.join(os.environ['CINDER_STACK_VENV'], 'bin/uwsgi'),
             '--http-socket', url.rpartition('/')[2], '--master',
             '--die-on-term', '--lazy-apps', '--processes', '1', '--threads',
             str(CONNECTIONS), '--virtualenv',
             os.environ['CINDER_STACK_VENV'], '--add-header',
             'Connection: close', '--module',
             'manageable_snapshots.wsgi.api:application'],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={
                **os.environ, 'OS_MANAGEABLE_SNAPSHOTS_CONFIG_FILES':
                    str(configuration)})
    try:
        cinder.wait_for(lambda: _is_well(url))
        yield url
    finally:
        server.terminate()
        server.wait(60)


def _is_idle() -> bool:
    with contextlib.closing(sides.Client()) as client:
        status, body = client.ask('GET', 'snapshots?status=creating')
    return status == 200 and not body['snapshots']


def _is_well(url: str) -> bool:
    try:
        with request.urlopen(f'{url}/healthcheck', timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False
