# SPDX-License-Identifier: Apache-2.0

import datetime

from oslo_utils import timeutils
import sqlalchemy as sa

from manageable_snapshots.db import models
from manageable_snapshots.db import services
from manageable_snapshots import exception
from manageable_snapshots.tests.unit.db import base


class ReportTestCase(base.TestCase):

    def _report(self, **values):
        with self.database.writer(self.admin) as session:
            return services.report(session, **{
                'host': base.BACKEND, 'cluster': None,
                'availability_zone': 'nova', 'rpc_version': '3.20',
                'object_version': '1.39', **values})

    def test_the_first_report_makes_the_row(self):
        # MariaDB keeps whole seconds.
        before = timeutils.utcnow().replace(microsecond=0)
        row = self.find(models.Service, self._report().id)
        self.assertEqual(
            ('node@store', 'cinder-volume', 'cinder-volume', 1, 'nova',
             '3.20', '1.39', False, None),
            (row.host, row.binary, row.topic, row.report_count,
             row.availability_zone, row.rpc_current_version,
             row.object_current_version, row.disabled, row.cluster_name))
        self.assertEqual(36, len(row.uuid))
        self.assertGreaterEqual(row.updated_at, before)

    def test_later_ones_change_it(self):
        first = self._report()
        with self.database.writer(self.admin) as session:
            session.execute(sa.update(models.Service).values(
                updated_at=datetime.datetime(2000, 1, 1), disabled=True))
        second = self.find(
            models.Service,
            self._report(rpc_version='3.21', availability_zone='z').id)
        self.assertEqual((first.id, first.uuid), (second.id, second.uuid))
        self.assertEqual((2, '3.21', 'z', True),
                         (second.report_count, second.rpc_current_version,
                          second.availability_zone, second.disabled))
        self.assertGreater(second.updated_at, datetime.datetime(2020, 1, 1))

    def test_a_cluster_has_one_row(self):
        self._report(cluster='c@store')
        self._report(host='node2@store', cluster='c@store')
        self._report(cluster='c@store')
        with self.database.reader(self.admin) as session:
            clusters = session.scalars(sa.select(models.Cluster)).all()
            members = services.list_services(session)
        self.assertEqual([('c@store', 'cinder-volume', False)],
                         [(row.name, row.binary, row.disabled)
                          for row in clusters])
        self.assertEqual(['c@store', 'c@store'],
                         [row.cluster_name for row in members])


class FindTestCase(base.TestCase):

    def _add(self, host, seconds_ago=0, **values):
        return self.add(models.Service(
            host=host, updated_at=timeutils.utcnow() - datetime.timedelta(
                seconds=seconds_ago),
            **{'binary': 'cinder-volume', **values}))

    def _get(self, **arguments):
        with self.database.reader(self.context) as session:
            return services.get_volume_service(session, **arguments)

    def test_by_host(self):
        row = self._add('node@store')
        self._add('node@store2')
        self._add('node@store', binary='cinder-backup')
        self.assertEqual(row.id, self._get(host='node@store').id)

    def test_only_by_its_whole_name(self):
        self._add('node@store')
        self._add('gone@store', deleted=True)
        for host in ('node', '%', 'node@%', 'node@stor_', 'NODE@STORE',
                     'node@store#pool', 'gone@store', ''):
            error = self.assertRaises(exception.ServiceNotFound, self._get,
                                      host=host)
            self.assertIn('Service cinder-volume could not be found',
                          str(error))

    def test_the_error_names_the_host(self):
        error = self.assertRaises(exception.ServiceNotFound, self._get,
                                  host='a@b')
        self.assertEqual(
            'Service cinder-volume could not be found on host a@b.',
            str(error))

    def test_by_cluster_the_one_that_reported_last(self):
        self._add('n1@store', 30, cluster_name='c@store')
        row = self._add('n2@store', 10, cluster_name='c@store')
        self._add('n3@store', 20, cluster_name='c@store')
        self._add('n4@store', 0, cluster_name='C@store')
        self.assertEqual(row.id, self._get(cluster='c@store').id)
        error = self.assertRaises(exception.ServiceNotFound, self._get,
                                  cluster='%')
        self.assertEqual('Service cinder-volume could not be found.',
                         str(error))

    def test_list(self):
        rows = [self._add('node@store'), self._add('node2@store'),
                self._add('node', binary='cinder-scheduler')]
        self._add('node@gone', deleted=True)

        def listed(**arguments):
            with self.database.reader(self.context) as session:
                return [rows.index(next(
                    row for row in rows if row.id == found.id))
                    for found in services.list_services(session, **arguments)]

        self.assertEqual([0, 1, 2], listed())
        self.assertEqual([0, 1], listed(binary='cinder-volume'))
        self.assertEqual([0, 2], listed(host='node'))
        self.assertEqual([0], listed(host='node@store'))
        self.assertEqual([0], listed(host='node', binary='cinder-volume'))
        self.assertEqual([], listed(host='%'))


