# SPDX-License-Identifier: Apache-2.0

"""The REST API."""

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        'api_paste_config', default='api-paste.ini',
        help='PasteDeploy configuration of the API, a path or the name of a '
             'file beside the configuration files.'),
    cfg.StrOpt(
        'auth_strategy', default='keystone',
        choices=[('keystone', 'tokens are checked with Keystone'),
                 ('noauth', 'everyone is an administrator: for tests and a '
                            'first look only')],
        help='How requests are authenticated.'),
    cfg.HostAddressOpt(
        # Cinder's default. Who may reach it is for the firewall to say.
        'osapi_volume_listen', default='0.0.0.0',  # nosec B104
        help='Address on which manageable-snapshots-api listens.'),
    cfg.PortOpt(
        'osapi_volume_listen_port', default=8776,
        help='Port on which manageable-snapshots-api listens.'),
    cfg.IntOpt(
        'osapi_volume_threads', default=32, min=1,
        help='Requests that one manageable-snapshots-api process answers at '
             'the same time.'),
    cfg.IntOpt(
        'max_header_line', default=16384, min=1024,
        help='Maximum total size of the request headers that '
             'manageable-snapshots-api accepts, in bytes. A larger request '
             'gets 431. Raise it for tokens with a long service catalog.'),
    cfg.IntOpt(
        'osapi_max_limit', default=1000, min=1,
        help='Most items in one answer to a list; further ones are on the '
             'pages that follow it.'),
    cfg.URIOpt(
        'public_endpoint', schemes=['http', 'https'],
        help='URL under which clients reach the API, for the links in '
             'answers. Unset: as the request came.'),
    cfg.StrOpt(
        'project_id_regex', default=r'[0-9a-f\-]+',
        help='Regular expression that the ids of projects in paths match.'),
]

OWN_OPTIONS: list[cfg.Opt] = [
    cfg.IntOpt(
        'rpc_timeout', default=10, min=1,
        help='Seconds in which a request to adopt a snapshot must have been '
             'handed to the message broker; after that the answer is 503 and '
             'nothing is left of the request.'),
    cfg.IntOpt(
        'list_timeout', default=60, min=1,
        help='Seconds in which a backend must have listed its snapshots; '
             'after that the answer is 504.'),
    cfg.StrOpt(
        'snapshot_owner', default='requester',
        choices=[('requester', 'the project and the user that ask'),
                 ('volume', 'those of the volume')],
        help='Owner of an adopted snapshot. The owner\'s quota is charged.'),
    cfg.IntOpt(
        'concurrent_requests', default=256, min=1,
        help='Requests that one process of the API answers at the same time; '
             'further ones are answered with 503 and Retry-After. Behind a '
             'server that has fewer threads, which lets them wait, it has no '
             'effect.'),
    cfg.IntOpt(
        'concurrent_lists', default=64, min=1,
        help='Lists for which one process of the API waits at the same time; '
             'further ones are answered with 503 and Retry-After. '
             'manageable-snapshots-api keeps a quarter of '
             'osapi_volume_threads for other requests in any case.'),
    cfg.IntOpt(
        'concurrent_lists_per_backend', default=16, min=1,
        help='Lists of one backend for which one process of the API waits at '
             'the same time; further ones are answered with 503 and '
             'Retry-After. Keep it below the number of threads of the WSGI '
             'server, so that a backend that hangs leaves threads for other '
             'requests. manageable-snapshots-api keeps half of '
             'osapi_volume_threads in any case.'),
    cfg.IntOpt(
        'concurrent_casts', default=24, min=1,
        help='Messages that one process of the API hands to the broker at the '
             'same time; further requests are answered with 503 and '
             'Retry-After. Must be less than rpc_conn_pool_size in '
             '[oslo_messaging_rabbit] (30), since the wait for a connection '
             'has no limit.'),
    cfg.IntOpt(
        'max_json_depth', default=20, min=3,
        help='Deepest nesting in the body of a request; deeper: 400.'),
]


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    return [('DEFAULT', OPTIONS), ('manageable_snapshots', OWN_OPTIONS)]
