# SPDX-License-Identifier: Apache-2.0

"""Which bodies fit, and what is said of those that do not."""

import json

import hypothesis
from hypothesis import strategies
from oslotest import base

from manageable_snapshots.api import request
from manageable_snapshots.api import schemas
from manageable_snapshots.api import validation
from manageable_snapshots import exception

VOLUME = '11111111-1111-1111-1111-111111111111'

JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers()
    | strategies.floats() | strategies.text(max_size=300),
    lambda inner: strategies.lists(inner, max_size=3)
    | strategies.dictionaries(strategies.text(max_size=5), inner, max_size=3),
    max_leaves=5)
SNAPSHOTS = strategies.fixed_dictionaries({}, optional={
    'volume_id': strategies.just(VOLUME) | JSON,
    'ref': JSON, 'name': JSON, 'description': JSON, 'metadata': JSON,
    'else': JSON})


def check(value):
    req = request.Request.blank('/')
    req.json = value
    return validation.body(req, schemas.ADOPT)


class AdoptTest(base.BaseTestCase):

    def _refused(self, **properties):
        return self.assertRaises(
            exception.ValidationError, check,
            {'snapshot': {'volume_id': VOLUME, 'ref': 'x', **properties}}).msg

    def _fits(self, **properties):
        value = {'snapshot': {'volume_id': VOLUME, 'ref': 'x', **properties}}
        self.assertIs(value, check(value))

    @hypothesis.given(SNAPSHOTS)
    def test_a_snapshot_fits_or_not(self, snapshot):
        try:
            check({'snapshot': snapshot})
        except exception.ValidationError as error:
            self.assertNotEqual('', error.msg)
            return
        self.assertEqual(VOLUME, snapshot['volume_id'])
        self.assertLessEqual(len(snapshot.get('name') or ''), 255)
        json.dumps(snapshot)

    def test_no_body(self):
        self.assertRaises(exception.MalformedRequestBody, check,
                          request.NO_BODY)

    def test_the_longest_of_everything(self):
        self._fits(name='n' * 255, description='d' * 255,
                   metadata={'k' * 255: 'v' * 255})

    def test_more_than_that(self):
        self.assertEqual(
            'Invalid input for field/attribute name. Value: '
            f"{'n' * 256}. '{'n' * 256}' is too long",
            self._refused(name='n' * 256))
        self._refused(description='d' * 256)
        self._refused(metadata={'k' * 256: 'v'})
        self._refused(metadata={'k': 'v' * 256})

    def test_the_first_fault_is_the_one_that_is_told(self):
        self.assertIn('field/attribute description.',
                      self._refused(ref=5, name=5, description=5))
        self.assertIn("'ref' is a required property", self.assertRaises(
            exception.ValidationError, check,
            {'snapshot': {'else': 1}, 'else': 1}).msg)

    def test_descriptions_that_can_be_printed(self):
        for text in ('', 'a b', 'a\u3000b', 'é', '\u4e2d', 'ends\n', '\n'):
            self._fits(description=text)

    def test_descriptions_that_cannot(self):
        for text in ('\t', 'a\nb', '\n\n', '\x7f', '\u2028', '\u200b',
                     '\uffff', '\U0001f600'):
            self.assertEqual(
                f'Invalid input for field/attribute description. Value: '
                f'{text}. {text!r} has characters that cannot be printed',
                self._refused(description=text))

    def test_ids_of_volumes(self):
        self._fits(volume_id=VOLUME.replace('-', ''))
        self._fits(volume_id=VOLUME.upper())
        for value in ('', 'x', VOLUME + '\n', VOLUME[1:], '１' * 32):
            self.assertEqual(
                f'Invalid input for field/attribute volume_id. Value: '
                f"{value}. {value!r} is not a 'uuid'",
                self._refused(volume_id=value))
