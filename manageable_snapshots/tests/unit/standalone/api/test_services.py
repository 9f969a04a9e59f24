# SPDX-License-Identifier: Apache-2.0

import datetime

from oslo_utils import timeutils

from manageable_snapshots.db import models
from manageable_snapshots.tests.unit.standalone.api import base


class ListTest(base.StandaloneTestCase):

    def services(self, query='', version='3.0'):
        return self.ask('GET', f'/os-services?{query}',
                        version=version)['services']

    def hosts(self, query=''):
        return [service['host'] for service in self.services(query)]

    def test_answer_is_what_cinder_gives(self):
        self.service(cluster='c@dir')
        service, = self.services()
        self.assertIsNotNone(service.pop('updated_at'))
        self.assertEqual({
            'binary': 'cinder-volume', 'host': base.HOST, 'zone': 'nova',
            'status': 'enabled', 'state': 'up', 'disabled_reason': None,
            'replication_status': 'not-capable', 'active_backend_id': None,
            'frozen': False}, service)

    def test_properties_come_with_microversions(self):
        self.service(cluster='c@dir')
        self.assertEqual('c@dir', self.services(version='3.7')[0]['cluster'])
        self.assertNotIn('backend_state', self.services(version='3.48')[0])
        self.assertEqual(
            'up', self.services(version='3.49')[0]['backend_state'])

    def test_state_and_status(self):
        self.service('a@x', age=self.conf.service_down_time + 5)
        self.service('b@x', disabled=True)
        self.assertEqual(
            [('a@x', 'down', 'down', 'enabled'),
             ('b@x', 'up', 'up', 'disabled')],
            [(service['host'], service['state'], service['backend_state'],
              service['status'])
             for service in self.services(version='3.49')])

    def test_filters(self):
        for host in ('a@x', 'a@y', 'b@x'):
            self.service(host)
        with self.database.writer(self.admin) as session:
            session.add(models.Service(
                host='a', binary='cinder-scheduler', topic='t'))
        self.assertEqual(['a@x', 'a@y', 'a'], self.hosts('host=a'))
        self.assertEqual(['a@y'], self.hosts('host=a@y'))
        self.assertEqual(['a@x', 'a@y'],
                         self.hosts('host=a&binary=cinder-volume'))
        self.assertEqual([], self.hosts('host=%25'))

    def test_other_programs_have_no_backend(self):
        with self.database.writer(self.admin) as session:
            session.add(models.Service(
                host='a', binary='cinder-scheduler', topic='t'))
        service, = self.services(version='3.71')
        self.assertEqual(
            {'binary', 'host', 'zone', 'status', 'state', 'updated_at',
             'cluster', 'disabled_reason'}, set(service))

    def test_updated_is_the_last_change_of_either_kind(self):
        later = timeutils.utcnow().replace(
            microsecond=0) + datetime.timedelta(minutes=1)
        self.service()
        with self.database.writer(self.admin) as session:
            session.query(models.Service).one().modified_at = later
        service, = self.services()
        self.assertEqual(
            later, datetime.datetime.fromisoformat(service['updated_at']))

    def test_only_for_administrators(self):
        self.assertEqual(
            "Policy doesn't allow volume_extension:services:index to be "
            'performed.',
            self.refused('GET', '/os-services', requester=self.member,
                         status=403))
