# SPDX-License-Identifier: Apache-2.0

"""Drivers that answer with anything, or raise it: the worker lives on."""

import threading

from manageable_snapshots.drivers import base as drivers_base
from manageable_snapshots.tests.unit.volume import base
from manageable_snapshots.volume import manager

LIST = {'marker': None, 'limit': 100, 'offset': None,
        'sort_keys': ['reference'], 'sort_dirs': ['asc']}

SOUND = {'reference': {'source-name': 'sound'}, 'size': 2,
         'source_reference': {'source-name': 'volume'},
         'safe_to_manage': True, 'reason_not_safe': None, 'cinder_id': None,
         'extra_info': None}

LONG = 'x' * 10 ** 7

NO_ENTRIES = (
    None, 7, 'text', [], {}, {'size': 1}, {'reference': None},
    {'reference': {}}, {'reference': 'name'}, {'reference': ['name']},
    {'reference': {'source-name': None}}, {'reference': {7: 'x'}},
    {'reference': {'source-name': ['x']}},
    {'reference': {'source-name': True}},
    {'reference': {'source-name': LONG}}, {'reference': {LONG: 'x'}},
    {**SOUND, 'size': 'big'}, {**SOUND, 'size': -1},
    {**SOUND, 'size': float('nan')}, {**SOUND, 'size': float('inf')},
    {**SOUND, 'size': 2 ** 31}, {**SOUND, 'size': True},
    {**SOUND, 'size': [1]}, {**SOUND, 'source_reference': 'volume'})

#: what a driver can raise that is no error of ours
ERRORS = (ValueError(LONG[:10 ** 5]), KeyError('x'), RecursionError(),
          MemoryError(), AssertionError(), StopIteration(), UnicodeDecodeError(
              'utf-8', b'\xff', 0, 1, 'x'), RuntimeError('a\nERROR forged'),
          SystemExit(1), KeyboardInterrupt(), GeneratorExit())


class Vendor(base.FakeDriver):
    """A driver that has no more than Cinder's methods."""

    scan = drivers_base.SnapshotDriver.scan

    def __init__(self, conf):
        super().__init__(conf)
        self.listed = []
        self.size = None
        self.said = None
        self.raised = None

    def get_manageable_snapshots(self, *args):
        if self.raised:
            raise self.raised
        return self.listed

    def manage_existing_snapshot_get_size(self, snapshot, existing_ref):
        if self.raised:
            raise self.raised
        size = super().manage_existing_snapshot_get_size(
            snapshot, existing_ref)
        return size if self.size is None else self.size[0]

    def manage_existing_snapshot(self, snapshot, existing_ref):
        super().manage_existing_snapshot(snapshot, existing_ref)
        return self.said


class NonsenseTestCase(base.WorkerTestCase):

    def setUp(self):
        super().setUp()
        self.driver = Vendor(self.conf)
        self.conf.set_override(
            'inventory_max_age', 0, 'manageable_snapshots')
        self.conf.set_override('quota_snapshots', -1)
        self.manager = manager.Manager(
            self.conf, base.HOST, self.database, self.driver, self.locks,
            self.notifier)
        self.addCleanup(self.manager.stop, 0)
        self.volume_id = self.volume()

    def list(self):
        return self.manager.get_manageable_snapshots(self.context, **LIST)


