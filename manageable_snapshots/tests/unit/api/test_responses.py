# SPDX-License-Identifier: Apache-2.0

"""What an error looks like to a client."""

from oslotest import base
import webob.exc

from manageable_snapshots.api import request
from manageable_snapshots.api import responses
from manageable_snapshots import exception


class ErrorTest(base.BaseTestCase):

    def _fault(self, error):
        response = responses.error(error)
        (name, fault), = response.json.items()
        self.assertEqual(response.status_int, fault.pop('code'))
        return response, name, fault

    def test_names_of_faults(self):
        for error, name in (
                (exception.InvalidInput(reason='x'), 'badRequest'),
                (exception.PolicyNotAuthorized(action='x'), 'forbidden'),
                (exception.VolumeNotFound(volume_id='x'), 'itemNotFound'),
                (exception.MethodNotAllowed('PUT', ['GET']), 'badMethod'),
                (exception.UnsupportedContentType(), 'badMediaType'),
                (exception.ServiceUnavailable(), 'serviceUnavailable'),
                (exception.BackendTimeout(host='h', seconds=1),
                 'computeFault')):
            _response, found, fault = self._fault(error)
            self.assertEqual((name, {'message': error.msg}), (found, fault))

    def test_a_full_quota(self):
        response, name, fault = self._fault(
            exception.SnapshotLimitExceeded(allowed=10))
        self.assertEqual('overLimit', name)
        self.assertEqual(
            {'message': 'SnapshotLimitExceeded: Maximum number of snapshots '
                        'allowed (10) exceeded', 'retryAfter': '0'}, fault)
        self.assertEqual('0', response.headers['Retry-After'])

    def test_an_answer_of_the_middleware_stays_as_it_is(self):
        error = webob.exc.HTTPRequestEntityTooLarge('large')
        self.assertIs(error, responses.error(error))

    def test_without_middleware_there_is_no_id_to_show(self):
        response = responses.json({})
        responses.complete(request.Request.blank('/'), response)
        self.assertEqual({'Content-Type', 'Content-Length'},
                         set(response.headers))
