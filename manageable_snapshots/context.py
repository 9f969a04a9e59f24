# SPDX-License-Identifier: Apache-2.0

"""The request context: caller and project, also sent with messages.

The dictionary form is Cinder's (release 22 to 29), since a stock
``cinder-volume`` or ``cinder-api`` may be at the other end.
"""

from collections.abc import Callable
import datetime
from typing import Any

from oslo_context import context
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import timeutils

from manageable_snapshots import exception
from manageable_snapshots.i18n import _


@enginefacade.transaction_context_provider
class RequestContext(context.RequestContext):
    """An oslo.context with what Cinder adds to it.

    :param timestamp: when the request came, naive UTC, or ISO 8601
    :param kwargs: as oslo.context takes them
    """

    def __init__(self, *,
                 remote_address: str | None = None,
                 timestamp: datetime.datetime | str | None = None,
                 quota_class: str | None = None,
                 service_catalog: list[dict[str, Any]] | None = None,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.remote_address = remote_address
        if isinstance(timestamp, str):
            timestamp = timeutils.normalize_time(
                timeutils.parse_isotime(timestamp))
        self.timestamp = timestamp or timeutils.utcnow()
        self.quota_class = quota_class
        self.service_catalog = service_catalog or []
        #: Decides by the policy what the caller may do; set where requests
        #: are authenticated. Arguments as for :meth:`authorize`.
        self.may: Callable[[str, dict[str, Any] | None], bool] = _nothing

    def authorize(self, rule: str,
                  target: dict[str, Any] | None = None) -> None:
        """Raise unless the policy allows the caller what a rule guards.

        :param rule: the rule's name
        :param target: fields of the resource that the rule may refer to;
            None: the caller's own ``project_id`` and ``user_id``
        :raises PolicyNotAuthorized: the policy refuses
        """
        if not self.may(rule, target):
            raise exception.PolicyNotAuthorized(action=rule)

    def require_project(self) -> str:
        """The project that asks, whose quota and rows it is about.

        :raises Invalid: it is a token of a domain or of the whole system
        """
        if self.project_id is None:
            raise exception.Invalid(
                _('The request needs a token that is scoped to a project.'))
        return self.project_id

    def require_right_to(self, project_id: str | None) -> None:
        """Raise InvalidInput unless the caller may use a project's row.

        An administrator may use the rows of all projects.

        :param project_id: the project that the row belongs to
        :raises InvalidInput: the row belongs to another project
        """
        if not self.is_admin and self.project_id != project_id:
            raise exception.InvalidInput(
                reason=_('the resource belongs to another project'))

    def elevated(self) -> 'RequestContext':
        """Return a copy of this context with administrator privileges."""
        if self.is_admin:
            return self
        values = self.to_dict()
        values['is_admin'] = True
        return self.from_dict(values, overwrite=False)

    def to_policy_values(self) -> dict[str, Any]:
        """Return what a policy rule may refer to, as in Cinder."""
        # A key that is set on oslo.context's own mapping counts as deprecated.
        return {**super().to_policy_values(), 'is_admin': self.is_admin}

    def to_dict(self) -> dict[str, Any]:
        """The context as Cinder puts it on the wire."""
        values = super().to_dict()
        values.update(
            user_id=self.user_id,
            project_id=self.project_id,
            project_name=self.project_name,
            domain_id=self.domain_id,
            read_deleted='no',
            remote_address=self.remote_address,
            timestamp=self.timestamp.isoformat(),
            quota_class=self.quota_class,
            service_catalog=self.service_catalog,
            request_id=self.request_id)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any],
                  **kwargs: Any) -> 'RequestContext':
        """The context that :meth:`to_dict`, ours or Cinder's, described."""
        return cls(
            user_id=values.get('user_id'),
            project_id=values.get('project_id'),
            project_name=values.get('project_name'),
            domain_id=values.get('domain_id'),
            user_domain_id=values.get('user_domain'),
            project_domain_id=values.get('project_domain'),
            remote_address=values.get('remote_address'),
            timestamp=values.get('timestamp'),
            quota_class=values.get('quota_class'),
            service_catalog=values.get('service_catalog'),
            request_id=values.get('request_id'),
            global_request_id=values.get('global_request_id'),
            is_admin=bool(values.get('is_admin')),
            is_admin_project=values.get('is_admin_project', True),
            system_scope=values.get('system_scope'),
            roles=values.get('roles'),
            auth_token=values.get('auth_token'),
            **kwargs)


def _nothing(rule: str, target: dict[str, Any] | None) -> bool:
    return False


def get_admin_context() -> RequestContext:
    """A context of the service's own, for work that nobody asked for."""
    return RequestContext(is_admin=True, overwrite=False)
