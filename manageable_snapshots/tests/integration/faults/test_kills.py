# SPDX-License-Identifier: Apache-2.0

"""Processes that die while they adopt snapshots."""

from concurrent import futures
import os
import queue

from manageable_snapshots.tests.integration.faults import deployment
from manageable_snapshots.tests.integration.faults import in_cinder
from manageable_snapshots.tests.integration.faults import points
from manageable_snapshots.tests.integration.faults import standalone
from manageable_snapshots.tests.integration import servers

#: at random moments
KILLS = deployment.setting('FAULTS_KILLS', 20)

#: for each of them
ADOPTIONS = 6

#: of each step in Cinder, where a kill takes four seconds
SIDES_IN_CINDER = deployment.setting(
    'FAULTS_SIDES_IN_CINDER', ' '.join(points.SIDES)).split()

CLIENTS = 4

#: deployments in which something is killed at the same time; most of that is
#: waiting
LANES = 4


class Steps:
    """SIGKILL before and after each step of an adoption."""

    def places(self, kind):
        return [(step, side) for step in points.STEPS
                if step.process == kind for side in points.SIDES]

    def kill_at_each_of(self, lane, places):
        # Larger than their volume, so that the row is resized as well.
        foreign = lane.foreign(1, len(places), size=2)
        for (step, side), each in zip(places, foreign):
            self.kill_at(lane, step, side, each)
        lane.audit()

    def kill_at(self, lane, step, side, foreign):
        message = f'{step.name}, {side}'
        process = lane.api if step.process == 'api' else lane.workers[0]
        if step.when == 'unsent':
            points.arm(lane.armed, points.CAST, 'fail')
        if step.when == 'away':
            points.arm(lane.armed, points.SIZE, 'fail')
        first = {'again': (points.RENAME, 'after'),
                 'overdue': (points.ACCEPT, 'before')}.get(
                     step.when, (step, side))
        path = points.arm(lane.armed, *first)
        if step.process == 'api':
            self.assertEqual((None, None), lane.adopt(foreign), message)
        else:
            self.assertEqual(202, lane.insist(
                foreign, ref={'source-name': 'missing'}
                if step.when == 'refused' else None), message)
        if step.when in ('again', 'overdue'):
            self.wait_for_death(process, path, message)
            if step.when == 'overdue':
                lane.grow_old()
                points.arm(lane.armed, points.SIZE, 'fail')
            # Not before: a worker looks for what is left all the time.
            path = points.arm(lane.armed, step, side)
            process = lane.begin(process)
        self.wait_for_death(process, path, message)
        lane.restart(process)
        self.assertEqual([], lane.breaches(), message)
        # One that is given up when the worker dies of it may yet be adopted.
        if step.process == 'worker' and step.when not in (
                'refused', 'overdue'):
            self.assertEqual([], lane.foreign_still([foreign]), message)

    def wait_for_death(self, process, path, message):
        deployment.wait_for(lambda: not os.path.exists(path), message=message)
        process.wait()

    def test_a_worker_is_killed(self):
        self.kill_at_each_step('worker')

    def test_an_api_is_killed(self):
        self.kill_at_each_step('api')

    def kill_at_each_step(self, kind):
        self.kill_at_each_of(self.deployment, self.places(kind))


class TestSteps(Steps, standalone.TestCase):

    def kill_at_each_step(self, kind):
        places = self.places(kind)
        lanes = [self.deployment]
        while len(lanes) < LANES:
            lanes.append(self.useFixture(standalone.Deployment(
                self.useFixture(servers.NewDatabase('mariadb')).url,
                servers.url('rabbitmq'))))
        with futures.ThreadPoolExecutor(LANES) as executor:
            list(executor.map(
                self.kill_at_each_of, lanes,
                [places[lane::LANES] for lane in range(LANES)]))


class TestStepsInCinder(Steps, in_cinder.TestCase):

    def places(self, kind):
        return [(step, side) for step, side in super().places(kind)
                if side in SIDES_IN_CINDER]


class TestUnknownWorker(standalone.TestCase):
    """An API that has never heard of the worker, which dies twice."""

    def test_what_was_accepted_is_not_forgotten(self):
        [foreign] = self.deployment.foreign(1, 1)
        [worker] = self.deployment.workers
        worker.kill()
        self.deployment.api.kill()
        self.deployment.restart(self.deployment.api)
        # Its queue is still there.
        self.assertEqual(202, self.deployment.insist(foreign))
        path = points.arm(self.deployment.armed, points.ACCEPT, 'before')
        worker = self.deployment.begin(worker)
        deployment.wait_for(lambda: not os.path.exists(path))
        worker.wait()
        self.deployment.restart(worker)
        self.assert_sound()
        self.assert_adopted([foreign])


class Random:
    """SIGKILL at any moment of a run of adoptions."""

    def test_no_snapshot_is_lost(self):
        dice = deployment.seeded(self)
        many = KILLS * ADOPTIONS
        foreign = self.deployment.foreign(4, -(-many // 4))[:many]
        dice.shuffle(foreign)
        waiting = queue.SimpleQueue()
        for each in foreign:
            waiting.put(each)
        with futures.ThreadPoolExecutor(CLIENTS) as executor:
            for _kill in range(KILLS):
                clients = [
                    executor.submit(self.deployment.insist, each)
                    for each in (waiting.get() for _ in range(ADOPTIONS))]
                done, _left = futures.wait(
                    clients, dice.uniform(0, 1), futures.ALL_COMPLETED)
                victim = dice.choice(self.deployment.processes)
                victim.kill()
                self.deployment.restart(victim)
                for client in clients:
                    client.result()
        self.assert_sound()
        self.assert_adopted(foreign)


class TestRandom(Random, standalone.TestCase):

    WORKERS = 2


class TestRandomInCinder(Random, in_cinder.TestCase):
    pass
