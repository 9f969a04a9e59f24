# SPDX-License-Identifier: Apache-2.0

import collections
import concurrent.futures
import datetime
import threading

import sqlalchemy as sa

from manageable_snapshots.db import engine
from manageable_snapshots.db import models
from manageable_snapshots.db import quota
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.db import base

WAIT = 60


class QuotaTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.volume_type = self.add(models.VolumeType(name='fast'))

    def charge(self, **arguments):
        with self.database.writer(self.context) as session:
            quota.charge(session, self.conf, self.context, **{
                'project_id': base.PROJECT, 'volume_type': self.volume_type,
                **arguments})

    def usages(self):
        with self.database.reader(self.context) as session:
            return {row.resource: row.in_use for row in session.scalars(
                sa.select(models.QuotaUsage).where(
                    models.QuotaUsage.project_id == base.PROJECT,
                    models.QuotaUsage.deleted == sa.false()))}

    def limit(self, resource, hard_limit):
        self.add(models.Quota(project_id=base.PROJECT, resource=resource,
                              hard_limit=hard_limit))


class CountTestCase(QuotaTestCase):

    def test_for_the_project_and_for_the_type(self):
        self.charge(snapshots=1, gigabytes=3)
        self.charge(volumes=1, gigabytes=2)
        self.assertEqual(
            {'snapshots': 1, 'snapshots_fast': 1,
             'volumes': 1, 'volumes_fast': 1,
             'gigabytes': 5, 'gigabytes_fast': 5}, self.usages())

    def test_without_a_type(self):
        self.charge(volume_type=None, snapshots=1, gigabytes=3)
        self.assertEqual({'snapshots': 1, 'gigabytes': 3}, self.usages())

    def test_nothing(self):
        self.charge(snapshots=0, gigabytes=0)
        self.assertEqual({}, self.usages())

    def test_giving_back(self):
        self.charge(snapshots=3, gigabytes=9)
        self.charge(snapshots=-1, gigabytes=-4)
        self.assertEqual(
            {'snapshots': 2, 'snapshots_fast': 2, 'gigabytes': 5,
             'gigabytes_fast': 5}, self.usages())

    def test_never_less_than_nothing(self):
        self.charge(snapshots=1)
        self.charge(snapshots=-2)
        self.assertEqual({'snapshots': 0, 'snapshots_fast': 0},
                         self.usages())

    def test_giving_back_asks_for_no_limit(self):
        self.charge(snapshots=5)
        self.limit('snapshots', 1)
        self.charge(snapshots=-1)
        self.assertEqual(4, self.usages()['snapshots'])

    def test_an_error_later_on_undoes_it(self):
        def fail():
            with self.database.writer(self.context) as session:
                quota.charge(session, self.conf, self.context,
                             project_id=base.PROJECT, volume_type=None,
                             snapshots=1)
                raise exception.InvalidVolume(reason='no')

        self.assertRaises(exception.InvalidVolume, fail)
        self.assertEqual({}, self.usages())

    def test_snapshot_gigabytes(self):
        self.assertEqual(7, quota.snapshot_gigabytes(self.conf, 7))
        self.conf.set_override('no_snapshot_gb_quota', True)
        self.assertEqual(0, quota.snapshot_gigabytes(self.conf, 7))


class RecountTestCase(QuotaTestCase):
    """A usage that is missing or wrong is made from the rows."""

    def setUp(self):
        super().setUp()
        fast = {'volume_type_id': self.volume_type.id}
        volume = self.add_volume(size=10, **fast)
        slow = self.add_volume(size=20)
        self.add_volume(size=40, use_quota=False, **fast)
        self.add_volume(size=80, project_id='another', **fast)
        gone = self.add_volume(size=160, **fast)
        # The type that counts is the one that the volume has now.
        self.add_snapshot(volume, volume_size=1, volume_type_id='old')
        self.add_snapshot(slow, volume_size=2)
        self.add_snapshot(volume, volume_size=4, use_quota=False)
        self.add_snapshot(volume, volume_size=8, project_id='another')
        gone_snapshot = self.add_snapshot(volume, volume_size=16)
        with self.database.writer(self.admin) as session:
            snapshots.delete(session, gone_snapshot.id)
            volumes.delete(session, gone.id)

    def test_missing(self):
        self.charge(volumes=1, snapshots=1, gigabytes=100)
        self.assertEqual(
            {'volumes': 3, 'volumes_fast': 2,
             'snapshots': 3, 'snapshots_fast': 2,
             'gigabytes': 133, 'gigabytes_fast': 111}, self.usages())

    def test_missing_without_the_sizes_of_snapshots(self):
        self.conf.set_override('no_snapshot_gb_quota', True)
        self.charge(gigabytes=100)
        self.assertEqual({'gigabytes': 130, 'gigabytes_fast': 110},
                         self.usages())

    def test_negative(self):
        self.add(models.QuotaUsage(
            project_id=base.PROJECT, resource='snapshots', in_use=-1,
            reserved=0))
        self.charge(snapshots=1)
        self.assertEqual({'snapshots': 3, 'snapshots_fast': 2},
                         self.usages())

    def test_deleted(self):
        self.add(models.QuotaUsage(
            project_id=base.PROJECT, resource='snapshots', in_use=50,
            reserved=0, deleted=True, race_preventer=sa.null()))
        self.charge(snapshots=1)
        self.assertEqual(3, self.usages()['snapshots'])

    def test_a_usage_that_is_there_is_believed(self):
        self.add(models.QuotaUsage(
            project_id=base.PROJECT, resource='volumes', in_use=7,
            reserved=0))
        self.charge(volume_type=None, volumes=1)
        self.assertEqual({'volumes': 8}, self.usages())


