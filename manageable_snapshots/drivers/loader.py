# SPDX-License-Identifier: Apache-2.0

"""From a backend's section in the configuration to its driver."""

from collections.abc import Mapping
import importlib.metadata
import pkgutil
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
import stevedore
from stevedore import exception as stevedore_exception

from manageable_snapshots.conf import backend as backend_options
from manageable_snapshots.drivers import base
from manageable_snapshots import exception
from manageable_snapshots import hosts
from manageable_snapshots.i18n import _

LOG = logging.getLogger(__name__)

NAMESPACE = 'manageable_snapshots.drivers'

#: Drivers of Cinder's, by class, and ours for the same storage, which read
#: the same options. A class that is derived of one of these is not there:
#: what it does otherwise is not known.
NATIVE: Mapping[str, str] = {
    'cinder.volume.drivers.lvm.LVMVolumeDriver': 'lvm',
    'cinder.volume.drivers.rbd.RBDDriver': 'rbd',
}

#: the one that Cinder has where an option names none
_CINDERS_DEFAULT = 'cinder.volume.drivers.lvm.LVMVolumeDriver'

#: where Cinder looks for what a backend's section does not say
_SHARED = 'backend_defaults'


def register_options(conf: cfg.ConfigOpts, backend: str) -> None:
    """Make a backend's options readable as ``conf[backend]``."""
    for _group, options in backend_options.list_opts():
        conf.register_opts(options, group=backend)


def load(conf: cfg.ConfigOpts, backend: str) -> base.SnapshotDriver:
    """The driver of a backend, not set up yet.

    :param backend: the backend's section
    :raises ConfigurationError: neither a file has such a section nor the
        program has registered it, or its ``volume_driver`` names no driver
    """
    _check_section(conf, backend)
    register_options(conf, backend)
    return _make(conf, backend, conf[backend].volume_driver)


def native(conf: cfg.ConfigOpts, backend: str,
           cinders: type) -> base.SnapshotDriver | None:
    """The driver that lists and adopts in place of one of Cinder's.

    :param backend: the backend's section
    :param cinders: the class of Cinder's driver
    :returns: not set up yet; None: no driver, or
        ``manageable_snapshots_native`` is off
    :raises ConfigurationError: it cannot be loaded
    """
    return _native(conf, backend,
                   f'{cinders.__module__}.{cinders.__qualname__}')


def native_by_options(conf: cfg.ConfigOpts,
                      backend: str) -> base.SnapshotDriver | None:
    """The same where no Cinder is at hand, but the files of one.

    :raises ConfigurationError: there is no such section, or the driver
        cannot be loaded
    """
    _check_section(conf, backend)
    register_options(conf, _SHARED)
    conf.set_default('volume_driver', _CINDERS_DEFAULT, _SHARED)
    _share(conf, backend)
    return _native(conf, backend, conf[backend].volume_driver)


def host(conf: cfg.ConfigOpts, backend: str) -> str:
    """The name of a backend's volume service, ``host@backend``."""
    register_options(conf, backend)
    return f'{hosts.host(conf[backend].backend_host or conf.host)}@{backend}'


def _check_section(conf: cfg.ConfigOpts, backend: str) -> None:
    if (conf.config_file and backend not in conf
            and backend not in conf.list_all_sections()):
        raise exception.ConfigurationError(
            option='enabled_backends', group='DEFAULT',
            reason=_('there is no section [%s]') % backend)


def _native(conf: cfg.ConfigOpts, backend: str,
            cinders: str) -> base.SnapshotDriver | None:
    name = NATIVE.get(cinders)
    if name is None:
        return None
    _share(conf, backend)
    if not conf[backend].manageable_snapshots_native:
        return None
    return _make(conf, backend, name)


def _share(conf: cfg.ConfigOpts, backend: str) -> None:
    for section in (_SHARED, backend):
        register_options(conf, section)
    for option in conf[backend]:
        conf.set_default(option, conf[_SHARED][option], backend)


def _make(conf: cfg.ConfigOpts, backend: str,
          name: str) -> base.SnapshotDriver:
    try:
        driver = _find(name)
    except Exception as error:
        LOG.debug('Cannot load the driver %s.', name, exc_info=True)
        raise exception.ConfigurationError(
            option='volume_driver', group=backend,
            reason=_('cannot load %(name)s: %(error)s') % {
                'name': name,
                'error': ' '.join(str(error).split())}) from error
    if not (isinstance(driver, type)
            and issubclass(driver, base.SnapshotDriver)):
        raise exception.ConfigurationError(
            option='volume_driver', group=backend,
            reason=_('%s is not a driver of this service') % name)
    return driver(conf, backend)


def _find(name: str) -> Any:
    if '.' in name or ':' in name:
        return pkgutil.resolve_name(name)
    try:
        return stevedore.DriverManager(NAMESPACE, name).driver
    except stevedore_exception.NoMatches:
        known = importlib.metadata.entry_points(group=NAMESPACE).names
        raise LookupError(
            _('there is no driver of that name, but %s') % ', '.join(
                sorted(known))) from None