class ListTest(NonsenseTestCase):

    def names(self):
        return [entry['reference']['source-name'] for entry in self.list()]

    def test_an_entry_that_is_none_is_left_out(self):
        for entry in NO_ENTRIES:
            with self.subTest(entry=str(entry)[:60]):
                self.driver.listed = [entry, SOUND, entry]
                self.assertEqual(['sound'], self.names())
        self.assertLess(len(self.log.output), 20000)

    def test_the_log_says_so_once_a_list(self):
        self.driver.listed = [None] * 1000 + [SOUND]
        self.names()
        self.assertEqual(1, self.log.output.count('invalid entries'))
        self.assertIn('fake lists 1000 invalid entries', self.log.output)

    def test_an_entry_may_lack_what_is_not_known(self):
        self.driver.listed = [{'reference': {'source-name': 'sound'}}]
        [entry] = self.list()
        self.assertEqual((None, False, {}), (
            entry['size'], entry['safe_to_manage'],
            entry['source_reference']))

    def test_what_is_beside_the_reference_may_be_anything(self):
        for name, value in (('reason_not_safe', 7), ('reason_not_safe', LONG),
                            ('extra_info', 'text'), ('extra_info', {7: {}}),
                            ('extra_info', {'key': LONG}), ('cinder_id', 7),
                            ('cinder_id', []), ('safe_to_manage', 'no')):
            with self.subTest(name=name, value=str(value)[:30]):
                self.driver.listed = [{**SOUND, name: value}]
                [entry] = self.list()
                self.assertLess(len(str(entry)), 10000)

    def test_a_number_is_the_text_that_it_is(self):
        self.driver.listed = [{**SOUND, 'reference': {'source-id': 7}}]
        self.assertEqual({'source-id': '7'}, self.list()[0]['reference'])

    def test_a_list_that_is_none_is_an_error(self):
        for listed in (None, 7, 'text', b'x', {'reference': 'x'}, object()):
            with self.subTest(listed=str(listed)[:20]):
                self.driver.listed = listed
                error = self.assertRaises(TypeError, self.list)
                self.assertIn('fake lists what is no list', str(error))
        self.driver.listed = [SOUND]
        self.assertEqual(['sound'], self.names())

    def test_whatever_is_raised_the_next_list_is_answered(self):
        self.driver.listed = [SOUND]
        for error in ERRORS:
            with self.subTest(error=type(error).__name__):
                self.driver.raised = error
                self.assertRaises(Exception, self.list)  # noqa: H202
                self.driver.raised = None
                self.assertEqual(['sound'], self.names())


class AdoptTest(NonsenseTestCase):

    def adopt(self):
        """The row of one that was accepted, once no more is done with it."""
        self.hold(self.volume_id)
        snapshot_id = self.accepted(self.volume_id)
        done = threading.Event()
        put = self.manager._backlog.put

        def note(name, project_id, adopt):
            def run():
                try:
                    adopt()
                finally:
                    done.set()
            return put(name, project_id, run)

        self.manager._backlog.put = note
        try:
            self.manager.manage_existing_snapshot(
                self.context, {'id': snapshot_id}, {'source-name': 'old'})
            self.assertTrue(done.wait(30))
        finally:
            self.manager._backlog.put = put
        return self.row(snapshot_id)

    def test_a_size_that_is_none_is_refused_before_the_rename(self):
        for size in ('big', -1, float('nan'), float('inf'), 2 ** 31, [], {},
                     True, object()):
            with self.subTest(size=size):
                self.driver.size = [size]
                row = self.adopt()
                self.assertEqual('error', row.status)
                self.assertEqual([], self.driver.renames)
                # Each is of 1 GiB, as the volume is; no more, no less.
                self.assertEqual(self.usage('snapshots') + 1,
                                 self.usage('gigabytes'))

    def test_what_is_said_after_the_rename_costs_no_snapshot(self):
        for said in (7, 'text', [], ['provider_id'], object(),
                     {'provider_id': LONG}, {'provider_id': ['x']},
                     {'provider_location': {}}, {'provider_auth': b'x'},
                     {'provider_id': '\0'}, {'provider_id': '\ud800'},
                     {'metadata': 'text'}, {'metadata': {7: 'x', '': 'y'}},
                     {'metadata': {LONG: LONG}}, {'display_name': 7},
                     {'status': 'deleted', 'deleted': True, 'id': 'x'},
                     {7: 7}):
            with self.subTest(said=str(said)[:40]):
                self.driver.said = said
                row = self.adopt()
                self.assertEqual('available', row.status)
                self.assertIsNone(row.provider_id)
        self.assertLess(len(self.log.output), 20000)

    def test_what_is_said_and_not_believed_is_not_in_the_log(self):
        self.driver.said = {'provider_auth': ['chap the-secret']}
        self.assertEqual('available', self.adopt().status)
        self.assertIn('provider_auth is a list', self.log.output)
        self.assertNotIn('the-secret', self.log.output)

    def test_a_number_is_a_text(self):
        self.driver.said = {'provider_id': 42, 'provider_location': None}
        self.assertEqual('42', self.adopt().provider_id)

    def test_whatever_is_raised_the_next_one_is_adopted(self):
        for error in ERRORS:
            with self.subTest(error=type(error).__name__):
                self.driver.raised = error
                row = self.adopt()
                self.assertIn(row.status, ('error', 'creating'))
                self.assertEqual(
                    isinstance(error, Exception), row.status == 'error')
                self.driver.raised = None
                self.assertEqual('available', self.adopt().status)
