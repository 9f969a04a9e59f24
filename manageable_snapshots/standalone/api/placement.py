# SPDX-License-Identifier: Apache-2.0

"""Choose the volume service that makes a new volume."""

from oslo_config import cfg
from sqlalchemy import orm

from manageable_snapshots.db import models
from manageable_snapshots.db import services
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots.i18n import _


def choose(session: orm.Session, conf: cfg.ConfigOpts,
           zone: str | None) -> models.Service:
    """The service with the fewest volumes, of those that are there to work.

    :param zone: availability zone; None: any
    :raises Invalid: there is no such zone
    :raises ServiceUnavailable: no service is up and takes volumes
    """
    candidates = services.list_services(
        session, binary=services.VOLUME_BINARY)
    if zone is not None:
        zones = {service.availability_zone for service in candidates}
        if zone not in zones | {conf.storage_availability_zone}:
            raise exception.Invalid(
                _("Availability zone '%s' is invalid.") % zone)
        candidates = [service for service in candidates
                      if service.availability_zone == zone]
    ready = [service for service in candidates
             if services.is_up(service, conf.service_down_time)
             and not services.is_disabled(session, service)]
    if not ready:
        raise exception.ServiceUnavailable(
            _('No volume service is up and enabled.'))
    numbers = volumes.count_by_host(session)
    return min(ready, key=lambda service: (
        numbers.get(service.host, 0), service.id))
