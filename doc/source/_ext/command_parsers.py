# SPDX-License-Identifier: Apache-2.0

"""The argument parsers of the commands, for sphinx-argparse.

oslo.config makes a parser only while it parses. So each command is started,
and stopped where it would parse its arguments.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import os
import sys
from unittest import mock

from manageable_snapshots.cmd import api
from manageable_snapshots.cmd import manage
from manageable_snapshots.cmd import serve
from manageable_snapshots.cmd import status
from manageable_snapshots.cmd import volume


class _Parser(BaseException):
    """Carries a parser past the error handling of a command."""


def _parser(prog: str, main: Callable[[Sequence[str]], int],
            ) -> argparse.ArgumentParser:
    """Return the parser that a command reads its arguments with.

    :param prog: the name of the command
    :param main: its entry point
    """
    def stop(parser: argparse.ArgumentParser, *_args: object) -> None:
        raise _Parser(parser)

    with mock.patch.object(argparse.ArgumentParser, 'parse_args', stop), \
            mock.patch.object(sys, 'argv', [prog]), \
            mock.patch.dict(os.environ, XDG_STATE_HOME='~/.local/state'):
        try:
            main([])
        except _Parser as found:
            parser: argparse.ArgumentParser = found.args[0]
            return parser
    raise RuntimeError(f'{prog} parses no arguments')


def manageable_snapshots() -> argparse.ArgumentParser:
    """Return the parser of ``manageable-snapshots``."""
    return _parser('manageable-snapshots', serve.main)


def manageable_snapshots_api() -> argparse.ArgumentParser:
    """Return the parser of ``manageable-snapshots-api``."""
    return _parser('manageable-snapshots-api', api.main)


def manageable_snapshots_volume() -> argparse.ArgumentParser:
    """Return the parser of ``manageable-snapshots-volume``."""
    return _parser('manageable-snapshots-volume', volume.main)


def manageable_snapshots_manage() -> argparse.ArgumentParser:
    """Return the parser of ``manageable-snapshots-manage``."""
    return _parser('manageable-snapshots-manage', manage.main)


def manageable_snapshots_status() -> argparse.ArgumentParser:
    """Return the parser of ``manageable-snapshots-status``."""
    return _parser('manageable-snapshots-status', status.main)
