# SPDX-License-Identifier: Apache-2.0

"""Quota that is not what rows and reservations say."""

import datetime
from unittest import mock

from oslo_utils import timeutils
import sqlalchemy as sa

from manageable_snapshots.audit import quotas
from manageable_snapshots.audit import repair
from manageable_snapshots.db import audit as db_audit
from manageable_snapshots.db import models
from manageable_snapshots.db import quota
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volume_types
from manageable_snapshots.db import volumes
from manageable_snapshots.tests.unit.audit import base
from manageable_snapshots.tests.unit.db import base as db_base

SOON = timeutils.utcnow() + datetime.timedelta(hours=1)


class TestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.available()

    def change(self, resource, project_id=base.PROJECT, **columns):
        with self.database.writer(self.admin) as session:
            usage = session.query(models.QuotaUsage).filter_by(
                resource=resource, project_id=project_id).one()
            for column, value in columns.items():
                setattr(usage, column, value)
            return usage.id

    def reserve(self, resource, delta, expire, **columns):
        """Reserve as Cinder does."""
        with self.database.writer(self.admin) as session:
            usage = session.query(models.QuotaUsage).filter_by(
                resource=resource).one()
            usage.reserved += max(0, delta)
            session.add(models.Reservation(
                usage_id=usage.id, project_id=base.PROJECT,
                resource=resource, delta=delta, expire=expire, **columns))

    def texts(self, *arguments, status=None):
        return [breach['text'] for breach
                in self.audit(*arguments, status=status)['breaches']]


class UsageTest(TestCase):

    def test_a_usage_that_drifted(self):
        self.change('snapshots', in_use=7, reserved=2)
        self.assertEqual(
            ['snapshots of project a-project: 7 in use and 2 reserved, but '
             'the rows have 1 and the reservations 0.'],
            self.texts(status=1))
        answer = self.audit('--repair', status=0)
        self.assertEqual(
            'snapshots of project a-project: 1 in use, 0 reserved.',
            answer['breaches'][0]['outcome'])
        self.assertEqual((1, 0), self.usages()['snapshots'])
        self.audit(status=0)

    def test_sizes_and_types_and_volumes_too(self):
        drifted = ('gigabytes', 'gigabytes___DEFAULT__', 'volumes',
                   'snapshots___DEFAULT__')
        before = self.usages()
        for resource in drifted:
            self.change(resource, in_use=-1)
        self.assertEqual(sorted(drifted), sorted(
            text.partition(' of ')[0] for text
            in self.texts('--repair', status=0)))
        self.assertEqual(before, self.usages())

    def test_a_row_that_was_never_charged(self):
        self.available(charged=False)
        self.assertEqual(4, len(self.texts('--repair', status=0)))
        self.assertEqual((2, 0), self.usages()['snapshots'])

    def test_sizes_of_snapshots_may_not_count(self):
        with open(self.path, 'a') as file:
            file.write('[DEFAULT]\nno_snapshot_gb_quota = true\n')
        self.assertEqual(2, len(self.texts('--repair', status=0)))
        self.assertEqual((1, 0), self.usages()['gigabytes'])

    def test_what_is_counted_elsewhere_is_left_alone(self):
        with self.database.writer(self.admin) as session:
            for resource in ('backups', 'backup_gigabytes', 'groups',
                             'per_volume_gigabytes'):
                session.add(models.QuotaUsage(
                    project_id=base.PROJECT, resource=resource, in_use=9,
                    reserved=0))
            session.add(models.QuotaUsage(
                project_id='gone', resource='snapshots', in_use=9,
                reserved=0, deleted=True, race_preventer=sa.null()))
        self.audit(status=0)

    def test_a_type_that_is_deleted_has_nothing(self):
        with self.database.writer(self.admin) as session:
            session.add(models.QuotaUsage(
                project_id=base.PROJECT, resource='snapshots_gone_type',
                in_use=9, reserved=0))
        self.texts('--repair', status=0)
        self.assertEqual((0, 0), self.usages()['snapshots_gone_type'])

    def test_a_second_page_is_read_as_well(self):
        for resource in ('snapshots', 'gigabytes', 'volumes'):
            self.change(resource, in_use=50)
        with mock.patch.object(db_audit, '_PAGE', 1):
            self.assertEqual(3, len(self.texts(status=1)))


