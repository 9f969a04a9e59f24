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
