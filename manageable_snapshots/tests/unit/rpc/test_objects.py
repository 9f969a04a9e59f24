# SPDX-License-Identifier: Apache-2.0

import json

from hypothesis import given
from hypothesis import strategies

from manageable_snapshots import exception
from manageable_snapshots.rpc import objects
from manageable_snapshots.tests.unit.rpc import base

# As a cinder-api of release 29 sends it, with fields left out.
FROM_CINDER = {
    'versioned_object.name': 'Snapshot',
    'versioned_object.namespace': 'cinder',
    'versioned_object.version': '1.6',
    'versioned_object.data': {
        'id': base.SNAPSHOT_ID,
        'metadata': {'k': 'v'},
        'created_at': '2026-11-24T23:32:13Z',
        'volume': {
            'versioned_object.name': 'Volume',
            'versioned_object.namespace': 'cinder',
            'versioned_object.version': '1.9',
            'versioned_object.data': {
                'id': base.VOLUME_ID,
                'volume_attachment': {
                    'versioned_object.name': 'VolumeAttachmentList',
                    'versioned_object.namespace': 'cinder',
                    'versioned_object.version': '1.1',
                    'versioned_object.data': {'objects': []},
                },
            },
            'versioned_object.changes': ['host'],
        },
    },
    'versioned_object.changes': ['metadata'],
}

JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers()
    | strategies.text(max_size=5),
    lambda inner: strategies.lists(inner, max_size=3) | (
        strategies.dictionaries(
            strategies.sampled_from((
                'versioned_object.name', 'versioned_object.namespace',
                'versioned_object.version', 'versioned_object.data', 'id',
                'objects')),
            inner | strategies.sampled_from(('cinder', '1.0', 'Volume')),
            max_size=4)),
    max_leaves=10)


def nested(levels):
    value = 'x'
    for _level in range(levels):
        value = [value]
    return value


def on_the_wire(value):
    return json.loads(json.dumps(value))


class SnapshotTest(base.TestCase):

    def test_it_has_the_form_of_cinders_object(self):
        self.assertEqual({
            'versioned_object.name': 'Snapshot',
            'versioned_object.namespace': 'cinder',
            'versioned_object.version': '1.6',
            'versioned_object.data': {
                'id': base.SNAPSHOT_ID, 'user_id': 'u', 'project_id': 'p',
                'use_quota': True, 'volume_id': base.VOLUME_ID,
                'cgsnapshot_id': None, 'group_snapshot_id': None,
                'status': 'available', 'progress': '100%', 'volume_size': 3,
                'display_name': 'daily', 'display_description': None,
                'encryption_key_id': None, 'volume_type_id': base.TYPE_ID,
                'provider_location': None,
                'provider_id': 'on-the-backend', 'provider_auth': None,
                'created_at': '2026-01-02T03:04:05Z', 'updated_at': None,
                'deleted_at': None, 'deleted': False,
                'metadata': {'k': 'v'},
            },
        }, on_the_wire(objects.snapshot(base.snapshot_row(), {'k': 'v'})))

    def test_a_service_of_an_older_release_gets_an_older_one(self):
        sent = objects.snapshot(base.snapshot_row(), {}, base.volume_row(),
                                pin='1.38')
        self.assertEqual('1.5', sent['versioned_object.version'])
        self.assertNotIn('use_quota', sent['versioned_object.data'])
        volume = sent['versioned_object.data']['volume']
        self.assertEqual('1.8', volume['versioned_object.version'])
        self.assertNotIn('use_quota', volume['versioned_object.data'])

    def test_its_volume_goes_along_if_wanted(self):
        sent = objects.snapshot(base.snapshot_row(), {}, base.volume_row(),
                                {'a': 'b'})
        self.assertEqual(
            on_the_wire(objects.volume(base.volume_row(), {'a': 'b'})),
            on_the_wire(sent['versioned_object.data']['volume']))

    def test_where_a_reference_is_recorded_it_stays_at_home(self):
        sent = objects.plain(objects.snapshot(
            base.snapshot_row(status='creating', provider_id='{"ref":',
                              provider_location='1', provider_auth='}'), {}))
        self.assertEqual([None] * 3, [
            sent[f'provider_{column}']
            for column in ('id', 'location', 'auth')])


