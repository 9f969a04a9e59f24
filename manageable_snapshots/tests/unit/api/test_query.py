# SPDX-License-Identifier: Apache-2.0

"""What the query string of a list means."""

import urllib.parse

import hypothesis
from hypothesis import strategies
from oslotest import base

from manageable_snapshots.api import query
from manageable_snapshots.api import request
from manageable_snapshots import exception

NAMES = ('host', 'cluster', 'limit', 'offset', 'marker', 'sort', 'sort_key',
         'sort_dir', 'marker_size', 'source_name', 'volume_id',
         'safe_to_manage', 'other')
VOLUME_ID = 'cb2c5a31-9b1f-4a5a-9d52-27b0f4ee2a3b'
VALUES = (strategies.text(max_size=20)
          | strategies.integers().map(str)
          | strategies.sampled_from((
              'reference', 'size:asc', 'size,reference:desc', 'asc', 'desc',
              '{"source-name": "x"}', 'null', 'node@dir#pool', VOLUME_ID,
              'true', '')))
PAIRS = strategies.lists(
    strategies.tuples(strategies.sampled_from(NAMES), VALUES), max_size=6)


def parse(text, version=(3, 8), max_limit=1000):
    req = request.Request.blank('/?' + text)
    req.api_version = version
    return query.parse(req, max_limit)


class QueryTest(base.BaseTestCase):

    @hypothesis.given(PAIRS, strategies.sampled_from([(3, 8), (3, 17)]))
    def test_any_query_has_a_meaning_or_is_refused(self, pairs, version):
        try:
            wanted = parse(urllib.parse.urlencode(
                pairs, errors='surrogatepass'), version)
        except exception.Invalid as error:
            self.assertEqual(400, error.code)
            return
        except UnicodeDecodeError:
            self.assertTrue(any('\ud800' <= character <= '\udfff'
                                for _name, value in pairs
                                for character in value))
            return
        self.assertTrue(0 <= wanted.limit <= 1000)
        self.assertTrue(0 <= wanted.offset < 2 ** 31)
        self.assertNotEqual(wanted.host is None, wanted.cluster is None)
        self.assertEqual(len(wanted.sort_keys), len(wanted.sort_dirs))
        self.assertIn(sorted(wanted.sort_keys), (
            ['reference'], ['size'], ['reference', 'size']))
        self.assertTrue({'asc', 'desc'}.issuperset(wanted.sort_dirs))

    def test_what_is_not_said(self):
        self.assertEqual(
            query.Query(host='h', cluster=None, limit=1000, is_limited=False,
                        marker=None, offset=0, sort_keys=['reference'],
                        sort_dirs=['desc'], marker_size=None,
                        source_name=None, volume_id=None,
                        safe_to_manage=None),
            parse('host=h'))

    def test_what_is_said(self):
        self.assertEqual(
            query.Query(host=None, cluster='c', limit=5, is_limited=True,
                        marker={'source-id': 'x'}, offset=7,
                        sort_keys=['size', 'reference'],
                        sort_dirs=['desc', 'asc'], marker_size=-1,
                        source_name='night', volume_id=VOLUME_ID,
                        safe_to_manage=False),
            parse('cluster=c&limit=5&offset=7&sort=size,reference:asc&'
                  'marker={"source-id":"x"}&marker_size=-1&source_name=night&'
                  f'volume_id={VOLUME_ID}&safe_to_manage=false', (3, 17)))

    def test_a_limit_beyond_the_highest_is_the_highest(self):
        self.assertEqual(1000, parse('host=h&limit=' + '9' * 4000).limit)

    def test_a_number_longer_than_python_reads(self):
        for name in 'limit', 'offset':
            self.assertRaises(exception.Invalid, parse,
                              f'host=h&{name}=' + '9' * 5000)

    def test_of_two_hosts_the_last_and_of_two_limits_the_first(self):
        wanted = parse('host=a&host=b&limit=1&limit=2')
        self.assertEqual(('b', 1), (wanted.host, wanted.limit))

    def test_the_first_mention_of_a_key_is_its_order(self):
        wanted = parse('host=h&sort=size:asc,reference:asc,size:desc')
        self.assertEqual((['size', 'reference'], ['asc', 'asc']),
                         (wanted.sort_keys, wanted.sort_dirs))

    def test_many_keys_are_no_more_than_there_are(self):
        wanted = parse('host=h&sort=' + ','.join(['size'] * 10000))
        self.assertEqual(['size'], wanted.sort_keys)

    def test_blanks_in_an_order_do_no_harm(self):
        wanted = parse('host=h&sort=%20size%20:%20asc%20,reference')
        self.assertEqual((['size', 'reference'], ['asc', 'desc']),
                         (wanted.sort_keys, wanted.sort_dirs))

    def test_what_is_wrong_is_said_once(self):
        error = self.assertRaises(
            exception.Invalid, parse, 'host=h&sort=a,b,a')
        self.assertEqual('Invalid sort keys passed: a, b', error.msg)
