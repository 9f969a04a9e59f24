# SPDX-License-Identifier: Apache-2.0

"""Hours of load, with a worker that is killed again and again."""

import collections
import statistics
import threading
import time

from manageable_snapshots.tests.integration.faults import deployment
from manageable_snapshots.tests.integration.faults import in_cinder
from manageable_snapshots.tests.integration.faults import rig
from manageable_snapshots.tests.integration.faults import standalone
from manageable_snapshots.tests.integration import servers

MINUTES = deployment.setting('FAULTS_MINUTES', 3.0)

#: seconds from one kill to the next
PAUSE = 20

CLIENTS = 4

#: Adopted snapshots that a volume keeps: librbd takes 70 KiB for each
#: whenever it opens an image.
KEPT = 5

#: how much of each the processes that live on may gain, from the second
#: quarter of the time to the last: a share, and so many besides
GROWTH = {'memory': (0.1, 4096), 'threads': (0, 4), 'sockets': (0, 6),
          'files': (0, 8)}


def used(pid):
    """What a process has; memory in KiB."""
    with open(f'/proc/{pid}/status') as file:
        status = dict(line.split(':', 1) for line in file)
    files = list(rig.files(pid))
    return {
        'memory': int(status['VmRSS'].split()[0]),
        'threads': int(status['Threads']),
        'sockets': len([each for each in files
                        if each.startswith('socket:')]),
        'files': len(files),
    }


class Endurance:
    """A worker is killed again and again, and others live on."""

    def test_nothing_grows(self):
        end = time.monotonic() + MINUTES * 60
        stop = threading.Event()
        failures = []
        threads = [threading.Thread(target=self.client, daemon=True,
                                    args=(volume_id, stop, failures))
                   for volume_id in self.deployment.volumes(CLIENTS)]
        watched = self.watched()
        samples = {pid: [] for pid in watched}
        for thread in threads:
            thread.start()
        next_kill = time.monotonic() + PAUSE
        while time.monotonic() < end and not failures:
            for pid in watched:
                samples[pid].append(used(pid))
            if time.monotonic() >= next_kill:
                next_kill += PAUSE
                victim = self.deployment.workers[0]
                victim.kill()
                self.deployment.restart(victim)
            stop.wait(1)
        stop.set()
        for thread in threads:
            thread.join(deployment.PATIENCE)
        self.assertEqual([], failures)
        self.assert_sound()
        self.assert_adopted(list(self.deployment.ledger.foreign.values()))
        for pid in watched:
            self.assertEqual({}, grown(samples[pid]))

    def client(self, volume_id, stop, failures):
        kept = collections.deque()
        try:
            while not stop.is_set():
                (foreign,) = self.deployment.take(
                    volume_id, [f'foreign-{time.monotonic_ns()}'])
                self.deployment.insist(foreign)
                kept.append(foreign)
                if len(kept) > KEPT and self.delete(kept[0]):
                    kept.popleft()
                for _list in range(4):
                    status, answer = self.deployment.ask(
                        'GET', 'manageable_snapshots?limit=10&host='
                        + self.deployment.host)
                    if status not in (200, 503, 504):
                        failures.append((status, answer))
                # A pace that the pool bears for an hour.
                stop.wait(1)
        except Exception as error:
            failures.append(error)

    def delete(self, foreign):
        """Have a snapshot deleted; whether it has been adopted."""
        names = self.deployment.pool.snapshots(f'volume-{foreign.volume_id}')
        (name,) = [name for name, number in names.items()
                   if number == foreign.number]
        snapshot_id = name.removeprefix('snapshot-')
        ledger = self.deployment.ledger
        # A worker may die of it, and what it has not deleted stays.
        ledger.deleted.add(snapshot_id)
        status, _answer = self.deployment.ask(
            'DELETE', f'snapshots/{snapshot_id}')
        if status in (400, 404):
            ledger.deleted.remove(snapshot_id)
            return False
        del ledger.foreign[foreign.key]
        return True


class TestEndurance(Endurance, standalone.TestCase):

    WORKERS = 2

    def deploy(self):
        # There is a new one for each message until there are all of them.
        return standalone.Deployment(
            self.database_url, servers.url('rabbitmq'), self.WORKERS,
            threads=4)

    def watched(self):
        return [self.deployment.api.pid, self.deployment.workers[1].pid]


class TestEnduranceInCinder(Endurance, in_cinder.TestCase):

    def watched(self):
        return self.deployment.api.pids


def grown(samples):
    """What has gained too much: before, and at the end."""
    quarter = len(samples) // 4
    found = {}
    for name, (share, more) in GROWTH.items():
        before, after = (
            statistics.median(sample[name] for sample in part)
            for part in (samples[quarter:2 * quarter], samples[-quarter:]))
        if after > before * (1 + share) + more:
            found[name] = before, after
    return found
