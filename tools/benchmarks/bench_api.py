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

"""Requests that the API refuses and accepts, in one process of it."""

import functools
import os
import pathlib
import signal

from benchmarks import bench_adopt
from benchmarks import results
from benchmarks import sides
from manageable_snapshots.tests.integration import cinder

CONNECTIONS = 8
REFUSED = 2000
VOLUMES = 20
ACCEPTED = 160

#: a list that is refused for its limit
BAD_LIST = f'manageable_snapshots?host={sides.HOST}&limit=x'


def run(turns: int, work: pathlib.Path) -> list[results.Row]:
    os.environ['CINDER_API_WORKERS'] = '1'
    os.environ['CINDER_API_THREADS'] = str(CONNECTIONS)
    try:
        stack = cinder.stack()
        stack.load(conf=sides.CONF)
        stack.clear()
        volumes = bench_adopt.make_volumes(VOLUMES)
        # So that the same processes are not taken for those of another one.
        measured = sides.by_turns(
            turns, sides.CONF + '# one process\n',
            functools.partial(_measure, volumes))
        stack.clear()
    finally:
        del os.environ['CINDER_API_WORKERS'], os.environ['CINDER_API_THREADS']
    return [
        results.Row('api', what, '/s',
                    [turn['stock'][what] for turn in measured],
                    [turn['ours'][what] for turn in measured], least=least,
                    more_is_better=True)
        for what, least in (('lists refused', 5), ('adoptions accepted', 3))]


def _measure(volumes: list[str], side: str) -> dict[str, float]:
    def refused(client: sides.Client, _number: int) -> None:
        status, body = client.ask('GET', BAD_LIST)
        if status != 400:
            raise AssertionError((status, body))

    sides.together(CONNECTIONS, list(range(200)), refused)
    seconds, _done = sides.together(
        CONNECTIONS, list(range(REFUSED)), refused)
    rates = {'lists refused': REFUSED / seconds}

    def post(client: sides.Client, number: int) -> None:
        status, body = client.ask('POST', 'manageable_snapshots', {
            'snapshot': {'volume_id': volumes[number % VOLUMES],
                         'ref': {'source-name': f'old-{number}'}}})
        if status != 202:
            raise AssertionError(body)

    stack = cinder.stack()
    sides.together(CONNECTIONS, list(range(16)), post)
    # Messages are sent all the same, and nobody works beside the API.
    sides.pause('volume', signal.SIGSTOP)
    try:
        seconds, _done = sides.together(
            CONNECTIONS, list(range(100, 100 + ACCEPTED)), post)
    finally:
        stack.rig('kill', 'volume')
    rates['adoptions accepted'] = ACCEPTED / seconds
    bench_adopt.forget_snapshots(stack)
    return rates