class ManyTest(TestCase):
    """What there are many of costs no statement for each."""

    def setUp(self):
        super().setUp()
        self.statements = self.useFixture(db_base.Statements())

    def charge(self, projects):
        for project_id in projects:
            with self.database.writer(self.admin) as session:
                quota.charge(
                    session, self.conf, self.admin, project_id=project_id,
                    volume_type=volume_types.default(session), volumes=1,
                    snapshots=1, gigabytes=2)
                volume = volumes.create(session, {
                    'project_id': project_id, 'size': 1})
                snapshots.create(session, volume, volume, name=None,
                                 description=None, metadata=None)

    def check(self):
        return list(quotas.check(self.conf, self.database, 'repair',
                                 lambda text: None))

    def test_usages_of_many_projects(self):
        number = self.statements.count(self.check)
        self.charge(f'project-{each}' for each in range(20))
        self.assertEqual(number, self.statements.count(self.check))
        self.assertEqual([], self.check())

    def test_more_than_a_page(self):
        self.charge(f'project-{each}' for each in range(3))
        self.change('volumes___DEFAULT__', 'project-1', in_use=9)
        with mock.patch.object(db_audit, '_PAGE', 5):
            [breach] = self.check()
        self.assertEqual('project-1', breach.project_id)
        self.assertIn('volumes___DEFAULT__', breach.text)

    def test_many_reservations(self):
        def reserve(number):
            for _ in range(number):
                self.reserve('snapshots', 1, base.LONG_AGO)

        reserve(1)
        number = self.statements.count(self.check)
        repaired = self.statements.count(repair.expire, self.database)
        reserve(20)
        self.assertEqual(number, self.statements.count(self.check))
        self.assertEqual(repaired, self.statements.count(
            repair.expire, self.database))
        self.assertEqual((1, 0), self.usages()['snapshots'])


class UnderWayTest(TestCase):
    """Cinder changes rows between a reservation and its commit."""

    def test_a_row_that_is_reserved_for(self):
        self.available(charged=False)
        for resource in ('snapshots', 'gigabytes', 'snapshots___DEFAULT__',
                         'gigabytes___DEFAULT__'):
            self.reserve(resource, 1, SOON)
        self.audit(status=0)

    def test_a_row_that_is_deleted_before_the_commit(self):
        self.change('snapshots', in_use=2)
        self.reserve('snapshots', -1, SOON)
        self.audit(status=0)

    def test_what_a_reservation_does_not_explain_waits_for_its_end(self):
        self.change('snapshots', in_use=9)
        self.reserve('snapshots', 1, SOON)
        [breach] = self.audit('--repair', status=1)['breaches']
        self.assertFalse(breach['repairable'])
        self.assertIn('when they have ended', breach['text'])
        self.assertEqual((9, 1), self.usages()['snapshots'])

    def test_what_seems_wrong_is_counted_again(self):
        with mock.patch.object(db_audit, 'doubtful',
                               lambda session, conf, page: page):
            self.audit(status=0)

    def test_a_count_that_mends_itself_is_not_repaired(self):
        usage_id = self.change('snapshots', in_use=9)
        found = quotas.check(self.conf, self.database, 'repair',
                             lambda text: None)
        [breach] = found
        self.change('snapshots', in_use=1)
        self.assertIsNone(breach.mend())
        with self.database.writer(self.admin) as session:
            session.delete(session.get(models.QuotaUsage, usage_id))
        self.assertIsNone(breach.mend())


class ReservationTest(TestCase):

    def test_one_that_outlived_its_expiry_is_given_back(self):
        self.reserve('snapshots', 3, base.LONG_AGO)
        self.reserve('gigabytes', 1, SOON)
        [text] = self.texts(status=1)
        self.assertIn('Reservations of project a-project that are past their '
                      f'expiry: 1, the oldest since {base.LONG_AGO}', text)
        answer = self.audit('--repair', status=0)
        self.assertEqual('Reservations given back: 1.',
                         answer['breaches'][0]['outcome'])
        self.assertEqual((1, 0), self.usages()['snapshots'])
        self.assertEqual(1, self.usages()['gigabytes'][1])
        self.audit(status=0)

    def test_the_usage_that_it_explained_is_mended_after_it(self):
        self.available(charged=False)
        self.reserve('snapshots', 1, base.LONG_AGO)
        self.texts('--repair', status=0)
        self.assertEqual((2, 0), self.usages()['snapshots'])

    def test_one_that_is_deleted_is_none(self):
        self.reserve('snapshots', 0, base.LONG_AGO, deleted=True)
        self.audit(status=0)
