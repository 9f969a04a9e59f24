# SPDX-License-Identifier: Apache-2.0

"""A Cinder that is measured without this project and with it, by turns."""

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import contextlib
import functools
import http.client
import json
import os
import time
from typing import Any
import urllib.parse

from benchmarks import results
from manageable_snapshots.tests.integration import cinder

#: without Keystone, whose answers would be most of what is measured
CONF = """
[DEFAULT]
auth_strategy = noauth
osapi_max_limit = 1000
"""

#: the parts that are loaded, of each side
SIDES = {'stock': (), 'ours': ('filter', 'manager')}

PROJECT = 'c0ffee'
HOST = 'devhost@ceph%23ceph'
HEADERS = {'X-Auth-Token': f'admin:{PROJECT}', 'Content-Type':
           'application/json', 'OpenStack-API-Version': 'volume 3.59'}


def by_turns(turns: int, conf: str,
             measure: Callable[[str], Any],
             api: str = 'gunicorn') -> list[dict[str, Any]]:
    """Measure both sides so many times, each in a Cinder just started.

    :param measure: is given the side's name
    :param api: what its API runs in
    :returns: a dict for each turn, by side
    """
    stack = cinder.stack()
    measured = []
    for turn in range(turns):
        one = {}
        # Who is first is not always the same.
        sides = list(SIDES) if turn % 2 == 0 else list(SIDES)[::-1]
        for side in sides:
            # Another one each time, so that it is started anew.
            stack.load(*SIDES[side], conf=f'{conf}# turn {turn}\n', api=api)
            one[side] = measure(side)
            results.tell(f'turn {turn + 1} of {turns}, {side}: {one[side]}')
        measured.append(one)
    return measured


class Client:
    """A connection that is kept, and says what it was answered."""

    def __init__(self) -> None:
        url = urllib.parse.urlsplit(cinder.stack().url)
        self._connection = http.client.HTTPConnection(
            url.hostname or '', url.port, timeout=300)

    def ask(self, method: str, path: str, body: Any = None,
            **headers: str) -> tuple[int, Any]:
        """:param path: below the project"""
        self._connection.request(
            method, f'/v3/{PROJECT}/{path}',
            None if body is None else json.dumps(body),
            {**HEADERS, **headers})
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def close(self) -> None:
        self._connection.close()


def together(count: int, work: list[Any],
             do: Callable[[Client, Any], Any]) -> tuple[float, list[Any]]:
    """So many clients share the work.

    :returns: seconds, and what was returned for each piece
    """
    left = iter(list(enumerate(work)))
    done: list[Any] = [None] * len(work)

    def client(_number: int) -> None:
        with contextlib.closing(Client()) as connection:
            for place, piece in left:
                done[place] = do(connection, piece)

    started = time.monotonic()
    with futures.ThreadPoolExecutor(count) as executor:
        list(executor.map(client, range(count)))
    return time.monotonic() - started, done


def walk(client: Client, start: str,
         step: Callable[[str, list[Any], Any], str | None],
         ) -> Iterator[tuple[float, list[Any]]]:
    """The pages of a list, each with the seconds that it took.

    :param start: the path of the first page
    :param step: makes of a page's path, entries and body the next path
    """
    path: str | None = start
    while path:
        began = time.monotonic()
        status, body = client.ask('GET', path)
        seconds = time.monotonic() - began
        if status != 200:
            raise AssertionError(body)
        entries = body['manageable-snapshots']
        yield seconds, entries
        path = step(path, entries, body)


@functools.cache
def _rbd() -> Any:
    import rbd
    return rbd


def fill(images: int, snapshots: int, more: int) -> None:
    """Make images that each have snapshots of the same names.

    :param more: how many more the first one has
    """
    pool = cinder.stack().pool
    rbd = _rbd()

    def make(number: int) -> None:
        name = f'image-{number:04}'
        rbd.RBD().create(pool, name, 2 ** 30)
        with rbd.Image(pool, name) as image:
            for each in range(snapshots + (more if not number else 0)):
                image.create_snap(f'night-{each:02}')

    with futures.ThreadPoolExecutor(8) as executor:
        for done, _nothing in enumerate(executor.map(make, range(images))):
            if done % 50 == 49:
                results.tell(f'{done + 1} of {images} images made')


def scan(threads: int) -> float:
    """Seconds for librbd to list all snapshots, and nothing else."""
    pool = cinder.stack().pool
    rbd = _rbd()

    def read(name: str) -> int:
        with rbd.Image(pool, name, read_only=True) as image:
            return len(list(image.list_snaps()))

    started = time.monotonic()
    names = rbd.RBD().list(pool)
    with futures.ThreadPoolExecutor(threads) as executor:
        count = sum(executor.map(read, names))
    seconds = time.monotonic() - started
    results.tell(f'a bare scan by {threads} threads: {count} snapshots in '
                 f'{seconds:.2f} s')
    return seconds


def pause(name: str, signal_number: int) -> None:
    """Stop or continue all processes of a service."""
    path = os.path.join(cinder.stack().folder, name, 'pids')
    with open(path) as file:
        for line in file:
            os.killpg(int(line.split()[0]), signal_number)
