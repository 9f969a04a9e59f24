# SPDX-License-Identifier: Apache-2.0

"""Whether a volume and its service allow what is asked."""

from collections.abc import Collection
from collections.abc import Iterator
import contextlib

from oslo_config import cfg
from oslo_log import log
from sqlalchemy import orm

from manageable_snapshots.api import targets
from manageable_snapshots import context as request_context
from manageable_snapshots.db import models
from manageable_snapshots.db import services
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots.policies import volumes as rules

LOG = log.getLogger(__name__)


def ready(session: orm.Session, conf: cfg.ConfigOpts, *,
          host: str, cluster: str) -> models.Service:
    """The volume service of a backend, which is up and takes requests.

    :param host: ``host@backend``
    :param cluster: ``cluster@backend``, or nothing; where there is a cluster
        the host does not matter
    :raises ServiceNotFound: there is no such service
    :raises VolumeServiceDisabled: it is disabled
    :raises VolumeServiceDown: it is down
    """
    if cluster:
        service = services.get_volume_service(session, cluster=cluster)
    else:
        service = services.get_volume_service(session, host=host)
    if services.is_disabled(session, service):
        LOG.warning('The volume service %s is disabled.', service.host)
        raise exception.VolumeServiceDisabled(service=cluster or host)
    if not services.is_up(service, conf.service_down_time):
        LOG.warning('The volume service %s is down.', service.host)
        raise exception.VolumeServiceDown(service=cluster or host)
    return service


@contextlib.contextmanager
def shown_to(context: request_context.RequestContext,
             volume: models.Volume) -> Iterator[None]:
    """Let errors of a volume's service say what the caller may know.

    They name the service's host if the policy shows the caller the host of
    the volume. Other callers named the volume, and learn no more than that.
    """
    try:
        yield
    except exception.VolumeServiceUnavailable as error:
        raise error.called(_name(context, volume)) from None
    except exception.ServiceNotFound:
        host = services.queue(volume)
        if _name(context, volume) == host:
            raise
        raise exception.ServiceNotFound(
            service_id=services.VOLUME_BINARY) from None


def _name(context: request_context.RequestContext,
          volume: models.Volume) -> str:
    if context.may(rules.VOLUME_HOST, targets.of_volume(volume)):
        return services.queue(volume)
    return _('of volume %s') % volume.id


def check_state(volume: models.Volume) -> None:
    """Raise InvalidVolume if a volume can have no new snapshot."""
    reason = volumes.why_not_snapshottable(volume)
    if reason is not None:
        raise reason


def check_status(volume: models.Volume, allowed: Collection[str]) -> None:
    """Raise InvalidVolume unless a volume's status is in ``allowed``."""
    if volume.status not in allowed:
        raise exception.InvalidVolume(
            reason=_('Volume %(vol_id)s status must be %(status)s, but '
                     'current status is: %(vol_status)s.') % {
                         'vol_id': volume.id, 'status': ', '.join(allowed),
                         'vol_status': volume.status})
