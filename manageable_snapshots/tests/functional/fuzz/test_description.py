# SPDX-License-Identifier: Apache-2.0

"""Requests that the OpenAPI description allows, and those that it does not."""

import hypothesis
from hypothesis import strategies
import schemathesis

from manageable_snapshots.tests.functional import fixtures
from manageable_snapshots.tests.functional.fuzz import base
from manageable_snapshots.tests import openapi

_NAMES = {
    'project_id': fixtures.PROJECT,
    'volume_id': fixtures.VOLUME,
    'snapshot_id': fixtures.SNAPSHOT,
    'host': f'{fixtures.HOST}@{fixtures.BACKEND}',
}


class DescriptionTest(base.FuzzTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.schema = schemathesis.openapi.from_dict(openapi.document())
        self.schema.app = self.service.app

    def operations(self):
        return [found.ok() for found in self.schema.get_all_operations()]

    def test_no_request_is_too_much(self) -> None:
        operations = self.operations()
        for operation in operations:
            for mode in schemathesis.GenerationMode:
                self.fuzz(
                    strategies.tuples(
                        operation.as_strategy(generation_mode=mode),
                        strategies.sets(strategies.sampled_from(
                            sorted(_NAMES)))),
                    self.call, base.EXAMPLES // len(operations) // 2)

    def call(self, example) -> None:
        case, known = example
        # Chance does not find what is there.
        for values in (case.path_parameters, case.query):
            for name in known & set(values or ()):
                values[name] = _NAMES[name]
        if known & {'volume_id'} and isinstance(case.body, dict) \
                and isinstance(case.body.get('snapshot'), dict):
            case.body['snapshot']['volume_id'] = fixtures.VOLUME
        try:
            answer = case.call(headers={'X-Auth-Token': base.TOKEN})
        except UnicodeError:
            # No HTTP client would send it.
            hypothesis.reject()
        self.check_answer(answer.status_code, answer.text)
        if answer.status_code != 415:
            case.validate_response(answer, checks=[
                schemathesis.checks.response_schema_conformance])
