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

"""The way to the message broker, or, in one process, past it."""

from oslo_config import cfg
import oslo_messaging as messaging
from oslo_messaging import transport
from oslo_utils import importutils

from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots.rpc import in_process as in_process_driver

# Options that oslo.messaging reads from the configuration which it is given,
# and registers with the global one only.
_UNREGISTERED = [
    (group, importutils.try_import(module))
    for group, module in (
        ('oslo_messaging_metrics', 'oslo_messaging._metrics.client'),
        ('oslo_messaging_tracing', 'oslo_messaging._tracing.client'))]


def _register_options(conf: cfg.ConfigOpts) -> None:
    for group, module in _UNREGISTERED:
        if module is not None:
            conf.register_opts(getattr(module, group), group=group)


def get_transport(conf: cfg.ConfigOpts) -> messaging.Transport:
    """The transport of ``transport_url``; it connects when it is used.

    :raises ConfigurationError: ``transport_url`` cannot be used
    """
    _register_options(conf)
    try:
        return messaging.get_rpc_transport(conf)
    except (messaging.InvalidTransportURL, messaging.DriverLoadFailure,
            ValueError):
        # Their messages have the URL, hence the password, in them.
        raise exception.ConfigurationError(
            option='transport_url', group='DEFAULT',
            reason=_('it is no URL of a message broker, such as '
                     'rabbit://user:password@host:5672/')) from None


def in_process(conf: cfg.ConfigOpts) -> messaging.Transport:
    """A transport that stays in memory, apart from every other one.

    What is sent before its server listens waits for it.
    """
    _register_options(conf)
    return transport.RPCTransport(in_process_driver.Driver(conf))