class LimitTestCase(QuotaTestCase):

    def test_snapshots(self):
        self.limit('snapshots', 2)
        self.charge(snapshots=2)
        error = self.assertRaises(exception.SnapshotLimitExceeded,
                                  self.charge, snapshots=1)
        self.assertEqual('Maximum number of snapshots allowed (2) exceeded',
                         str(error))
        self.assertEqual(2, self.usages()['snapshots'])

    def test_volumes(self):
        self.limit('volumes_fast', 0)
        error = self.assertRaises(exception.VolumeLimitExceeded,
                                  self.charge, volumes=1)
        self.assertEqual(
            "Maximum number of volumes allowed (0) exceeded for quota "
            "'volumes_fast'.", str(error))

    def test_gigabytes_come_first(self):
        self.limit('gigabytes', 5)
        self.limit('snapshots', 0)
        error = self.assertRaises(
            exception.VolumeSizeExceedsAvailableQuota, self.charge,
            snapshots=1, gigabytes=6)
        self.assertEqual(
            'Requested volume or snapshot exceeds allowed gigabytes quota. '
            'Requested 6G, quota is 5G and 0G has been consumed.',
            str(error))

    def test_the_error_tells_the_size_that_was_asked_for(self):
        self.limit('gigabytes_fast', 5)
        self.charge(gigabytes=4)
        error = self.assertRaises(
            exception.VolumeSizeExceedsAvailableQuota, self.charge,
            gigabytes=2, size=6)
        self.assertEqual(
            'Requested volume or snapshot exceeds allowed gigabytes_fast '
            'quota. Requested 6G, quota is 5G and 4G has been consumed.',
            str(error))

    def test_what_others_have_reserved_counts(self):
        self.limit('snapshots', 5)
        self.add(models.QuotaUsage(
            project_id=base.PROJECT, resource='snapshots', in_use=2,
            reserved=3))
        self.assertRaises(exception.SnapshotLimitExceeded, self.charge,
                          snapshots=1)

    def test_a_delta_that_is_not_positive_is_not_checked(self):
        self.limit('gigabytes', 1)
        self.charge(gigabytes=1)
        self.limit('snapshots', 0)
        self.charge(gigabytes=-1, snapshots=0)
        self.assertRaises(exception.SnapshotLimitExceeded, self.charge,
                          gigabytes=-1, snapshots=1)


