# SPDX-License-Identifier: Apache-2.0

"""What a body may be, and that nothing else gets any further."""

import io
import json

import hypothesis
from hypothesis import strategies
from oslotest import base
import webob.exc

from manageable_snapshots.api import body
from manageable_snapshots.api import request
from manageable_snapshots import exception

DEPTH = 5

TEXT = strategies.text(strategies.characters(
    exclude_categories=['Cs'], exclude_characters='\0'), max_size=20)
SCALARS = (strategies.none() | strategies.booleans() | strategies.integers()
           | strategies.floats(allow_nan=False) | TEXT)
JSON = strategies.recursive(
    SCALARS,
    lambda inner: strategies.lists(inner, max_size=4)
    | strategies.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20)


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


class Endless(io.RawIOBase):
    """A body that has no end; counts what is read of it."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def readable(self):
        return True

    def read(self, size=-1):
        if size < 0:
            raise AssertionError('it would never end')
        self.count += size
        return b' ' * size


class ParseTest(base.BaseTestCase):

    @hypothesis.given(JSON)
    def test_json_comes_out_as_it_went_in(self, value):
        data = json.dumps(value).encode()
        if depth(value) > DEPTH:
            self.assertRaises(exception.MalformedRequestBody, body.parse,
                              data, DEPTH)
        else:
            self.assertEqual(value, body.parse(data, DEPTH))

    @hypothesis.given(strategies.binary(max_size=200))
    def test_anything_is_json_or_refused(self, data):
        try:
            body.parse(data, DEPTH)
        except exception.MalformedRequestBody as error:
            self.assertEqual(400, error.code)

    @hypothesis.given(strategies.text('{}[],:"\\u0d8a1e5N \n', max_size=60))
    def test_what_looks_like_json_is_json_or_refused(self, text):
        try:
            body.parse(text.encode(), DEPTH)
        except exception.MalformedRequestBody as error:
            self.assertEqual(400, error.code)

    def _refused(self, text):
        return self.assertRaises(exception.MalformedRequestBody, body.parse,
                                 text.encode(), DEPTH)

    def test_the_deepest(self):
        self.assertEqual([[[[[]]]]], body.parse(b'[[[[[]]]]]', DEPTH))
        self.assertEqual({'a': [{'b': [[1]]}]},
                         body.parse(b'{"a": [{"b": [[1]]}]}', DEPTH))

    def test_deeper(self):
        error = self._refused('[[[[[[]]]]]]')
        self.assertEqual(
            'Malformed request body: it is nested too deeply.', error.msg)
        self._refused('{"a": {"a": {"a": {"a": {"a": {}}}}}}')

    def test_so_deep_that_python_cannot_parse_it(self):
        for character in '[', '{"a":':
            self._refused(character * 100000)

    def test_a_name_twice(self):
        self._refused('{"a": 1, "a": 1}')
        self._refused('[{"b": {"a": 1, "\\u0061": 2}}]')

    def test_a_number_of_more_digits_than_python_reads(self):
        self._refused('9' * 10000)

    def test_half_a_character(self):
        for text in ('"\\ud800"', '["a\\udfffb"]', '{"\\udc00": 1}'):
            self._refused(text)

    def test_both_halves_of_a_character(self):
        self.assertEqual('\U0001f600', body.parse(b'"\\ud83d\\ude00"', DEPTH))

    def test_nul(self):
        for text in ('"\\u0000"', '{"a": ["\\u0000"]}', '{"a\\u0000": 1}'):
            self._refused(text)

    def test_a_byte_order_mark(self):
        self._refused('\ufeff{}')

    def test_another_encoding(self):
        for encoding in 'utf-16', 'utf-32', 'latin-1':
            self.assertRaises(exception.MalformedRequestBody, body.parse,
                              '{"a": "é"}'.encode(encoding), DEPTH)


class ReadTest(base.BaseTestCase):

    def _read(self, data=b'{}', max_size=10, **options):
        options = {'method': 'POST', 'content_type': 'application/json',
                   **options}
        req = request.Request.blank('/', body=data, **options)
        return body.read(req, max_size, DEPTH)

    def test_no_body(self):
        self.assertIs(request.NO_BODY, self._read(b''))

    def test_null_is_a_body(self):
        self.assertIsNone(self._read(b'null'))

    def test_the_largest(self):
        self.assertEqual(12345678, self._read(b'  12345678'))

    def test_one_byte_too_many(self):
        self.assertRaises(webob.exc.HTTPRequestEntityTooLarge, self._read,
                          b' 1234567890')

    def test_a_large_one_is_not_read(self):
        endless = Endless()
        req = request.Request.blank(
            '/', method='POST', content_type='application/json',
            environ={'wsgi.input': endless, 'CONTENT_LENGTH': '11'})
        self.assertRaises(webob.exc.HTTPRequestEntityTooLarge, body.read,
                          req, 10, DEPTH)
        self.assertEqual(0, endless.count)

    def test_one_without_a_length_is_read_up_to_the_limit(self):
        endless = Endless()
        req = request.Request.blank(
            '/', method='POST', content_type='application/json',
            environ={'wsgi.input': endless, 'wsgi.input_terminated': True})
        self.assertRaises(webob.exc.HTTPRequestEntityTooLarge, body.read,
                          req, 10, DEPTH)
        self.assertLessEqual(endless.count, 11)

    def test_one_that_comes_in_pieces(self):
        class Pieces(io.BytesIO):
            def read(self, size=-1):
                return super().read(1)

        req = request.Request.blank(
            '/', method='POST', content_type='application/json', environ={
                'wsgi.input': Pieces(b'[1, 2]'),
                'wsgi.input_terminated': True})
        self.assertEqual([1, 2], body.read(req, 10, DEPTH))

    def test_a_client_that_goes_away(self):
        req = request.Request.blank(
            '/', method='POST', content_type='application/json',
            environ={'wsgi.input': io.BytesIO(b'{'), 'CONTENT_LENGTH': '5'})
        self.assertRaises(exception.MalformedRequestBody, body.read, req, 10,
                          DEPTH)

    def test_types(self):
        for content_type in ('application/json; charset=utf-8',
                             'application/vnd.openstack.volume+json'):
            self.assertEqual({}, self._read(content_type=content_type))
        for content_type in ('text/plain', 'application/xml', 'json', ';',
                             'application/x-www-form-urlencoded'):
            self.assertRaises(exception.UnsupportedContentType, self._read,
                              content_type=content_type)

    def test_no_type(self):
        req = request.Request.blank('/', method='POST', body=b'{}')
        self.assertRaises(exception.UnsupportedContentType, body.read, req,
                          10, DEPTH)

    def test_a_get_has_no_body(self):
        self.assertRaises(exception.Invalid, self._read, method='GET')
        self.assertRaises(exception.UnsupportedContentType, self._read,
                          method='DELETE', content_type='text/plain')

    def test_what_a_get_does_not_call_a_body_is_none(self):
        req = request.Request.blank('/', body=b'what?')
        self.assertIs(request.NO_BODY, body.read(req, 10, DEPTH))
