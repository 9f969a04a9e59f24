# SPDX-License-Identifier: Apache-2.0

from manageable_snapshots import exception
from manageable_snapshots.rpc import versions
from manageable_snapshots.tests.unit.rpc import base


class OfObjectTest(base.TestCase):

    def test_a_service_says_what_it_understands(self):
        self.assertEqual('1.6', versions.of_object('Snapshot', '1.39'))
        self.assertEqual('1.5', versions.of_object('Snapshot', '1.38'))
        self.assertEqual('1.9', versions.of_object('Volume', '1.39'))
        self.assertEqual('1.8', versions.of_object('Volume', '1.38'))

    def test_who_says_nothing_is_as_new_as_we_are(self):
        self.assertEqual('1.6', versions.of_object('Snapshot'))

    def test_who_is_newer_understands_what_we_know(self):
        self.assertEqual('1.6', versions.of_object('Snapshot', '1.104'))

    def test_who_is_too_old_is_of_no_use(self):
        error = self.assertRaises(exception.ServiceUnavailable,
                                  versions.of_object, 'Snapshot', '1.9')
        self.assertIn('1.9', error.msg)

    def test_a_worker_says_what_it_is_sent(self):
        self.assertIn(versions.OBJECT_VERSION, versions.OBJECTS)
