# SPDX-License-Identifier: Apache-2.0

"""What a reference may be, and how references compare."""

import json

import hypothesis
from hypothesis import strategies
from oslotest import base

from manageable_snapshots import exception
from manageable_snapshots import reference

# Any JSON that a body can have, and what is nearly a reference.
JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers()
    | strategies.floats(allow_nan=False) | strategies.text()
    | strategies.sampled_from(('a\0b', '\ud800')),
    lambda inner: strategies.lists(inner, max_size=3)
    | strategies.dictionaries(
        strategies.sampled_from((*reference.KEYS, '', 'other', 'x\0'))
        | strategies.text(), inner, max_size=4),
    max_leaves=8)

TEXT = strategies.text(min_size=1).filter(lambda text: '\0' not in text)

REFERENCES = strategies.dictionaries(
    strategies.sampled_from(reference.KEYS), TEXT, min_size=1)


class TestParse(base.BaseTestCase):

    def test_a_string_is_a_name(self):
        self.assertEqual({'source-name': 'snap'}, reference.parse('snap'))

    def test_a_reference_is_copied(self):
        ref = {'source-id': '7', 'other': ''}
        parsed = reference.parse(ref)
        self.assertEqual(ref, parsed)
        self.assertIsNot(ref, parsed)

    def test_the_key_of_some_cinder_drivers_is_known(self):
        self.assertEqual({'name': 'a'}, reference.parse({'name': 'a'}))

    def test_a_name_may_be_long(self):
        self.assertEqual({'source-name': 'n' * 5000},
                         reference.parse('n' * 5000))

    def test_each_refusal_has_its_reason(self):
        for ref, reason in (
                (None, 'it must be an object or a string'),
                (5, 'it must be an object or a string'),
                (['a'], 'it must be an object or a string'),
                ({}, 'it needs source-name or source-id'),
                ({'other': 'a'}, 'it needs source-name or source-id'),
                ('', 'source-name must not be empty'),
                ({'source-name': 'a', 'source-id': ''},
                 'source-id must not be empty'),
                ({'source-name': 5}, 'its values must be strings'),
                ({'source-name': None}, 'its values must be strings'),
                ({'source-name': {'a': 'b'}}, 'its values must be strings'),
                ({'source-name': 'a', 'other': 1},
                 'its values must be strings'),
                ('a\0', 'it must not have characters that no name can have'),
                ({'source-name': '\ud800'},
                 'it must not have characters that no name can have'),
                ({'source-name': 'a', 'other\0': 'b'},
                 'it must not have characters that no name can have')):
            error = self.assertRaises(
                exception.InvalidInput, reference.parse, ref)
            self.assertEqual(
                'Invalid input received: ref is not a reference to a '
                f'snapshot: {reason}.', error.msg)

    @hypothesis.given(JSON)
    def test_any_json_is_a_reference_or_refused(self, value):
        try:
            parsed = reference.parse(value)
        except exception.InvalidInput as error:
            self.assertTrue(error.msg.isprintable())
            return
        self.assertTrue(set(reference.KEYS) & set(parsed))
        for key, text in parsed.items():
            (key + text).encode('utf-8')
            self.assertNotIn('\0', key + text)
        self.assertTrue(all(
            parsed.get(key, 'absent') for key in reference.KEYS))
        self.assertEqual(parsed, reference.parse(parsed))

    @hypothesis.given(REFERENCES)
    def test_a_reference_is_accepted_as_it_is(self, ref):
        self.assertEqual(ref, reference.parse(ref))


class TestParseMarker(base.BaseTestCase):

    def test_nothing_is_no_marker(self):
        self.assertIsNone(reference.parse_marker(None))
        self.assertIsNone(reference.parse_marker(''))

    @hypothesis.given(REFERENCES)
    def test_as_it_is_and_as_json(self, ref):
        self.assertEqual(ref, reference.parse_marker(ref))
        self.assertEqual(ref, reference.parse_marker(json.dumps(ref)))

    def test_refusals_are_worded_as_cinder_does(self):
        for marker, message in (
                ('zzz', 'marker zzz can not be analysed, please use json '
                        'like format'),
                ('[]', 'marker not found: []'),
                ('{}', 'marker not found: {}'),
                ('null', 'marker not found: None'),
                ({'source-name': 5}, "marker not found: {'source-name': 5}")):
            error = self.assertRaises(
                exception.InvalidInput, reference.parse_marker, marker)
            self.assertEqual(f'Invalid input received: {message}', error.msg)

    def test_deep_json_is_refused(self):
        for depth in (100, 900, 1000, 100000):
            self.assertRaises(exception.InvalidInput, reference.parse_marker,
                              '[' * depth + ']' * depth)

    @hypothesis.given(strategies.text() | JSON.map(json.dumps) | JSON)
    def test_anything_is_a_marker_or_refused_in_one_line(self, marker):
        try:
            reference.parse_marker(marker)
        except exception.InvalidInput as error:
            self.assertTrue(error.msg.isprintable())
            self.assertLess(len(error.msg), 400)


class TestKey(base.BaseTestCase):

    @hypothesis.given(REFERENCES, REFERENCES)
    def test_equal_for_the_same_reference_only(self, left, right):
        self.assertEqual(
            left == right, reference.key(left) == reference.key(right))

    @hypothesis.given(REFERENCES)
    def test_the_order_of_the_keys_does_not_count(self, ref):
        self.assertEqual(reference.key(ref),
                         reference.key(dict(reversed(ref.items()))))

    @hypothesis.given(REFERENCES)
    def test_it_holds_the_reference(self, ref):
        self.assertEqual(ref, reference.from_key(reference.key(ref)))

    def test_what_can_be_no_reference_has_none(self):
        for ref, error in (({'source-name': 5}, TypeError),
                           (None, TypeError),
                           ({'source-name': None}, TypeError),
                           ({'source-name': 'a\0b'}, ValueError),
                           ({'a\0b': 'c'}, ValueError)):
            self.assertRaises(error, reference.key, ref)

    @hypothesis.given(strategies.lists(TEXT))
    def test_references_are_ordered_by_name(self, names):
        refs = [{'source-name': name, 'source-id': str(number)}
                for number, name in enumerate(names)]
        self.assertEqual(
            sorted(names), [ref['source-name'] for ref in sorted(
                refs, key=reference.key)])


class TestMatches(base.BaseTestCase):

    def test_less_is_enough(self):
        listed = {'source-name': 'a', 'source-id': '7'}
        for wanted in (listed, {'source-name': 'a'}, {'source-id': '7'}):
            self.assertTrue(reference.matches(wanted, listed))

    def test_more_or_other_is_not(self):
        listed = {'source-name': 'a'}
        for wanted in ({'source-name': 'b'}, {'source-id': 'a'},
                       {'source-name': 'a', 'source-id': '7'}):
            self.assertFalse(reference.matches(wanted, listed))


class TestShown(base.BaseTestCase):

    def test_text_is_shown_as_it_is(self):
        self.assertEqual('Größe ok', reference.shown('Größe ok'))

    def test_what_is_too_long_is_cut(self):
        self.assertEqual('n' * 252 + '...', reference.shown('n' * 5000))

    def test_what_is_too_deep_is_left_out(self):
        deep = []
        for _level in range(100000):
            deep = [deep]
        self.assertEqual('...', reference.shown(deep))

    @hypothesis.given(JSON)
    def test_anything_is_one_line(self, value):
        shown = reference.shown(value)
        self.assertTrue(shown.isprintable())
        self.assertLessEqual(len(shown), 255)
