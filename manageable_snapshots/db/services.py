# SPDX-License-Identifier: Apache-2.0

"""Services that report, and the clusters that they form."""

import datetime

from oslo_utils import timeutils
import sqlalchemy as sa
from sqlalchemy import orm

from manageable_snapshots.db import models
from manageable_snapshots.db import query
from manageable_snapshots import exception
from manageable_snapshots import hosts
from manageable_snapshots.i18n import _

VOLUME_BINARY = 'cinder-volume'

#: Cinder's ``replication_status`` from the request until the backend is done
_FAILING_OVER = 'failing-over'


def get_volume_service(session: orm.Session, *, host: str | None = None,
                       cluster: str | None = None) -> models.Service:
    """The volume service of a backend.

    Give either; names match exactly, upper and lower case too.

    :param host: ``host@backend``
    :param cluster: ``cluster@backend``: of its services the one that
        reported last
    :raises ServiceNotFound: none has ever reported
    """
    column, name = ((models.Service.cluster_name, cluster) if cluster
                    else (models.Service.host, host))
    statement = sa.select(models.Service).where(
        models.Service.binary == VOLUME_BINARY, column == name,
        query.live(models.Service)).order_by(
            models.Service.updated_at.desc())
    for service in session.scalars(statement):
        # MariaDB's comparison takes no notice of case.
        if name == (service.cluster_name if cluster else service.host):
            return service
    raise exception.ServiceNotFound(service_id=VOLUME_BINARY, host=host)


def active_backend_id(session: orm.Session, *, host: str | None = None,
                      cluster: str | None = None) -> str | None:
    """Return the replication target that a backend has failed over to.

    :param host: as for :func:`get_volume_service`
    :param cluster: likewise
    :returns: the ``backend_id``; None: the backend uses its own storage
    :raises ServiceNotFound: none has ever reported
    :raises ServiceUnavailable: the backend is failing over at the moment
    """
    service = get_volume_service(session, host=host, cluster=cluster)
    if service.replication_status == _FAILING_OVER:
        raise exception.ServiceUnavailable(
            _('Backend %s is failing over.') % (cluster or host))
    return service.active_backend_id or None


def list_services(session: orm.Session, *, binary: str | None = None,
                  host: str | None = None) -> list[models.Service]:
    """Services, oldest first.

    :param binary: only those of that program
    :param host: only those of that ``host`` or ``host@backend``
    """
    services = session.scalars(
        sa.select(models.Service).where(query.live(models.Service))
        .order_by(models.Service.id))
    return [service for service in services
            if binary in (None, service.binary)
            and (host is None or service.host == host
                 or hosts.host(service.host or '') == host)]


def is_up(service: models.Service, down_seconds: int,
          now: datetime.datetime | None = None) -> bool:
    """Whether a service has reported lately.

    :param down_seconds: how long ago is not lately any more
    :param now: naive UTC; None: now
    """
    if service.updated_at is None:
        return False
    now = now or timeutils.utcnow()
    return service.updated_at >= now - datetime.timedelta(
        seconds=down_seconds)


def is_disabled(session: orm.Session, service: models.Service) -> bool:
    """Whether a service takes nothing new.

    One in a cluster is disabled when its cluster is disabled too, as Cinder's
    API sees it when it manages snapshots.
    """
    if not service.disabled or not service.cluster_name:
        return bool(service.disabled)
    cluster = _cluster(session, service.cluster_name, service.binary)
    return cluster is None or bool(cluster.disabled)


def report(session: orm.Session, *, host: str, cluster: str | None,
           availability_zone: str, rpc_version: str,
           object_version: str) -> models.Service:
    """Say that a volume service is alive; the first time, that there is one.

    :param host: ``host@backend``
    :param cluster: ``cluster@backend``, for a service in a cluster
    :param rpc_version: newest version of the RPC interface that it takes
    :param object_version: newest version of the objects that it takes
    """
    if cluster and _cluster(session, cluster, VOLUME_BINARY) is None:
        session.add(models.Cluster(name=cluster, binary=VOLUME_BINARY))
    try:
        service = get_volume_service(session, host=host)
    except exception.ServiceNotFound:
        service = models.Service(
            host=host, binary=VOLUME_BINARY, topic=VOLUME_BINARY,
            report_count=0)
        session.add(service)
    service.cluster_name = cluster
    service.availability_zone = availability_zone
    service.rpc_current_version = rpc_version
    service.object_current_version = object_version
    service.report_count += 1
    service.updated_at = timeutils.utcnow()
    session.flush()
    return service


def queue(row: models.Service | models.Volume) -> str:
    """The name to which messages for a service or volume are addressed.

    :returns: ``cluster@backend`` where there is a cluster, else
        ``host@backend``
    """
    return hosts.backend(row.cluster_name or row.host or '')


def _cluster(session: orm.Session, name: str,
             binary: str) -> models.Cluster | None:
    return session.scalars(
        sa.select(models.Cluster).where(
            models.Cluster.name == name, models.Cluster.binary == binary,
            query.live(models.Cluster))).first()
