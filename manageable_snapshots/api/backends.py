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

"""Whether a volume and its service allow what is asked."""

from collections.abc import Collection
from collections.abc import Iterator
import contextlib
from typing import Any

from oslo_config import cfg
from oslo_log import log
from sqlalchemy import orm

from manageable_snapshots import context as request_context
from manageable_snapshots.db import models
from manageable_snapshots.db import services
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import policies
from manageable_snapshots.policies import companions as rules

LOG = log.getLogger(__name__)


def ready(session: orm.Session, conf: cfg.ConfigOpts, *,
          host: str, cluster: str, name: str | None = None,
          ) -> models.Service:
    """The volume service of a backend, which is up and takes requests.

    :param host: ``host@backend``
    :param cluster: ``cluster@backend``, or nothing; where there is a cluster
        the host does not matter
    :param name: what the errors call the service; None: its host or cluster
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
        raise exception.VolumeServiceDisabled(service=name or cluster or host)
    if not services.is_up(service, conf.service_down_time):
        LOG.warning('The volume service %s is down.', service.host)
        raise exception.VolumeServiceDown(service=name or cluster or host)
    return service


def name(app: Any, context: request_context.RequestContext,
         volume: models.Volume) -> str:
    """Return what errors call the volume service of a volume.

    Its host, if the policy shows the requester the host of the volume. Other
    requesters named the volume, and learn no more than that.
    """
    try:
        policies.authorize(
            app.enforcer, context, rules.VOLUME_HOST,
            {'project_id': volume.project_id, 'user_id': volume.user_id})
    except exception.PolicyNotAuthorized:
        return _('of volume %s') % volume.id
    return services.queue(volume)


@contextlib.contextmanager
def called(name: str) -> Iterator[None]:
    """Let the errors of a volume service in the block call it by a name.

    :param name: from :func:`name`
    """
    try:
        yield
    except exception.VolumeServiceUnavailable as error:
        raise error.called(name) from None


def check_status(volume: models.Volume, allowed: Collection[str]) -> None:
    """See to it that a volume is in one of some statuses.

    :raises InvalidVolume: it is not
    """
    if volume.status not in allowed:
        raise exception.InvalidVolume(
            reason=_('Volume %(vol_id)s status must be %(status)s, but '
                     'current status is: %(vol_status)s.') % {
                         'vol_id': volume.id, 'status': ', '.join(allowed),
                         'vol_status': volume.status})
