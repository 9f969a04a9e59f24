# SPDX-License-Identifier: Apache-2.0

"""Rules for listing, adopting and unmanaging snapshots."""

from oslo_policy import policy

from manageable_snapshots.policies import base

LIST_MANAGEABLE = 'snapshot_extension:list_manageable'
MANAGE = 'snapshot_extension:snapshot_manage'
UNMANAGE = 'snapshot_extension:snapshot_unmanage'

_RULES = [
    policy.DocumentedRuleDefault(
        name=LIST_MANAGEABLE,
        check_str=base.RULE_ADMIN_API,
        description='List the snapshots that a backend holds.',
        operations=[
            {'method': 'GET', 'path': '/manageable_snapshots'},
            {'method': 'GET', 'path': '/manageable_snapshots/detail'},
        ]),
    policy.DocumentedRuleDefault(
        name=MANAGE,
        check_str=base.RULE_ADMIN_API,
        description='Adopt a snapshot that a backend holds.',
        operations=[
            {'method': 'POST', 'path': '/manageable_snapshots'},
        ]),
    policy.DocumentedRuleDefault(
        name=UNMANAGE,
        check_str=base.RULE_ADMIN_API,
        description='Unmanage a snapshot, which stays on its backend.',
        operations=[
            {'method': 'POST',
             'path': '/snapshots/{snapshot_id}/action (os-unmanage)'},
        ]),
]


def list_rules() -> list[policy.DocumentedRuleDefault]:
    return _RULES
