# SPDX-License-Identifier: Apache-2.0

"""Mistakes in the operator's policy files."""

import os

import fixtures
from oslotest import base

from manageable_snapshots import conf as configuration
from manageable_snapshots import exception
from manageable_snapshots import policies
from manageable_snapshots.policies import check

LIST = 'snapshot_extension:list_manageable'


class CheckTestCase(base.BaseTestCase):

    IN_CINDER = False

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.options = ''

    def write(self, text, name='policy.yaml'):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(text)
        return path

    def conf(self):
        return configuration.load([
            '--config-file',
            self.write(f'[oslo_policy]\n{self.options}', 'project.conf')])

    def mistakes(self):
        return [sentence.replace(f'{self.folder}/', '') for sentence
                in check.mistakes(self.conf(), in_cinder=self.IN_CINDER)]

    def assertMistaken(self, text, *sentences):
        self.write(text)
        self.assertEqual(list(sentences), self.mistakes())

    def assertUnusable(self, *words, option='policy_file'):
        error = self.assertRaises(exception.ConfigurationError, self.mistakes)
        self.assertIn(f'Option {option} in section [oslo_policy]: '
                      f'{self.folder}/', error.msg)
        for word in words:
            self.assertIn(word, error.msg)
        self.assertEqual(1, len(error.msg.splitlines()))


class AnyCheckTest(CheckTestCase):
    """What is the same in Cinder."""

    def test_without_a_file_the_defaults_apply(self):
        self.assertEqual([], self.mistakes())

    def test_good_rules(self):
        for text in ('"rule:admin_api"', '"!"', '"@"', '""', '[]',
                     '"role:admin and not (role:x or !)"',
                     '[["role:admin", "!"], ["@"]]',
                     "\"'x':%(project_id)s\""):
            with self.subTest(text=text):
                self.assertMistaken(f'"{LIST}": {text}\n')

    def test_an_empty_file(self):
        self.assertMistaken('# nothing\n')

    def test_a_misspelt_rule_has_the_right_one_beside_it(self):
        self.assertMistaken(
            '"snapshot_extension:list_managable": "@"\n',
            'Policy rule snapshot_extension:list_managable in '
            f'policy.yaml is unknown: it is ignored. Did you mean {LIST}?')
        self.assertMistaken(
            '"snapshot_extention:list_manageable": "@"\n',
            'Policy rule snapshot_extention:list_manageable in '
            f'policy.yaml is unknown: it is ignored. Did you mean {LIST}?')
        self.assertMistaken(
            '"snapshot_extension:xyz": "@"\n',
            'Policy rule snapshot_extension:xyz in policy.yaml is unknown: '
            'it is ignored.')

    def test_a_rule_that_others_refer_to_is_an_alias(self):
        self.assertMistaken(
            f'"{LIST}": "role:x or not rule:snapshot_extension:my"\n'
            '"snapshot_extension:my": "role:y and rule:further"\n'
            '"further": "@"\n')

    def test_the_default_rule(self):
        self.assertMistaken('"default": "!"\n')

    def test_what_cannot_be_parsed(self):
        for text in ('"role:admin and"', '"admin"', '"role:x or admin"',
                     '"(role:admin"', '[["admin"]]', '{role: admin}',
                     '"not ! or admin"'):
            with self.subTest(text=text):
                self.assertMistaken(
                    f'"{LIST}": {text}\n', f'Policy rule {LIST} in '
                    'policy.yaml cannot be parsed; what is not understood '
                    'denies.')
                # oslo.policy would do it with a traceback.
                self.assertEqual('', self.log.output)

    def test_a_rule_without_a_check(self):
        for text in ('', 'false'):
            self.assertMistaken(
                f'"{LIST}": {text}\n', f'Policy rule {LIST} in policy.yaml '
                'has no text and allows every request; "@" says so, "!" '
                'denies.')

    def test_a_rule_that_refers_to_itself(self):
        self.assertMistaken(
            f'"{LIST}": "role:x or rule:more"\n"more": "rule:{LIST}"\n',
            f'Policy rule {LIST} in policy.yaml refers to itself.',
            *([] if self.IN_CINDER else
              ['Policy rule more in policy.yaml refers to itself.']))

    def test_a_file_that_is_not_there(self):
        self.options = 'policy_file = none.yaml\npolicy_dirs = none.d\n'
        self.assertEqual(
            ['The policy file none.yaml, which [oslo_policy] policy_file '
             'names, does not exist.',
             'The policy file none.d, which [oslo_policy] policy_dirs '
             'names, does not exist.'], self.mistakes())

    def test_a_file_by_another_name(self):
        path = self.write(f'"{LIST}": "admin"\n', 'rules.yaml')
        for name in ('rules.yaml', path):
            self.options = f'policy_file = {name}\n'
            self.assertIn('rules.yaml cannot be parsed', self.mistakes()[0])

    def test_folders_and_the_last_file_counts(self):
        self.write(f'"{LIST}": "admin"\n"snapshot_extension:a": ""\n')
        self.write(f'"{LIST}": "role:admin"\n', 'policy.d/1.yaml')
        self.write('"snapshot_extension:b": ""\n', 'policy.d/2.yaml')
        self.write('"snapshot_extension:c": ""\n', 'policy.d/.hidden')
        self.write('"snapshot_extension:d": ""\n', 'policy.d/deeper/x.yaml')
        self.assertEqual(
            [f'Policy rule snapshot_extension:{name} in {file} is unknown: '
             'it is ignored.' for name, file in (
                 ('a', 'policy.yaml'), ('b', 'policy.d/2.yaml'))],
            self.mistakes())

    def test_a_file_that_is_no_yaml(self):
        self.write(f'"{LIST}": "@"\n "x\n')
        self.assertUnusable('line 2')

    def test_a_rule_of_which_a_part_is_no_text(self):
        self.write(f'"{LIST}": [1]\n')
        self.assertUnusable(LIST, 'not a string')

    def test_a_file_that_holds_no_rules(self):
        for text in ('- a\n', 'a\n'):
            self.write(text)
            self.assertUnusable('"rule": "check"')

    def test_a_file_in_no_encoding(self):
        with open(os.path.join(self.folder, 'policy.yaml'), 'wb') as file:
            file.write(b'"\xff": "@"')
        self.assertUnusable()

    def test_a_rule_that_is_no_text(self):
        for text in ('true', '5'):
            self.write(f'"{LIST}": {text}\n')
            self.assertUnusable(LIST, 'not a string')

    def test_a_folder_as_a_file_and_a_file_as_a_folder(self):
        self.write('', 'policy.yaml/x')
        self.assertUnusable('directory')
        self.options = 'policy_file = x.yaml\npolicy_dirs = a.yaml\n'
        self.write('', 'a.yaml')
        self.assertUnusable('directory', option='policy_dirs')


