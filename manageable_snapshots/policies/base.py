# SPDX-License-Identifier: Apache-2.0

"""Rules that other rules are made of; Cinder's, word for word."""

from oslo_policy import policy

RULE_ADMIN_API = 'rule:admin_api'
RULE_ADMIN_OR_OWNER = 'rule:admin_or_owner'
RULE_PROJECT_MEMBER = 'rule:xena_system_admin_or_project_member'
RULE_PROJECT_READER = 'rule:xena_system_admin_or_project_reader'

CONTEXT_IS_ADMIN = 'context_is_admin'

_RULES = [
    policy.RuleDefault(
        'admin_or_owner',
        'is_admin:True or (role:admin and is_admin_project:True) or '
        'project_id:%(project_id)s',
        description='Administrators, and the project that owns a thing.'),
    policy.RuleDefault(
        CONTEXT_IS_ADMIN, 'role:admin',
        description="Who is an administrator, for 'is_admin:True'."),
    policy.RuleDefault(
        'admin_api',
        'is_admin:True or (role:admin and is_admin_project:True)',
        description='Administrators.'),
    policy.RuleDefault(
        'xena_system_admin_or_project_reader',
        '(role:admin) or (role:reader and project_id:%(project_id)s)',
        description='Administrators, and readers of the owning project.'),
    policy.RuleDefault(
        'xena_system_admin_or_project_member',
        '(role:admin) or (role:member and project_id:%(project_id)s)',
        description='Administrators, and members of the owning project.'),
]


def list_rules() -> list[policy.RuleDefault]:
    return _RULES
