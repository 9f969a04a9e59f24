# SPDX-License-Identifier: Apache-2.0

"""The rules, and who passes them."""

import functools
import os
import time

import fixtures
from oslo_policy import generator
from oslo_policy import policy
from oslotest import base

from manageable_snapshots import conf as configuration
from manageable_snapshots import context
from manageable_snapshots import policies
from manageable_snapshots.policies import manageable_snapshots as rules
from manageable_snapshots.policies import volumes as volume_rules

ALL = (rules.LIST_MANAGEABLE, rules.MANAGE, rules.UNMANAGE)


class PoliciesTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.FakeLogger())
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.config = self.write('manageable_snapshots.conf', '')

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as file:
            file.write(text)
        return path

    def enforcer(self):
        return policies.new_enforcer(
            configuration.load(['--config-file', self.config]))

    def may(self, enforcer, rule, *roles, target=None, **values):
        requester = context.RequestContext(
            user_id='u', project_id='p', roles=list(roles), overwrite=False,
            **values)
        return policies.may(enforcer, requester, rule, target)

    def test_administrators_may_do_everything(self):
        enforcer = self.enforcer()
        for rule in ALL:
            self.assertTrue(self.may(enforcer, rule, 'admin'))
            self.assertTrue(self.may(enforcer, rule, is_admin=True))

    def test_others_may_do_nothing(self):
        enforcer = self.enforcer()
        for rule in ALL:
            self.assertFalse(self.may(enforcer, rule, 'member', 'reader'))

    def test_an_administrator_of_another_project_than_the_clouds(self):
        self.assertFalse(self.may(self.enforcer(), rules.MANAGE, 'admin',
                                  is_admin_project=False))

    def test_the_operators_file(self):
        self.write('policy.yaml', f'"{rules.MANAGE}": '
                                  '"project_id:%(project_id)s"\n')
        enforcer = self.enforcer()
        self.assertTrue(self.may(enforcer, rules.MANAGE))
        self.assertFalse(self.may(enforcer, rules.MANAGE,
                                  target={'project_id': 'q'}))
        self.assertFalse(self.may(enforcer, rules.LIST_MANAGEABLE))

    def test_the_operators_file_is_looked_for_now_and_then(self):
        now = self.useFixture(fixtures.MockPatchObject(
            time, 'monotonic', return_value=100)).mock
        enforcer = self.enforcer()
        self.write('policy.yaml', f'"{rules.MANAGE}": "@"\n')
        self.assertFalse(self.may(enforcer, rules.MANAGE))
        now.return_value += policies.RELOAD_SECONDS
        self.assertTrue(self.may(enforcer, rules.MANAGE))

    def test_a_volume_is_its_projects_where_the_new_defaults_are_off(self):
        for enforced in ('false', 'true'):
            self.write('manageable_snapshots.conf',
                       f'[oslo_policy]\nenforce_new_defaults = {enforced}\n')
            enforcer = self.enforcer()
            may = functools.partial(
                self.may, enforcer, volume_rules.VOLUME_GET)
            self.assertTrue(may('reader'))
            self.assertIs(enforced == 'false', may('of_our_own'))
            self.assertFalse(may('reader', target={'project_id': 'q'}))

    def test_a_token_of_the_wrong_scope(self):
        # Releases of oslo.policy that have the option do not by default
        # what those without it always do.
        self.write('manageable_snapshots.conf',
                   '[oslo_policy]\nenforce_scope = true\n')
        enforcer = self.enforcer()
        enforcer.registered_rules[rules.MANAGE].scope_types = ['system']
        self.addCleanup(setattr, enforcer.registered_rules[rules.MANAGE],
                        'scope_types', None)
        self.assertFalse(self.may(enforcer, rules.MANAGE, 'admin'))

    def test_a_rule_that_nobody_made(self):
        self.assertRaises(policy.PolicyNotRegistered, self.may,
                          self.enforcer(), 'no:such_rule')

    def test_no_rule_is_there_twice(self):
        names = [rule.name for rule in policies.list_rules()]
        self.assertEqual(len(names), len(set(names)))

    def test_each_rule_refers_to_rules_that_there_are(self):
        self.assertTrue(self.enforcer().check_rules(raise_on_violation=True))

    def test_the_tools_of_oslo_policy_have_options_of_their_own(self):
        self.write('policy.yaml', f'"{rules.MANAGE}": "@"\n')
        self.useFixture(fixtures.MonkeyPatch('sys.argv', [
            'oslopolicy-policy-generator', '--namespace',
            'manageable_snapshots', '--output-file', 'x',
            '--config-file', self.config]))
        self.assertTrue(self.may(policies.get_enforcer(), rules.MANAGE))

    def test_the_sample_has_each_rule(self):
        path = os.path.join(self.folder, 'sample.yaml')
        generator.generate_sample(
            ['--namespace', 'manageable_snapshots', '--output-file', path])
        with open(path) as file:
            sample = file.read()
        for rule in policies.list_rules():
            self.assertIn(f'#"{rule.name}": ', sample)