class VolumeTest(base.TestCase):

    def test_it_has_what_a_service_does_not_read_by_itself(self):
        sent = objects.volume(base.volume_row(_name_id='x'), {'k': 'v'})
        self.assertEqual(('Volume', '1.9'), (
            sent['versioned_object.name'], sent['versioned_object.version']))
        data = sent['versioned_object.data']
        self.assertEqual(('x', 'node@dir#pool', {'k': 'v'}, None), (
            data['_name_id'], data['host'], data['metadata'],
            data['replication_driver_data']))

    def test_a_column_that_holds_nothing_has_its_default(self):
        sent = objects.plain(objects.volume(
            base.volume_row(use_quota=None, deleted=None), {}))
        self.assertEqual((True, False), (sent['use_quota'], sent['deleted']))


class ManageableSnapshotsTest(base.TestCase):

    def test_they_have_the_form_of_cinders_objects(self):
        self.assertEqual([{
            'versioned_object.name': 'ManageableSnapshot',
            'versioned_object.namespace': 'cinder',
            'versioned_object.version': '1.0',
            'versioned_object.data': {
                'reference': {'source-name': 'a'},
                'source_reference': {'source-name': 'b'}, 'size': 1,
                'safe_to_manage': True, 'reason_not_safe': None,
                'cinder_id': None, 'extra_info': None},
        }], objects.manageable_snapshots([{
            'reference': {'source-name': 'a'},
            'source_reference': {'source-name': 'b'}, 'size': 1,
            'safe_to_manage': True}]))

    def test_references_hold_strings_as_cinder_wants_them(self):
        sent, = objects.plain(objects.manageable_snapshots([{
            'reference': {'source-id': 5, 'source-name': None},
            'extra_info': {'pool': 1}}]))
        self.assertEqual({'source-id': '5', 'source-name': None},
                         sent['reference'])
        self.assertEqual({'pool': '1'}, sent['extra_info'])
        self.assertEqual({}, sent['source_reference'])


class PlainTest(base.TestCase):

    def test_what_cinder_sends_becomes_dicts(self):
        self.assertEqual({
            'id': base.SNAPSHOT_ID,
            'metadata': {'k': 'v'},
            'created_at': '2026-11-24T23:32:13Z',
            'volume': {'id': base.VOLUME_ID,
                       'volume_attachment': {'objects': []}},
        }, objects.plain(FROM_CINDER))

    def test_what_is_plain_stays_as_it_is(self):
        value = [{'reference': {'source-name': 'a'}, 'size': 1}]
        self.assertEqual(value, objects.plain(value))

    def test_what_only_looks_like_an_object_is_refused(self):
        for change in (('namespace', 'nova'), ('version', '2.0'),
                       ('version', None), ('data', []), ('name', 5)):
            with self.subTest(change=change):
                value = {**FROM_CINDER,
                         f'versioned_object.{change[0]}': change[1]}
                self.assertRaises(exception.InvalidInput, objects.plain,
                                  [value])

    def test_deep_nesting_is_refused(self):
        objects.plain(nested(10))
        self.assertRaises(exception.InvalidInput, objects.plain, nested(500))

    @given(JSON)
    def test_anything_else_is_refused_or_plain(self, value):
        try:
            plain = objects.plain(value)
        except exception.InvalidInput:
            return
        self.assertEqual(plain, objects.plain(plain))
        self.assertNotIn("'versioned_object.name'", str(plain))


class IdentifierTest(base.TestCase):

    def test_it_is_the_id_of_an_object_or_of_its_fields(self):
        self.assertEqual(base.SNAPSHOT_ID, objects.identifier(FROM_CINDER))
        self.assertEqual(base.VOLUME_ID,
                         objects.identifier({'id': base.VOLUME_ID}))

    @given(JSON)
    def test_what_has_none_is_refused(self, value):
        self.assertRaises(exception.InvalidInput, objects.identifier, value)

    def test_an_id_is_a_uuid(self):
        for value in ('', 'x', 5, None, [], {}):
            with self.subTest(value=value):
                self.assertRaises(exception.InvalidInput, objects.identifier,
                                  {'id': value})


class RefuseTest(base.TestCase):

    def test_references_pass(self):
        for ref in ({'source-name': 'x'}, 'x', None,
                    {'a': [{'source-id': 'versioned_object.name'}]}):
            with self.subTest(ref=ref):
                objects.refuse(ref)

    def test_an_object_in_a_reference_does_not(self):
        for ref in (FROM_CINDER, {'a': [{'b': FROM_CINDER}]},
                    {'versioned_object.changes': []}):
            with self.subTest(ref=ref):
                self.assertRaises(exception.InvalidInput, objects.refuse, ref)

    def test_deep_nesting_does_not(self):
        self.assertRaises(exception.InvalidInput, objects.refuse,
                          {'a': nested(500)})
