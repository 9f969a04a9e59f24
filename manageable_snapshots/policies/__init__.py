# SPDX-License-Identifier: Apache-2.0

"""Who may do what (oslo.policy): rules, defaults and their enforcement.

Names and defaults are Cinder's, so that an operator's ``policy.yaml`` goes
for both.
"""

import sys
import time
from typing import Any

from oslo_config import cfg
from oslo_context import context as oslo_context
from oslo_policy import policy

from manageable_snapshots import conf as configuration
from manageable_snapshots.policies import base
from manageable_snapshots.policies import manageable_snapshots
from manageable_snapshots.policies import volumes

_MODULES = (base, manageable_snapshots, volumes)

#: seconds after which a change of the operator's files is seen at the latest
RELOAD_SECONDS = 1


class _Enforcer(policy.Enforcer):
    # To look for the files takes longer than to ask the rules, and
    # oslo.policy looks before each question.
    _looked: float | None = None

    def load_rules(self, force_reload: bool = False) -> None:
        now = time.monotonic()
        if (force_reload or self._looked is None
                or now - self._looked >= RELOAD_SECONDS):
            super().load_rules(force_reload)
            self._looked = now


def list_rules() -> list[policy.RuleDefault]:
    """Every rule, for oslopolicy-sample-generator and the like."""
    return [rule for module in _MODULES for rule in module.list_rules()]


def new_enforcer(conf: cfg.ConfigOpts) -> policy.Enforcer:
    """An enforcer of the rules, as the operator's file has them."""
    enforcer = _Enforcer(conf)
    enforcer.register_defaults(list_rules())
    enforcer.load_rules()
    return enforcer


def get_enforcer() -> policy.Enforcer:
    """The enforcer of the command line's configuration.

    For oslo.policy's tools, whose own options are not ours and left out.
    """
    arguments = iter(sys.argv[1:])
    known = []
    for argument in arguments:
        if argument.lstrip('-') in ('namespace', 'output-file'):
            next(arguments, None)
        else:
            known.append(argument)
    return new_enforcer(configuration.load(known))


def may(enforcer: policy.Enforcer, context: oslo_context.RequestContext,
        rule: str, target: dict[str, Any] | None = None) -> bool:
    """Return whether the policy allows the caller what a rule guards.

    :param rule: the rule's name
    :param target: fields of the resource that the rule may refer to; None:
        the caller's own ``project_id`` and ``user_id``
    """
    if target is None:
        target = {'project_id': context.project_id,
                  'user_id': context.user_id}
    return bool(enforcer.authorize(rule, target, context))


def is_admin(enforcer: policy.Enforcer,
             context: oslo_context.RequestContext) -> bool:
    """Return whether the caller is an administrator (context_is_admin)."""
    return may(enforcer, context, base.CONTEXT_IS_ADMIN,
               dict(context.to_policy_values()))
