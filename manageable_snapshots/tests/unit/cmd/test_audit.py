# SPDX-License-Identifier: Apache-2.0

"""What manageable-snapshots-manage audit prints, and how it ends."""

import json
from unittest import mock

from manageable_snapshots.audit import quotas
from manageable_snapshots.audit import repair
from manageable_snapshots.cmd import manage
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.audit import base


class AuditTest(base.TestCase):

    def manage(self, *arguments):
        return self.call(manage.main, '--config-file', self.path, 'audit',
                         *arguments)

    def test_nothing_is_said_in_a_line(self):
        code, out, err = self.manage()
        self.assertEqual((0, 'Breaches: 0\n'), (code, out))
        self.assertIn('node@images: asking for its snapshots', err)

    def test_each_breach_has_the_command_that_mends_it(self):
        self.available()
        stolen = self.row(status='available')
        code, out, _err = self.manage()
        self.assertEqual(1, code)
        lines = out.splitlines()
        self.assertEqual(['stolen', 'node@images', stolen], lines[0].split())
        self.assertIn(f'snapshot-{stolen}', lines[1])
        self.assertEqual(
            f'    $ openstack volume snapshot set --state error {stolen}',
            lines[2])
        self.assertEqual('Breaches: 1', lines[3])

    def test_a_repair_says_what_it_did_and_what_is_left(self):
        finished = self.row()
        self.hold(f'snapshot-{finished}')
        self.available()
        stolen = self.row(status='available')
        code, out, _err = self.manage('--repair')
        self.assertEqual(1, code)
        self.assertIn(f'    Snapshot {finished} is available, with 1 GiB.\n',
                      out)
        self.assertIn(
            '    Not repaired: an operator has to decide.\n'
            '    $ openstack volume snapshot set --state error '
            f'{stolen}\n', out)
        self.assertTrue(out.endswith('Breaches: 1 left, 1 mended\n'), out)

    def test_the_quota_has_no_backend(self):
        self.available(charged=False)
        code, out, _err = self.manage()
        self.assertEqual(1, code)
        self.assertEqual(['usage', 'quota', 'project', base.PROJECT],
                         out.splitlines()[0].split())

    def test_a_backend_that_is_wanted(self):
        with open(self.path, 'a') as file:
            file.write('[DEFAULT]\nenabled_backends = images, gone\n[gone]\n')
        self.assertEqual(2, self.manage()[0])
        self.assertEqual(0, self.manage('--backend', 'node@images')[0])
        code, out, _err = self.manage('--backend', 'node@gone')
        self.assertEqual(2, code)
        self.assertIn('Not looked at: node@gone', out)

    def test_a_backend_that_there_is_not(self):
        code, out, err = self.manage('--backend', 'node@nowhere')
        self.assertEqual((2, ''), (code, out))
        self.assertIn('There is no backend node@nowhere here, but: '
                      'node@images', err)

    def test_a_wrong_usage(self):
        for arguments in (('--older-than', 'soon'), ('--older-than', '-1'),
                          ('--format', 'yaml'), ('--mend',)):
            with self.subTest(arguments=arguments):
                self.assertEqual(2, self.manage(*arguments)[0])

    def test_a_database_that_is_away(self):
        self.write('[DEFAULT]\nenabled_backends = images\n[images]\n'
                   f'[database]\nconnection = sqlite:///{self.folder}/no/db')
        code, out, err = self.manage()
        self.assertEqual((2, ''), (code, out))
        self.assertIn('the-command: The database is unavailable', err)

    def test_a_database_that_goes_away_leaves_json_whole(self):
        with mock.patch.object(
                quotas, 'check',
                side_effect=exception.ServiceUnavailable('it is gone')):
            answer = self.audit(status=2)
        self.assertEqual(['The audit ended early: it is gone'],
                         answer['not_looked_at'])

    def test_what_nobody_thought_of_is_no_breach(self):
        with mock.patch.object(quotas, 'check', side_effect=KeyError('x')):
            code, out, _err = self.manage('--format', 'json')
        self.assertEqual(2, code)
        self.assertEqual(['The audit ended early; the log has the cause.'],
                         json.loads(out)['not_looked_at'])

    def test_what_cannot_be_mended_is_left(self):
        self.available(charged=False)
        with mock.patch.object(repair, 'recount', side_effect=KeyError('x')):
            code, out, _err = self.manage('--repair')
        self.assertEqual(1, code)
        self.assertIn('Left: it could not be mended; the log has the cause.',
                      out)

    def test_a_configuration_that_will_not_do_is_no_breach(self):
        for text in ('[DEFAULT\n', '[manageable_snapshots]\n'
                     'adoption_timeout = soon\n'):
            with self.subTest(text=text):
                self.write(text)
                code, out, err = self.manage()
                self.assertEqual((2, ''), (code, out))
                self.assertTrue(err.startswith('the-command: '), err)
                self.assertNotIn('Traceback', err)

    def test_without_a_backend_there_is_the_quota(self):
        with open(self.path, 'a') as file:
            file.write('[DEFAULT]\nenabled_backends =\n')
        self.available(charged=False)
        answer = self.audit(status=1)
        self.assertEqual({'usage'}, {
            breach['kind'] for breach in answer['breaches']})
        self.assertIn('names no backend', answer['notes'][0])


class InCinderTest(base.TestCase):
    """With the files of a Cinder, whose own driver nobody here can load."""

    def setUp(self):
        super().setUp()
        with open(self.path) as file:
            self.path = self.write(
                file.read().replace(
                    'volume_driver = directory',
                    'volume_driver = cinder.volume.drivers.nfs.NfsDriver'
                ) + '[DEFAULT]\nauth_strategy = noauth_include_project_id\n',
                'cinder.conf')

    def test_rows_and_quota_are_looked_at(self):
        waiting = self.row(reference={'source-name': 'old'})
        unknown = self.row()
        self.available(charged=False)
        self.row(status='available')
        answer = self.audit('--repair', status=1)
        self.assertEqual(
            {('undecided', waiting), ('undecided', unknown),
             ('usage', None)},
            {(breach['kind'], breach['snapshot_id'])
             for breach in answer['breaches']})
        self.assertEqual(
            ['node@images: no driver of this project reads this backend, so '
             'only its rows were looked at.'], answer['notes'])
        for each in (waiting, unknown):
            self.assertEqual('creating', self.find(each).status)
