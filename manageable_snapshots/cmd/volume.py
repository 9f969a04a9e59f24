# SPDX-License-Identifier: Apache-2.0

"""``manageable-snapshots-volume``: a worker for some backends."""

from collections.abc import Sequence
import threading

from manageable_snapshots.cmd import common
from manageable_snapshots.standalone import worker

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
    return worker.run(conf, stopping)
