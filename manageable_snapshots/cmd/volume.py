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

"""``manageable-snapshots-volume``: a worker for some backends."""

from collections.abc import Sequence
import threading

from manageable_snapshots.cmd import common
from manageable_snapshots.volume import service

DESCRIPTION = (
    'Serve the backends that enabled_backends names: list their snapshots '
    'and adopt them, as the API asks over the message broker. Runs until '
    'SIGTERM; SIGHUP reads the log level again.')


@common.command
def main(argv: Sequence[str]) -> int:
    """Run the worker.

    :param argv: the arguments, without the program's name
    :returns: exit status; 1: it cannot start, or work was cut short
    """
    conf = common.load(argv, DESCRIPTION)
    stopping = threading.Event()
    common.handle_signals(conf, stopping.set)
    return service.run(conf, stopping)
