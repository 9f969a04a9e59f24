# SPDX-License-Identifier: Apache-2.0

"""Put the service together as ``api-paste.ini`` says (PasteDeploy)."""

from collections.abc import Callable
from collections.abc import Iterable
import contextvars
import dataclasses
import os
import pathlib
import sysconfig
from typing import Any

from keystoneauth1 import exceptions as keystone_exc
from keystonemiddleware import auth_token
from oslo_config import cfg
import oslo_messaging as messaging
from oslo_middleware import opts as middleware_opts
from oslo_policy import policy
from oslo_utils import importutils
from paste import deploy
import webob.exc

from manageable_snapshots.api import app
from manageable_snapshots.api import faults
from manageable_snapshots.api import microversion
from manageable_snapshots.api import urls
from manageable_snapshots.conf import host
from manageable_snapshots.conf import unknown
from manageable_snapshots.db import engine
from manageable_snapshots.db import schema
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import policies
from manageable_snapshots.policies import check
from manageable_snapshots.rpc import client
from manageable_snapshots.rpc import transport as rpc_transport
from manageable_snapshots.standalone.api import auth
from manageable_snapshots.standalone.api import urls as standalone_urls

_NAME = 'osapi_volume'
_FOLDER = 'etc/manageable_snapshots'

_CORS_DEFAULTS = {
    'allow_headers': [
        'X-Auth-Token', 'X-Identity-Status', 'X-Roles', 'X-Service-Catalog',
        'X-User-Id', 'X-Tenant-Id', 'X-OpenStack-Request-ID', 'X-Trace-Info',
        'X-Trace-HMAC', microversion.HEADER],
    'expose_headers': [
        'X-Auth-Token', 'X-Subject-Token', 'X-Service-Token',
        'X-OpenStack-Request-ID', microversion.HEADER],
    'allow_methods': ['GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'HEAD'],
}

Filter = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True)
class _Parts:
    conf: cfg.ConfigOpts
    database: engine.Database
    volume_client: client.VolumeClient
    enforcer: policy.Enforcer


# Paste's factories are given the strings of the file and nothing else.
_parts: contextvars.ContextVar[_Parts] = contextvars.ContextVar('parts')


def load_app(conf: cfg.ConfigOpts, database: engine.Database | None = None,
             transport: messaging.Transport | None = None,
             threads: int | None = None) -> Any:
    """The service as a WSGI application.

    :param conf: the configuration, read already
    :param database: None: as configured
    :param transport: None: as configured
    :param threads: requests that the server answers at the same time; None:
        not known
    :raises ConfigurationError: an option is missing or wrong, or the
        database will not do
    """
    unknown.warn(conf, in_cinder=host.is_hosts(conf))
    check.warn(conf)
    path = _paste_config(conf)
    _set_defaults(conf)
    database = database or engine.Database(conf)
    schema.check_if_there(database)
    token = _parts.set(_Parts(
        conf=conf, database=database,
        volume_client=client.VolumeClient(
            conf, transport or rpc_transport.get_transport(conf), threads),
        enforcer=policies.new_enforcer(conf)))
    try:
        return deploy.loadapp(f'config:{path}', name=_NAME)
    except LookupError as error:
        raise exception.ConfigurationError(
            option='api_paste_config', group='DEFAULT',
            reason=f'{path}: {error}') from error
    finally:
        _parts.reset(token)


def app_factory(global_conf: dict[str, str], **local_conf: str) -> Any:
    """Paste's app factory of what is below ``/v3``."""
    return _application(
        (*standalone_urls.VERSION, *urls.MANAGEABLE_SNAPSHOTS,
         *standalone_urls.VOLUMES))


def versions_factory(global_conf: dict[str, str], **local_conf: str) -> Any:
    """Paste's app factory of the root."""
    return _application(standalone_urls.VERSIONS)


def prefix_factory(loader: Any, global_conf: dict[str, str],
                   **prefixes: str) -> Any:
    """Paste's composite factory: an application for each prefix of a path.

    ``/`` gets what no other has.
    """
    apps = {prefix.rstrip('/'): loader.get_app(name, global_conf=global_conf)
            for prefix, name in prefixes.items()}
    longest_first = sorted(apps, key=len, reverse=True)

    def dispatch(environ: dict[str, Any],
                 start_response: Any) -> Iterable[bytes]:
        path = environ.get('PATH_INFO', '')
        for prefix in longest_first:
            if path == prefix or path.startswith(prefix + '/'):
                environ['SCRIPT_NAME'] = (
                    environ.get('SCRIPT_NAME', '') + prefix)
                environ['PATH_INFO'] = path[len(prefix):]
                return apps[prefix](environ, start_response)
        return webob.exc.HTTPNotFound()(environ, start_response)
    return dispatch


