# SPDX-License-Identifier: Apache-2.0

"""The connection to the message broker."""

from oslo_config import cfg
import oslo_messaging as messaging
from oslo_messaging import opts
from oslo_utils import importutils

from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots.rpc import serializer

# Options that oslo.messaging reads from the configuration which it is given,
# and registers with the global one only.
_UNREGISTERED = [
    (group, importutils.try_import(module))
    for group, module in (
        ('oslo_messaging_metrics', 'oslo_messaging._metrics.client'),
        ('oslo_messaging_tracing', 'oslo_messaging._tracing.client'))]

# In seconds. oslo.messaging's own, 30 and 60, leave a service deaf for as
# long once the broker is back.
_RABBIT_DEFAULTS = {
    'rabbit_interval_max': 3,
    'heartbeat_timeout_threshold': 30,
}


# Its own word for it is -1, with which a connection that is new is given up
# at once.
_FOREVER = 2**31


def register_options(conf: cfg.ConfigOpts) -> None:
    """Register oslo.messaging's options, with defaults of this project."""
    for group, options in opts.list_opts():
        conf.register_opts(options, group=group)
    for group, module in _UNREGISTERED:
        if module is not None:
            conf.register_opts(getattr(module, group), group=group)
    for name, value in _RABBIT_DEFAULTS.items():
        conf.set_default(name, value, group='oslo_messaging_rabbit')


def _unusable(option: str, group: str) -> exception.ConfigurationError:
    # oslo.messaging's message has the URL, hence the password, in it.
    return exception.ConfigurationError(
        option=option, group=group,
        reason=_('it is no URL of a message broker, such as '
                 'rabbit://user:password@host:5672/'))


def get_transport(conf: cfg.ConfigOpts) -> messaging.Transport:
    """The transport of ``transport_url``; it connects when it is used.

    :raises ConfigurationError: ``transport_url`` cannot be used
    """
    register_options(conf)
    try:
        return messaging.get_rpc_transport(conf)
    except (messaging.InvalidTransportURL, messaging.DriverLoadFailure,
            ValueError):
        raise _unusable('transport_url', 'DEFAULT') from None


def has_broker(transport: messaging.Transport) -> bool:
    """Return whether messages leave the process."""
    return getattr(transport, 'has_broker', True)


def get_notifier(conf: cfg.ConfigOpts,
                 publisher_id: str) -> messaging.Notifier | None:
    """What sends notifications, by ``[oslo_messaging_notifications]``.

    :returns: None: they are off, as they are unless ``driver`` is set
    :raises ConfigurationError: the broker's URL cannot be used
    """
    register_options(conf)
    options = conf.oslo_messaging_notifications
    if not set(options.driver) - {'noop'}:
        return None
    try:
        transport = messaging.get_notification_transport(conf)
    except (messaging.InvalidTransportURL, messaging.DriverLoadFailure,
            ValueError):
        raise _unusable('transport_url', 'oslo_messaging_notifications'
                        if options.transport_url else 'DEFAULT') from None
    return messaging.Notifier(
        transport, publisher_id=publisher_id,
        retry=_FOREVER if options.retry < 0 else options.retry,
        serializer=serializer.NotificationSerializer())
