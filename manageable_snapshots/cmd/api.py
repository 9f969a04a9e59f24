# SPDX-License-Identifier: Apache-2.0

"""``manageable-snapshots-api``: the API over HTTP."""

from collections.abc import Sequence

from oslo_log import log

from manageable_snapshots.cmd import common
from manageable_snapshots import exception
from manageable_snapshots.standalone.api import deploy
from manageable_snapshots.standalone import http

LOG = log.getLogger(__name__)

DESCRIPTION = (
    'Serve the API over HTTP, on osapi_volume_listen and '
    'osapi_volume_listen_port. As many of these as the load wants may run '
    'behind a proxy; any other WSGI server can serve '
    'manageable_snapshots.wsgi.api:application in its place. Runs until '
    'SIGTERM; SIGHUP reads the log level again.')


@common.command
def main(argv: Sequence[str]) -> int:
    """Run the API.

    :param argv: the arguments, without the program's name
    :returns: exit status; 1: it cannot start, or requests were cut short
    """
    conf = common.load(argv, DESCRIPTION)
    application = deploy.load_app(
        conf, threads=conf.osapi_volume_threads)
    try:
        server = http.Server(
            application, conf.osapi_volume_listen,
            conf.osapi_volume_listen_port, conf.osapi_volume_threads,
            conf.max_header_line)
    except OSError as error:
        raise exception.ConfigurationError(
            option='osapi_volume_listen', group='DEFAULT',
            reason=f'{conf.osapi_volume_listen}, port '
                   f'{conf.osapi_volume_listen_port}: '
                   f'{error.strerror}') from error
    common.handle_signals(conf, server.stop)
    LOG.info('Listening on %s', server.url)
    return 0 if server.run(conf.graceful_shutdown_timeout or None) else 1
