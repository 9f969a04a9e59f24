# SPDX-License-Identifier: Apache-2.0

import datetime

from oslo_utils import timeutils
import sqlalchemy as sa

from manageable_snapshots.db import audit
from manageable_snapshots.db import models
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots.tests.unit.db import base

AN_HOUR = datetime.timedelta(hours=1)


class AuditTestCase(base.TestCase):

    def call(self, function, *arguments, **options):
        with self.database.reader(self.admin) as session:
            return function(session, *arguments, **options)

    def ids(self, queue=base.BACKEND, **options):
        found = set()
        for volume_ids in self.call(audit.volume_ids, queue):
            page, after = self.call(audit.page, volume_ids, **{
                'status': 'creating', **options})
            self.assertIsNone(after)
            found |= {row.id for row, _volume in page}
        return found


class PageTestCase(AuditTestCase):

    def test_rows_of_the_backend_or_of_its_cluster(self):
        self.add(models.Cluster(name='all@store', binary='cinder-volume'))
        here = self.add_snapshot().id
        clustered = self.add_snapshot(self.add_volume(
            host='other@store', cluster_name='all@store#pool')).id
        for host in ('node@storeroom', 'NODE@store', 'node@st%', None):
            self.add_snapshot(self.add_volume(host=host))
        self.assertEqual({here}, self.ids())
        self.assertEqual({clustered}, self.ids('all@store'))

    def test_those_of_a_status_that_are_live(self):
        self.add_snapshot(status='available')
        self.add_snapshot(deleted=True)
        self.assertEqual(set(), self.ids())

    def test_those_of_a_deleted_volume_too(self):
        row = self.add_snapshot()
        with self.database.writer(self.admin) as session:
            volumes.delete(session, row.volume_id)
        self.assertEqual({row.id}, self.ids())

    def test_those_that_are_old_enough(self):
        old = self.add_snapshot(
            created_at=timeutils.utcnow() - AN_HOUR).id
        self.add_snapshot()
        self.assertEqual({old}, self.ids(older_than=1800))

    def test_those_that_say_why_they_failed(self):
        failed = self.add_snapshot().id
        with self.database.writer(self.admin) as session:
            snapshots.make_error(session, failed, 'no reason')
        self.add_snapshot(status='error')
        self.assertEqual({failed}, self.ids(status='error', failed=True))


class RowTestCase(AuditTestCase):

    def test_a_row_that_changed_is_another_one(self):
        row = self.add_snapshot()
        row = self.find(models.Snapshot, row.id)
        for columns in ({}, {'display_name': 'x'}, {'progress': '50%'}):
            with self.database.writer(self.admin) as session:
                if columns:
                    snapshots.update(session, row.id, **columns)
            is_still = 'progress' not in columns
            self.assertEqual({row.id} if is_still else set(),
                             self.call(audit.unchanged, [row]))
            with self.database.writer(self.admin) as session:
                self.assertIs(
                    is_still, audit.locked(session, row) is not None)

    def test_known_ids(self):
        live, deleted = self.add_snapshot(), self.add_snapshot(deleted=True)
        self.assertEqual(
            {live.id: True, deleted.id: False},
            self.call(audit.known, [live.id, deleted.id, models.new_id()]))

    def test_live_volumes(self):
        live, deleted = self.add_volume(), self.add_volume(deleted=True)
        self.assertEqual({live.id}, self.call(
            audit.live_volumes, [live.id, deleted.id, models.new_id()]))

    def test_migrated_volumes(self):
        self.add_volume()
        self.add_volume(_name_id='gone', deleted=True)
        volume = self.add_volume(_name_id='old')
        self.assertEqual({'old': volume.id}, self.call(audit.migrated))

    def test_what_rows_share(self):
        first, _large, second, _none = [
            self.add_snapshot(
                status='available', provider_id=provider_id,
                created_at=timeutils.utcnow() + number * AN_HOUR).id
            for number, provider_id in enumerate(
                ('lun-7', 'LUN-7', 'lun-7', None))]
        self.add_snapshot(provider_id='lun-7')
        self.assertEqual([('lun-7', [first, second])],
                         self.call(audit.shared, base.BACKEND))


class QuotaTestCase(AuditTestCase):

    def usage(self, resource='snapshots', **columns):
        return self.add(models.QuotaUsage(**{
            'project_id': base.PROJECT, 'resource': resource, 'in_use': 1,
            'reserved': 0, **columns}))

    def reserve(self, usage, delta, expire):
        self.add(models.Reservation(
            project_id=base.PROJECT, resource=usage.resource,
            usage_id=usage.id, delta=delta, expire=expire))

    def drift(self, usage):
        """The drift, by a page's counts and by one with the usage locked."""
        with self.database.writer(self.admin) as session:
            page, _after = audit.usages(session, ('', 0))
            doubtful = {row.id for row in audit.doubtful(
                session, self.conf, page)}
            found = audit.locked_drift(session, self.conf, usage.id)
            self.assertEqual(found is not None, usage.id in doubtful)
            return found and found[1]

    def test_of_what_this_service_counts(self):
        usages = {self.usage(resource).id for resource in (
            'snapshots', 'gigabytes_fast', 'volumes')}
        for resource in ('backups', 'snapshotsx'):
            self.usage(resource)
        self.usage('gigabytes', deleted=True, race_preventer=sa.null())
        found, after = self.call(audit.usages, ('', 0))
        self.assertEqual((usages, None), ({row.id for row in found}, after))

    def test_as_the_rows_have_it(self):
        self.add_snapshot()
        self.assertIsNone(self.drift(self.usage()))
        self.assertEqual(audit.Drift(in_use=2, reserved=0, under_way=0),
                         self.drift(self.usage('gigabytes', in_use=3)))

    def test_what_reservations_explain(self):
        usage = self.usage(in_use=0, reserved=1)
        self.add_snapshot()
        self.assertEqual(audit.Drift(1, 0, 0), self.drift(usage))
        self.reserve(usage, 1, timeutils.utcnow() + AN_HOUR)
        self.assertIsNone(self.drift(usage))
        self.reserve(usage, -5, timeutils.utcnow() + AN_HOUR)
        self.assertIsNone(self.drift(usage))
        self.add_snapshot()
        self.assertEqual(audit.Drift(2, 1, 2), self.drift(usage))

    def test_what_has_expired_explains_nothing(self):
        usage = self.usage(in_use=0, reserved=1)
        self.add_snapshot()
        expire = timeutils.utcnow() - AN_HOUR
        self.reserve(usage, 1, expire)
        self.reserve(usage, 0, timeutils.utcnow() + AN_HOUR)
        self.assertEqual(audit.Drift(1, 1, 1), self.drift(usage))
        [expired] = self.call(audit.expired)
        self.assertEqual((base.PROJECT, 1),
                         (expired.project_id, expired.number))
        self.assertEqual(expire.replace(microsecond=0),
                         expired.oldest.replace(microsecond=0))