class StateTestCase(base.TestCase):

    def test_is_up(self):
        now = datetime.datetime(2026, 1, 1, 12, 0, 0)
        service = models.Service(
            updated_at=now - datetime.timedelta(seconds=60))
        self.assertTrue(services.is_up(service, 60, now))
        self.assertFalse(services.is_up(service, 59, now))
        self.assertFalse(services.is_up(service, 60))
        self.assertFalse(services.is_up(models.Service(), 60))

    def _is_disabled(self, **values):
        with self.database.reader(self.context) as session:
            return services.is_disabled(session, models.Service(
                binary='cinder-volume', **values))

    def test_is_disabled(self):
        self.assertFalse(self._is_disabled(disabled=False))
        self.assertFalse(self._is_disabled(disabled=None))
        self.assertTrue(self._is_disabled(disabled=True))

    def test_is_disabled_in_a_cluster(self):
        for name, disabled in (('on', False), ('off', True)):
            self.add(models.Cluster(name=name, binary='cinder-volume',
                                    disabled=disabled))
        for name, disabled, expected in (
                ('on', True, False), ('on', False, False),
                ('off', True, True), ('off', False, False),
                ('gone', True, True)):
            self.assertIs(expected, self._is_disabled(
                cluster_name=name, disabled=disabled), (name, disabled))

    def test_queue(self):
        self.assertEqual('a@b', services.queue(models.Volume(host='a@b#c')))
        self.assertEqual('c@b', services.queue(models.Volume(
            host='a@b#c', cluster_name='c@b#c')))
        self.assertEqual('a@b', services.queue(models.Service(host='a@b')))
        self.assertEqual('', services.queue(models.Volume()))


class FailoverTest(base.TestCase):
    """Which replication target a backend has failed over to."""

    def active(self, **columns):
        with self.database.writer(self.admin) as session:
            session.add(models.Service(
                host=base.BACKEND, cluster_name='all@store',
                binary='cinder-volume', topic='cinder-volume', **columns))
        with self.database.reader(self.admin) as session:
            answers = [
                services.active_backend_id(session, host=base.BACKEND),
                services.active_backend_id(session, cluster='all@store')]
        self.assertEqual(answers[0], answers[1])
        return answers[0]

    def test_a_target(self):
        self.assertEqual('b', self.active(
            replication_status='failed-over', active_backend_id='b'))

    def test_none_before_and_after_a_failback(self):
        self.assertIsNone(self.active(
            replication_status='enabled', active_backend_id=''))

    def test_it_is_undecided_while_the_backend_fails_over(self):
        error = self.assertRaises(
            exception.ServiceUnavailable, self.active,
            replication_status='failing-over', active_backend_id='b')
        self.assertEqual(f'Backend {base.BACKEND} is failing over.',
                         error.msg)
