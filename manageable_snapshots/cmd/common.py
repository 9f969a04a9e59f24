# SPDX-License-Identifier: Apache-2.0

"""What the commands share: reading the configuration, signals, errors."""

from collections.abc import Callable
from collections.abc import Sequence
import functools
import logging
import os
import re
import signal
import sys
import threading
from typing import Any

from oslo_config import cfg
from oslo_log import log

from manageable_snapshots import conf as config
from manageable_snapshots.conf import host
from manageable_snapshots.conf import secrecy
from manageable_snapshots import exception

LOG = log.getLogger(__name__)

_CONTROL = re.compile('[\0-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]')

# oslo.config's "at FILE:NUMBER, WHAT: 'LINE'"
_LINE = re.compile(
    r"(:\d+, (?:No ':' or '=' found in assignment|[^:]+)): .*", re.DOTALL)

#: that the interpreter has to end, once a command is done
_END_SECONDS = 2


def command(function: Callable[[Sequence[str]], int],
            ) -> Callable[[Sequence[str] | None], int]:
    """Make an entry point of a function of the arguments.

    What the user can mend (an option, a file, a service that is away) is one
    line on stderr and the exit status 1, without a traceback. A command that
    is given no arguments has the process's, and ends with it.
    """
    @functools.wraps(function)
    def main(argv: Sequence[str] | None = None) -> int:
        try:
            status = function(sys.argv[1:] if argv is None else argv)
        except (cfg.Error, exception.ManageableSnapshotsException) as error:
            complain(error)
            status = 1
        if argv is None:
            _end_soon(status)
        return status

    return main


def complain(error: Exception) -> None:
    """Say in one line what the user can mend."""
    sentence = ' '.join(_without_the_line(error).split())
    print(f'{program()}: {sentence}', file=sys.stderr)


def _without_the_line(error: Exception) -> str:
    """An error's text, less the line of a file that could not be parsed.

    It says where that is, and in it may be a password.
    """
    text = str(error)
    return (_LINE.sub(r'\1', text)
            if isinstance(error, (cfg.ParseError, cfg.ConfigFileParseError))
            else text)


def _end_soon(status: int) -> None:
    """Make the process end, whatever its threads do.

    The interpreter waits for those of executors, and one of them may hang in
    a call of a driver, or to a broker that is away.
    """
    def end() -> None:
        logging.shutdown()
        os._exit(status)

    timer = threading.Timer(_END_SECONDS, end)
    timer.daemon = True
    timer.start()


def program() -> str:
    """The name under which the user started this."""
    return os.path.basename(sys.argv[0])


def load(argv: Sequence[str], description: str, *,
         prog: str | None = None,
         conf: cfg.ConfigOpts | None = None,
         default_config_files: Sequence[str] | None = None,
         may_be_cinders: bool = False) -> cfg.ConfigOpts:
    """Read and check the configuration, and log as it says.

    :param argv: the arguments, without the program's name
    :param description: for ``--help``
    :param prog: the program's name; None: as the user started it
    :param conf: with the command's own options in it
    :param default_config_files: see :func:`manageable_snapshots.conf.load`
    :param may_be_cinders: the files may be a Cinder's, with values that we
        do not know for options that matter to servers only
    :raises oslo_config.cfg.Error: a file cannot be read
    :raises ConfigurationError: an option has a wrong value
    """
    conf = conf or config.new()
    conf.set_default('default_log_levels', [
        *log.get_default_log_levels(), 'alembic=WARN'])
    config.load(
        argv, prog=prog or program(), description=description, conf=conf,
        default_config_files=default_config_files)
    config.check(conf, leave_out=(
        host.UNUSED if may_be_cinders and host.is_hosts(conf)
        else frozenset()))
    _set_up_logging(conf)
    for path in secrecy.exposed(conf):
        LOG.warning('Every user of this machine may read %s, which has '
                    'passwords.', path)
    return conf


def _set_up_logging(conf: cfg.ConfigOpts) -> None:
    if not (conf.log_file or conf.log_dir or conf.use_journal):
        # Where oslo.log would take stdout, which is for the answers.
        conf.set_default('use_stderr', True)
    try:
        log.setup(conf, config.PROJECT)
    except OSError as error:
        raise exception.ConfigurationError(
            option='log_file' if conf.log_file else 'log_dir',
            group='DEFAULT', reason=str(error)) from error
    except log.LogConfigError as error:
        raise exception.ConfigurationError(
            option='log_config_append', group='DEFAULT',
            reason=str(error)) from error
    for handler in logging.getLogger().handlers:
        handler.addFilter(one_line)


def one_line(record: logging.LogRecord) -> bool:
    """Have a message be one line of the log, whatever it quotes.

    A filter of a handler. Tracebacks are left alone: oslo.log begins each of
    their lines with the same words.
    """
    try:
        message = record.getMessage()
    except (TypeError, ValueError):
        # logging says so itself, and goes on.
        return True
    if _CONTROL.search(message):
        record.msg = _CONTROL.sub(
            lambda match: match.group().encode(
                'unicode_escape').decode(), message)
        record.args = None
    return True


def handle_signals(conf: cfg.ConfigOpts, stop: Callable[[], None]) -> None:
    """Stop on SIGTERM and SIGINT; on SIGHUP read what may change again.

    :param stop: must be safe to call at any time, and more than once
    """
    def reload(*_args: Any) -> None:
        try:
            conf.mutate_config_files()
            return
        except cfg.Error as error:
            reason = _without_the_line(error)
        # Not above, where oslo.log would add what was raised.
        LOG.error('The configuration stays as it was: %s', reason)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_args: stop())
    signal.signal(signal.SIGHUP, reload)
