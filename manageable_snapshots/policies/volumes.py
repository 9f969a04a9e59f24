# SPDX-License-Identifier: Apache-2.0

"""Who may use volumes, snapshots and the list of services.

Only where this project runs on its own; in Cinder these rules are Cinder's.
"""

from oslo_policy import policy

from manageable_snapshots.policies import base

VOLUME_CREATE = 'volume:create'
VOLUME_GET = 'volume:get'
VOLUME_GET_ALL = 'volume:get_all'
VOLUME_DELETE = 'volume:delete'
VOLUME_HOST = 'volume_extension:volume_host_attribute'
VOLUME_PROJECT = 'volume_extension:volume_tenant_attribute'
VOLUME_MIGRATION = 'volume_extension:volume_mig_status_attribute'
SNAPSHOT_CREATE = 'volume:create_snapshot'
SNAPSHOT_GET = 'volume:get_snapshot'
SNAPSHOT_GET_ALL = 'volume:get_all_snapshots'
SNAPSHOT_DELETE = 'volume:delete_snapshot'
SNAPSHOT_EXTENDED = 'volume_extension:extended_snapshot_attributes'
SERVICE_GET_ALL = 'volume_extension:services:index'


def _rule(name: str, check: str, description: str, method: str, *paths: str,
          before: str | None = None) -> policy.DocumentedRuleDefault:
    deprecated = None if before is None else policy.DeprecatedRule(
        name, before, deprecated_since='Xena', deprecated_reason=(
            'Default policies now support the three Keystone default roles.'))
    return policy.DocumentedRuleDefault(
        name=name, check_str=check, description=description,
        operations=[{'method': method, 'path': path} for path in paths],
        deprecated_rule=deprecated)


_RULES = [
    _rule(VOLUME_CREATE, base.RULE_PROJECT_MEMBER,
          'Create a volume.',
          'POST', '/volumes'),
    _rule(VOLUME_GET, base.RULE_PROJECT_READER,
          'Show a volume.',
          'GET', '/volumes/{volume_id}',
          # Adopting looks at this one in Cinder too, where it still counts
          # unless [oslo_policy] enforce_new_defaults is on.
          before=base.RULE_ADMIN_OR_OWNER),
    _rule(VOLUME_GET_ALL, base.RULE_PROJECT_READER,
          'List volumes.',
          'GET', '/volumes', '/volumes/detail'),
    _rule(VOLUME_DELETE, base.RULE_PROJECT_MEMBER,
          'Delete a volume.',
          'DELETE', '/volumes/{volume_id}'),
    _rule(VOLUME_HOST, base.RULE_ADMIN_API,
          'See the host of a volume.',
          'GET', '/volumes/{volume_id}', '/volumes/detail'),
    _rule(VOLUME_PROJECT, base.RULE_PROJECT_READER,
          'See the project of a volume.',
          'GET', '/volumes/{volume_id}', '/volumes/detail'),
    _rule(VOLUME_MIGRATION, base.RULE_ADMIN_API,
          'See the migration status of a volume.',
          'GET', '/volumes/{volume_id}', '/volumes/detail'),
    _rule(SNAPSHOT_CREATE, base.RULE_PROJECT_MEMBER,
          'Create a snapshot.',
          'POST', '/snapshots'),
    _rule(SNAPSHOT_GET, base.RULE_PROJECT_READER,
          'Show a snapshot.',
          'GET', '/snapshots/{snapshot_id}'),
    _rule(SNAPSHOT_GET_ALL, base.RULE_PROJECT_READER,
          'List snapshots.',
          'GET', '/snapshots', '/snapshots/detail'),
    _rule(SNAPSHOT_DELETE, base.RULE_PROJECT_MEMBER,
          'Delete a snapshot.',
          'DELETE', '/snapshots/{snapshot_id}'),
    _rule(SNAPSHOT_EXTENDED, base.RULE_PROJECT_READER,
          'See the project and the progress of a snapshot.',
          'GET', '/snapshots/{snapshot_id}', '/snapshots/detail'),
    _rule(SERVICE_GET_ALL, base.RULE_ADMIN_API,
          'List the services.',
          'GET', '/os-services'),
]


def list_rules() -> list[policy.DocumentedRuleDefault]:
    return _RULES
