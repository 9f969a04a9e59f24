# SPDX-License-Identifier: Apache-2.0

"""The backends that a configuration has, to be asked and not to be changed."""

from collections.abc import Callable
from collections.abc import Collection
from concurrent import futures
import dataclasses
import functools
import threading
from typing import Any
from typing import TypeVar

from oslo_config import cfg
from oslo_log import log

from manageable_snapshots.conf import host
from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import services
from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import loader
from manageable_snapshots.drivers import rbd
from manageable_snapshots.drivers.rbd import cluster as rbd_cluster
from manageable_snapshots import exception
from manageable_snapshots.i18n import _

LOG = log.getLogger(__name__)

#: Cinder's option, which has no other use here
_CLUSTER = cfg.StrOpt('cluster')

Answer = TypeVar('Answer')


class Away(Exception):
    """A backend does not answer, or not as it should."""


@dataclasses.dataclass(frozen=True)
class Backend:
    """A backend.

    :ivar name: ``host@backend``, or ``cluster@backend``
    :ivar driver: None: this project has no driver for it
    :ivar seconds: how long it may take for one answer
    """

    name: str
    driver: base.SnapshotDriver | None
    seconds: int

    def set_up(self) -> None:
        """Get the driver ready to be asked.

        :raises Away: it cannot
        """
        if self.driver is not None:
            self.ask(self.driver.prepare_to_read, context.get_admin_context())

    def ask(self, function: Callable[..., Answer], *args: Any) -> Answer:
        """Call a function of the driver, which may hang.

        :raises Away: it failed, or took too long
        :raises ManageExistingInvalidReference: the backend refuses a
            reference
        :raises NotImplementedError: the driver cannot
        """
        future: futures.Future[Answer] = futures.Future()

        def run() -> None:
            try:
                future.set_result(function(*args))
            except Exception as error:
                future.set_exception(error)

        # A daemon: the process must be able to end while the backend hangs.
        threading.Thread(target=run, name='backend', daemon=True).start()
        try:
            return future.result(self.seconds)
        except futures.TimeoutError:
            raise Away(exception.BackendTimeout(
                host=self.name, seconds=self.seconds).msg) from None
        except (exception.ManageExistingInvalidReference,
                NotImplementedError):
            raise
        except exception.ManageableSnapshotsException as error:
            raise Away(error.msg) from error
        except Exception as error:
            LOG.exception('The driver of %s failed.', self.name)
            raise Away(_('the driver failed; the log has the cause')
                       ) from error


def configured(conf: cfg.ConfigOpts, database: engine.Database,
               wanted: Collection[str] = ()) -> list[Backend]:
    """The backends of ``enabled_backends``.

    :param database: knows which backends have failed over
    :param wanted: the names of those that matter; empty: all do
    :raises ConfigurationError: a backend has no section or driver
    :raises InvalidParameterValue: a wanted one is not there
    """
    cluster = _cluster(conf)
    sections = {
        f'{cluster}@{section}' if cluster else loader.host(conf, section):
        section for section in conf.enabled_backends}
    unknown = sorted(set(wanted) - set(sections))
    if unknown:
        raise exception.InvalidParameterValue(
            err=_('There is no backend %(unknown)s here, but: %(known)s')
            % {'unknown': ', '.join(unknown),
               'known': ', '.join(sections) or _('none')})
    found = []
    for name, section in sections.items():
        if wanted and name not in wanted:
            continue
        if host.is_hosts(conf):
            driver = loader.native_by_options(conf, section)
            if isinstance(driver, rbd.RBDDriver):
                driver.follow(functools.partial(
                    _active_cluster, conf[section], section, database,
                    'cluster' if cluster else 'host', name))
        else:
            driver = loader.load(conf, section)
        found.append(Backend(name, driver,
                             conf.manageable_snapshots.list_timeout))
    return found


def _cluster(conf: cfg.ConfigOpts) -> str:
    """Return the cluster of Cinder's volume services, or an empty text."""
    if not host.is_hosts(conf):
        return ''
    conf.register_opt(_CLUSTER)
    return (conf.cluster or '').strip()


def _active_cluster(options: Any, section: str, database: engine.Database,
                    kind: str, name: str) -> rbd_cluster.Cluster:
    """Return the Ceph cluster that a backend of Cinder's uses now.

    :param kind: of the name: ``host`` or ``cluster``
    :raises ConfigurationError: it has failed over to an unknown one
    :raises ServiceUnavailable: it is failing over
    """
    with database.reader(context.get_admin_context()) as session:
        try:
            target = services.active_backend_id(session, **{kind: name})
        except exception.ServiceNotFound:
            # A backend that has never run has not failed over.
            target = None
    return rbd_cluster.active(options, section, target)