class WhichLimitTestCase(QuotaTestCase):

    def allowed(self, **arguments):
        """How many snapshots the project may have."""
        for number in range(1, 30):
            try:
                self.charge(snapshots=number, **arguments)
            except exception.SnapshotLimitExceeded:
                return number - 1
            self.charge(snapshots=-number, **arguments)
        return None

    def of_class(self, name, hard_limit, resource='snapshots'):
        self.add(models.QuotaClass(class_name=name, resource=resource,
                                   hard_limit=hard_limit))

    def test_the_configured_one(self):
        self.assertEqual(10, self.allowed())
        self.conf.set_override('quota_snapshots', 3)
        self.assertEqual(3, self.allowed())

    def test_none(self):
        self.conf.set_override('quota_snapshots', -1)
        self.assertIsNone(self.allowed())

    def test_the_class_default_goes_before_the_configured_one(self):
        self.of_class('default', 4)
        self.assertEqual(4, self.allowed())

    def test_the_class_default_may_be_left_out(self):
        self.of_class('default', 4)
        self.conf.set_override('use_default_quota_class', False)
        self.assertEqual(10, self.allowed())

    def test_the_class_of_the_one_who_asks_goes_before_that(self):
        self.of_class('default', 4)
        self.of_class('gold', 5)
        self.context.quota_class = 'gold'
        self.assertEqual(5, self.allowed())
        self.assertEqual(4, self.allowed(project_id='another'))

    def test_the_projects_own_goes_before_all(self):
        self.of_class('default', 4)
        self.of_class('gold', 5)
        self.context.quota_class = 'gold'
        self.limit('snapshots', 6)
        self.assertEqual(6, self.allowed())

    def test_a_limit_that_is_null_is_none_of_it(self):
        self.limit('snapshots', None)
        self.of_class('default', 4)
        self.assertEqual(4, self.allowed())

    def test_a_type_has_none_unless_one_is_set(self):
        self.conf.set_override('quota_snapshots', -1)
        self.assertIsNone(self.allowed())
        self.of_class('default', 7, 'snapshots_fast')
        self.assertEqual(7, self.allowed())
        self.limit('snapshots_fast', 8)
        self.assertEqual(8, self.allowed())
        self.assertIsNone(self.allowed(volume_type=None))


class RaceTestCase(QuotaTestCase):

    def test_no_more_than_the_limit_and_no_fewer(self):
        self.assertEqual({'taken': 10, 'refused': 10}, race(self))
        self.assertEqual(
            {'snapshots': 10, 'snapshots_fast': 10, 'gigabytes': 20,
             'gigabytes_fast': 20}, self.usages())


def race(test):
    """Twenty at a time each take one of the ten snapshots of a project.

    There is no usage before.

    :returns: how many got one, and how many were refused
    """
    volume = test.add_volume(size=0, volume_type_id=test.volume_type.id)
    # A snapshot has the size with which it is counted.
    volume.size = 2
    start = threading.Barrier(20)

    @engine.retry
    def take():
        context = test.context.elevated()
        with test.database.writer(context) as session:
            quota.charge(session, test.conf, context,
                         project_id=base.PROJECT,
                         volume_type=test.volume_type, snapshots=1,
                         gigabytes=2)
            snapshots.create(session, context, volume, name=None,
                             description=None, metadata=None)

    def run():
        start.wait(WAIT)
        try:
            take()
        except exception.SnapshotLimitExceeded:
            return 'refused'
        return 'taken'

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        runs = [pool.submit(run) for _ in range(20)]
        return dict(collections.Counter(
            future.result(WAIT) for future in runs))


class ExpireTestCase(QuotaTestCase):

    NOW = datetime.datetime(2026, 1, 2)

    def setUp(self):
        super().setUp()
        self.usage = self.add(models.QuotaUsage(
            project_id=base.PROJECT, resource='snapshots', in_use=3,
            reserved=5))

    def _reserve(self, delta, day, **values):
        return self.add(models.Reservation(**{
            'project_id': base.PROJECT, 'resource': 'snapshots',
            'usage_id': self.usage.id, 'delta': delta,
            'expire': datetime.datetime(2026, 1, day), **values}))

    def _expire(self):
        with self.database.writer(self.admin) as session:
            return quota.expire_reservations(session, self.NOW)

    def _usage(self):
        usage = self.find(models.QuotaUsage, self.usage.id)
        return usage.in_use, usage.reserved

    def test_what_expired_is_given_back(self):
        expired = self._reserve(2, 1)
        waiting = self._reserve(1, 3)
        self._reserve(1, 1, deleted=True)
        self.assertEqual(1, self._expire())
        self.assertEqual((3, 3), self._usage())
        row = self.find(models.Reservation, expired.id)
        self.assertIs(True, row.deleted)
        self.assertIsNotNone(row.deleted_at)
        self.assertIs(
            False, self.find(models.Reservation, waiting.id).deleted)
        self.assertEqual(0, self._expire())

    def test_one_that_would_have_given_back_gives_nothing(self):
        self._reserve(-2, 1)
        self.assertEqual(1, self._expire())
        self.assertEqual((3, 5), self._usage())

    def test_never_less_than_nothing(self):
        self._reserve(4, 1)
        self._reserve(4, 1)
        self.assertEqual(2, self._expire())
        self.assertEqual((3, 0), self._usage())

    def test_one_whose_usage_is_gone(self):
        self._reserve(1, 1, usage_id=None)
        self.assertEqual(1, self._expire())
        self.assertEqual((3, 5), self._usage())
