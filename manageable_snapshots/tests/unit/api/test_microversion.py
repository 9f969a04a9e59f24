# SPDX-License-Identifier: Apache-2.0

"""Which version a header asks for."""

import hypothesis
from hypothesis import strategies
from oslotest import base

from manageable_snapshots.api import microversion
from manageable_snapshots.api import request
from manageable_snapshots import exception

NEWEST = (3, 60)


def negotiate(header):
    req = request.Request.blank('/')
    if header is not None:
        req.headers['OpenStack-API-Version'] = header
    try:
        microversion.negotiate(req, NEWEST)
    except exception.ManageableSnapshotsException as error:
        return req.api_version, error
    return req.api_version, None


class MicroversionTest(base.BaseTestCase):

    @hypothesis.given(strategies.integers(0, 100), strategies.integers(0, 100))
    def test_a_version_is_on_offer_or_not(self, major, minor):
        version, error = negotiate(f'volume {major}.{minor}')
        if major == 3 and minor <= 60:
            self.assertEqual(((3, minor), None), (version, error))
        elif major == 0:
            self.assertEqual((request.UNSETTLED, 400),
                             (version, error.code))
        else:
            self.assertEqual(((major, minor), 406), (version, error.code))

    @hypothesis.given(strategies.text(
        strategies.characters(codec='latin-1', exclude_categories=['Cc'])
        | strategies.sampled_from('volume 3.8,late'), max_size=30))
    def test_any_header_is_understood_or_refused(self, header):
        version, error = negotiate(header)
        if error is None:
            self.assertTrue((3, 0) <= version <= NEWEST)
        else:
            self.assertIn(error.code, (400, 406))

    def test_the_newest_is_the_hosts(self):
        self.assertEqual((NEWEST, None), negotiate('volume latest'))
        _version, error = negotiate('volume 3.61')
        self.assertEqual(
            'Version 3.61 is not supported by the API. Minimum is 3.0 and '
            'maximum is 3.60.', error.msg)

    def test_no_header_is_the_oldest(self):
        self.assertEqual(((3, 0), None), negotiate(None))

    def test_blanks_do_no_harm(self):
        self.assertEqual(((3, 8), None), negotiate('  volume   3.8  '))

    def test_of_two_the_last_counts(self):
        self.assertEqual(((3, 9), None), negotiate('volume 3.8, volume 3.9'))

    def test_more_digits_than_any_version_has(self):
        for version in ('3.' + '9' * 5000, '9' * 5000 + '.1', '3.٨'):
            self.assertIsInstance(negotiate(f'volume {version}')[1],
                                  exception.InvalidAPIVersionString)

    def test_a_handler_since_a_version(self):
        @microversion.since((3, 8))
        def handler(app, req, name):
            return app, req.api_version, name

        req = request.Request.blank('/')
        req.api_version = (3, 8)
        self.assertEqual(('app', (3, 8), 'x'), handler('app', req, name='x'))
        req.api_version = (3, 7)
        self.assertRaises(exception.NotFound, handler, 'app', req, name='x')
