# SPDX-License-Identifier: Apache-2.0

"""``manageable-snapshots``: everything in one process, for a first look.

The API, one worker and their database, an SQLite file, with messages that
never leave the process and a folder of image files as the backend.
"""

import argparse
from collections.abc import Sequence
import fcntl
import os
import pathlib
from typing import TextIO

from oslo_config import cfg
from oslo_log import log

from manageable_snapshots.cmd import common
from manageable_snapshots import conf as config
from manageable_snapshots.conf import backend
from manageable_snapshots.db import engine
from manageable_snapshots.db import migration
from manageable_snapshots import exception
from manageable_snapshots.standalone.api import deploy
from manageable_snapshots.standalone import http
from manageable_snapshots.standalone import in_process
from manageable_snapshots.standalone import worker
from manageable_snapshots import version

LOG = log.getLogger(__name__)

BACKEND = 'directory'

# A name of its own, since this machine's may change while volumes exist.
HOST = 'localhost'

#: in the state folder: the id of the process that has the folder
_LOCK = 'pid'

_READY = '''\
Serving on {url}/v3
  backend    {host}@{backend}: the folder {directory}{made}
  state      {state}
  callers    {who}
'''

_MADE = ', which was not there and has been made'

_CLIENT = '''
To reach it with OpenStack's client (python-openstackclient):
  export OS_AUTH_TYPE=none OS_ENDPOINT={url}/v3 OS_VOLUME_API_VERSION=3.8
  openstack block storage snapshot manageable list {host}@{backend}
'''


@common.command
def main(argv: Sequence[str]) -> int:
    """Do what the command line says.

    :param argv: the arguments, without the program's name
    :returns: exit status; 1: it cannot start, or work was cut short
    """
    arguments = _parser().parse_args(argv)
    return serve(arguments)


def serve(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT.

    :param arguments: from the command line
    :returns: exit status
    :raises ConfigurationError: an option is wrong, or another process has
        the state
    """
    conf = _configure(arguments)
    try:
        lock = _lock(conf.state_path)
    except OSError as error:
        raise _unusable(f'{conf.state_path}: {error.strerror}') from error
    with lock:
        return _serve(conf, arguments)


def _serve(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    directory = conf[BACKEND].directory_path
    is_missing = arguments.directory is not None and not os.path.isdir(
        directory)
    migration.sync(conf)
    database = engine.Database(conf)
    transport = in_process.get_transport(conf)
    application = deploy.load_app(
        conf, database=database, transport=transport,
        threads=conf.osapi_volume_threads)
    try:
        server = http.Server(application, arguments.host, arguments.port,
                             conf.osapi_volume_threads,
                             conf.max_header_line)
    except OSError as error:
        _parser().exit(1, f'{common.program()}: --host {arguments.host} '
                          f'--port {arguments.port}: {error.strerror}\n')
    common.handle_signals(conf, server.stop)
    volume_worker = worker.Worker(
        conf, database=database, transport=transport)
    volume_worker.start()
    noauth = conf.auth_strategy == 'noauth'
    print((_READY + (_CLIENT if noauth else '')).format(
        url=server.url, host=conf.host, backend=BACKEND,
        directory=directory, state=conf.state_path,
        made=_MADE if is_missing and os.path.isdir(directory) else '',
        who='anyone, as an administrator: there is no authentication'
        if noauth else 'whom Keystone knows') + '\nCtrl-C stops it.',
        flush=True)
    answered = server.run(conf.graceful_shutdown_timeout or None)
    finished = volume_worker.stop()
    database.dispose()
    return 0 if answered and finished else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=common.program(),
        description='List and adopt the snapshots that a storage backend '
                    'already holds, through Cinder\'s API.')
    parser.add_argument('--version', action='version',
                        version=version.version_string())
    commands = parser.add_subparsers(title='commands', required=True)
    command = commands.add_parser(
        'serve', help='run everything in one process, for a first look',
        description='Run the API and a worker in one process, with an SQLite '
                    'database and a folder of image files as the backend. '
                    'Nothing has to be set up, and anyone who reaches it is '
                    'an administrator.')
    command.add_argument(
        '--state-path', metavar='DIR', default=_default_state(),
        help='where the database is kept (default: %(default)s)')
    command.add_argument(
        '--directory', metavar='DIR',
        help='the folder with the image files, which is made if it is not '
             f'there (default: the folder "{BACKEND}" in the state path)')
    command.add_argument(
        '--host', metavar='ADDRESS', default='127.0.0.1',
        help='the address to listen on (default: %(default)s)')
    command.add_argument(
        '--port', type=_port, default=8776,
        help='the port to listen on; 0: a free one, which is printed '
             '(default: %(default)s)')
    command.add_argument(
        '--config-file', metavar='FILE', action='append', default=[],
        help='further options, quotas say; can be given several times')
    command.add_argument(
        '--debug', action='store_true', help='log more, on stderr')
    return parser


def _port(value: str) -> int:
    port = int(value)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError('a port is 0 to 65535')
    return port


def _default_state() -> str:
    home = os.environ.get('XDG_STATE_HOME') or pathlib.Path(
        '~', '.local', 'state').expanduser()
    return os.path.join(home, 'manageable-snapshots')


def _configure(arguments: argparse.Namespace) -> cfg.ConfigOpts:
    """The defaults of :mod:`conf`, but for what makes it run at once."""
    conf = config.new()
    conf.set_default('host', HOST)
    conf.set_default('auth_strategy', 'noauth')
    conf.set_default('enabled_backends', [BACKEND])
    files = [argument for file in arguments.config_file
             for argument in ('--config-file', file)]
    state = os.path.abspath(arguments.state_path)
    conf.register_opts(backend.OPTIONS + backend.DIRECTORY_OPTIONS,
                       group=BACKEND)
    conf.set_override('state_path', state)
    conf.set_override(
        'directory_path',
        os.path.abspath(arguments.directory or os.path.join(state, BACKEND)),
        group=BACKEND)
    if arguments.debug:
        conf.set_override('debug', True)
    # Without --config-file the system's configuration is not this one's.
    common.load(files, '', conf=conf, default_config_files=[])
    try:
        os.makedirs(state, 0o700, exist_ok=True)
    except OSError as error:
        raise _unusable(f'{state}: {error.strerror}') from error
    return conf


def _lock(state: str) -> TextIO:
    """Keep other processes from a state folder until the file is closed.

    Messages and locks stay within a process, so that two of them would do
    each adoption twice.

    :raises ConfigurationError: another process has the folder
    """
    # Not emptied when opened: the number in it may be another process's.
    file = open(os.path.join(state, _LOCK), 'a+', encoding='ascii')
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with file:
            file.seek(0)
            raise _unusable(
                f'{state} is in use by process {file.read()}: stop it, or '
                'choose another folder with --state-path') from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _unusable(reason: str) -> exception.ConfigurationError:
    return exception.ConfigurationError(
        option='state_path', group='DEFAULT', reason=reason)