def auth_factory(loader: Any, global_conf: dict[str, str],
                 **pipelines: str) -> Any:
    """Paste's composite factory: the pipeline that ``auth_strategy`` names."""
    *filters, name = pipelines[_parts.get().conf.auth_strategy].split()
    application = loader.get_app(name, global_conf=global_conf)
    for each in reversed(filters):
        application = loader.get_filter(
            each, global_conf=global_conf)(application)
    return application


def noauth_factory(global_conf: dict[str, str],
                   **local_conf: str) -> Filter:
    """Paste's filter factory of :class:`auth.NoAuth`."""
    enforcer = _parts.get().enforcer
    return lambda application: auth.NoAuth(application, enforcer)


def keystone_context_factory(global_conf: dict[str, str],
                             **local_conf: str) -> Filter:
    """Paste's filter factory of :class:`auth.KeystoneContext`."""
    enforcer = _parts.get().enforcer
    return lambda application: auth.KeystoneContext(application, enforcer)


def fault_factory(global_conf: dict[str, str], **local_conf: str) -> Filter:
    """Paste's filter factory of :class:`faults.FaultWrapper`."""
    return faults.FaultWrapper


def auth_token_factory(global_conf: dict[str, str],
                       **local_conf: str) -> Filter:
    """Paste's filter factory of keystonemiddleware, with our configuration.

    Its own factory knows the global one only, or reads files of its choice.
    """
    conf = _parts.get().conf

    def check(application: Any) -> Any:
        try:
            protocol = auth_token.AuthProtocol(
                application, {'oslo_config_config': conf, **local_conf})
        except keystone_exc.ClientException as error:
            raise _no_keystone(str(error)) from error
        # Without it the first request would be the one that fails.
        options = conf.keystone_authtoken
        if not (options.auth_type or options.auth_section):
            raise _no_keystone(_('it is not set, but auth_strategy says that '
                                 'Keystone is to be asked'))
        return protocol

    return check


def oslo_filter_factory(global_conf: dict[str, str], *, middleware: str,
                        if_set: str | None = None) -> Filter:
    """Paste's filter factory of oslo.middleware, with our configuration.

    :param middleware: the class, ``package.module:Class``
    :param if_set: ``section.option``, without which it would only cost time
        and is left out
    """
    conf = _parts.get().conf
    if if_set:
        section, _dot, option = if_set.partition('.')
        if not conf[section][option]:
            return lambda application: application
    kind = importutils.import_class(middleware.replace(':', '.'))
    return lambda application: kind(application, conf)


def oslo_app_factory(global_conf: dict[str, str], *, middleware: str) -> Any:
    """Paste's app factory for a middleware that has nothing behind it.

    :param middleware: as above
    """
    # With None behind it, WebOb would send what the middleware lets pass to
    # wherever the request's Host header says.
    nothing = webob.exc.HTTPNotFound()
    return oslo_filter_factory(global_conf, middleware=middleware)(nothing)


def _no_keystone(reason: str) -> exception.ConfigurationError:
    return exception.ConfigurationError(
        option='auth_type', group='keystone_authtoken', reason=reason)


def _application(table: Iterable[urls.Row]) -> app.Application:
    parts = _parts.get()
    return app.Application(parts.conf, parts.database, parts.volume_client,
                           table)


def _set_defaults(conf: cfg.ConfigOpts) -> None:
    for group, options in (*middleware_opts.list_opts_cors(),
                           *middleware_opts.list_opts_healthcheck(),
                           *middleware_opts.list_opts_http_proxy_to_wsgi()):
        conf.register_opts(options, group=group)
    for name, value in _CORS_DEFAULTS.items():
        conf.set_default(name, value, group='cors')
    conf.set_default('backends', ['disable_by_file'], group='healthcheck')
    conf.set_default(
        'disable_by_file_path',
        os.path.join(conf.state_path, 'healthcheck_disable'),
        group='healthcheck')


def _paste_config(conf: cfg.ConfigOpts) -> str:
    """Where ``api_paste_config`` is.

    Beside the configuration files, where pip has put it, or in the source
    tree that an editable installation runs from.
    """
    name = conf.api_paste_config
    source = pathlib.Path(__file__).resolve().parents[3]
    candidates = (
        conf.find_file(name),
        os.path.join(sysconfig.get_path('data'), _FOLDER, name),
        os.path.join(source, _FOLDER, name))
    for candidate in candidates:
        if candidate and os.path.isfile(candidate):
            return os.path.abspath(candidate)
    raise exception.ConfigurationError(
        option='api_paste_config', group='DEFAULT',
        reason=_('there is no file %s') % name)
