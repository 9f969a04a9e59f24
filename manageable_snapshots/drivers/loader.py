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

"""From a backend's section in the configuration to its driver."""

import importlib.metadata
import pkgutil
from typing import Any

from oslo_config import cfg
import stevedore
from stevedore import exception as stevedore_exception

from manageable_snapshots.conf import backend as backend_options
from manageable_snapshots.drivers import base
from manageable_snapshots import exception
from manageable_snapshots.i18n import _

NAMESPACE = 'manageable_snapshots.drivers'


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
    if (conf.config_file and backend not in conf
            and backend not in conf.list_all_sections()):
        raise exception.ConfigurationError(
            option='enabled_backends', group='DEFAULT',
            reason=_('there is no section [%s]') % backend)
    register_options(conf, backend)
    name = conf[backend].volume_driver
    try:
        driver = _find(name)
    except Exception as error:
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
