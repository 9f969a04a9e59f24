# SPDX-License-Identifier: Apache-2.0

"""Where the next page is."""

import json
import urllib.parse

import hypothesis
from hypothesis import strategies
from oslotest import base

from manageable_snapshots.api import links
from manageable_snapshots.api import request
from manageable_snapshots import conf as configuration


class LinksTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.conf = configuration.new()
        self.conf([], default_config_files=[])

    def _next(self, url, last={'source-name': 'x'}, base_url=None, size=3):
        req = request.Request.blank(url, base_url=base_url)
        link, = links.to_next(self.conf, req, last, size)
        self.assertEqual('next', link['rel'])
        return link['href']

    def test_it_is_where_the_request_was(self):
        self.assertEqual(
            'https://api.example/volume/v3/p/x?host=h&marker=%7B%22source-'
            'name%22%3A+%22x%22%7D&marker_size=3',
            self._next('/p/x?host=h&marker=y&marker_size=1',
                       base_url='https://api.example/volume/v3'))

    def test_it_does_not_leave_out_entries_again(self):
        query = urllib.parse.urlsplit(self._next('/x?offset=2')).query
        self.assertEqual('0', urllib.parse.parse_qs(query)['offset'][0])

    def test_a_size_that_is_not_known_is_said_too(self):
        self.assertIn('&marker_size=-1', self._next('/x?host=h', size=None))

    def test_it_is_where_the_operator_says(self):
        self.conf.set_override('public_endpoint', 'https://cloud.example:1/b')
        self.assertEqual(
            'https://cloud.example:1/b/v3/x',
            self._next('/x', base_url='http://api:8776/v3').partition('?')[0])

    @hypothesis.given(
        strategies.lists(strategies.tuples(
            strategies.sampled_from(['host', 'limit', 'sort', 'a&b']),
            strategies.text(strategies.characters(
                exclude_categories=['Cs']))), max_size=4),
        strategies.dictionaries(
            strategies.sampled_from(['source-name', 'source-id']),
            strategies.text(), min_size=1))
    def test_it_asks_for_the_same_and_what_comes_after(self, query, last):
        href = self._next('/x?' + urllib.parse.urlencode(query), last)
        again = request.Request.blank(href)
        self.assertEqual(query, list(again.GET.items())[:-2])
        self.assertEqual(last, json.loads(again.GET['marker']))