class AnyCheckInCinderTest(AnyCheckTest):

    IN_CINDER = True


class OnItsOwnTest(CheckTestCase):

    def test_each_rule_is_known(self):
        names = {rule.name for rule in policies.list_rules()}
        self.assertMistaken(''.join(
            f'"{name}": "role:admin"\n' for name in names))

    def test_one_of_cinders_others(self):
        self.assertMistaken(
            '"backup:create": "@"\n',
            'Policy rule backup:create in policy.yaml is unknown: it is '
            'ignored.')

    def test_a_reference_to_nothing(self):
        self.assertMistaken(
            f'"{LIST}": "rule:admin_ap or rule:x"\n',
            f'Policy rule {LIST} in policy.yaml refers to the rule admin_ap, '
            'which is not defined.',
            f'Policy rule {LIST} in policy.yaml refers to the rule x, which '
            'is not defined.')

    def test_they_are_warned_about_once(self):
        self.write('"x:y": "@"\n')
        for _count in range(2):
            check.warn(self.conf())
        self.assertEqual(1, self.log.output.count('Policy rule x:y in'))


class InCinderTest(CheckTestCase):

    IN_CINDER = True

    def test_cinders_other_rules_are_cinders(self):
        self.assertMistaken(
            f'"{LIST}": "rule:system_or_domain_or_project_admin"\n'
            '"backup:create": "admin"\n"x": "rule:nothing"\n'
            '"volume_extension:list_manageable": "@"\n'
            '"snapshot_extension:snapshot_actions:update_snapshot_status": '
            '"@"\n')

    def test_a_file_that_cannot_be_used_is_a_warning(self):
        self.write('- a\n')
        check.warn_in_cinder(self.conf())
        self.assertIn(f'{self.folder}/policy.yaml: it does not consist of',
                      self.log.output)
