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

"""Processes that die while they adopt snapshots."""

from concurrent import futures
import os
import queue

from manageable_snapshots.tests.integration.faults import deployment
from manageable_snapshots.tests.integration.faults import points

#: at random moments
KILLS = deployment.setting('FAULTS_KILLS', 20)

#: for each of them
ADOPTIONS = 6

CLIENTS = 4


class TestSteps(deployment.TestCase):
    """SIGKILL before and after each step of an adoption."""

    def kill_at_each_step(self, kind):
        steps = [step for step in points.STEPS if step.process == kind]
        # Larger than their volume, so that the row is resized as well.
        foreign = iter(self.deployment.foreign(
            1, len(steps) * len(points.SIDES), size=2))
        for step in steps:
            for side in points.SIDES:
                self.kill_at(step, side, next(foreign))

    def kill_at(self, step, side, foreign):
        message = f'{step.name}, {side}'
        process = (self.deployment.api if step.process == 'api'
                   else self.deployment.workers[0])
        armed = self.deployment.armed
        if step.when == 'unsent':
            points.arm(armed, points.CAST, 'fail')
        first = (points.RENAME, 'after') if step.when == 'again' else (
            step, side)
        path = points.arm(armed, *first)
        status, answer = self.deployment.adopt(
            foreign, ref={'source-name': 'missing'}
            if step.when == 'refused' else None)
        self.assertIn(status, (None,) if step.process == 'api' else (202,),
                      f'{message}: {answer}')
        if step.when == 'again':
            process.wait()
            # Not before: a worker looks for what is left all the time.
            path = points.arm(armed, step, side)
            process = self.deployment.begin(process)
        deployment.wait_for(lambda: not os.path.exists(path), message=message)
        process.wait()
        self.deployment.restart(process)
        self.assert_sound(message)
        if step.process == 'worker' and step.when != 'refused':
            self.assert_adopted([foreign], message)

    def test_a_worker_is_killed(self):
        self.kill_at_each_step('worker')

    def test_an_api_is_killed(self):
        self.kill_at_each_step('api')


class TestRandom(deployment.TestCase):
    """SIGKILL at any moment of a run of adoptions."""

    WORKERS = 2

    def test_no_snapshot_is_lost(self):
        dice = deployment.seeded(self)
        foreign = self.deployment.foreign(4, KILLS * ADOPTIONS // 4)
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
