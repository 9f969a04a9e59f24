# SPDX-License-Identifier: Apache-2.0

"""The OpenAPI description says what the code does."""

import inspect
import json
import pathlib
import re

from oslotest import base

from manageable_snapshots.api import query
from manageable_snapshots.api import schemas
from manageable_snapshots.api import urls
from manageable_snapshots.standalone.api import urls as standalone_urls
from manageable_snapshots.tests import openapi

_FILE = (pathlib.Path(__file__).parents[3] / 'doc' / 'source' / 'reference'
         / 'openapi.json')


class OpenapiTest(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.document = openapi.document()

    def test_the_shipped_description_is_fresh(self):
        if not _FILE.exists():
            self.skipTest('There is no source tree here.')
        self.assertEqual(openapi.text(), _FILE.read_text(),
                         'Run tox -e genopenapi.')

    def test_every_function_is_described(self):
        paths = self.document['paths']
        for path, methods in (*urls.MANAGEABLE_SNAPSHOTS,
                              *standalone_urls.VOLUMES):
            for method, handler in methods.items():
                for project in ('', '/{project_id}'):
                    described = paths.get(f'/v3{project}{path}', {})
                    self.assertEqual(handler is not None,
                                     method.lower() in described, path)

    def test_every_parameter_of_a_list_is_described(self):
        known = set(re.findall(r"(?:_first\(req, |req\.GET\.get\()'(\w+)'",
                               inspect.getsource(query)))
        described = self.document['paths']['/v3/manageable_snapshots']['get']
        self.assertLess({'host', 'marker'}, known)
        self.assertEqual(known, {
            each['name'] for each in described['parameters']
            if each['in'] == 'query'})

    def test_references_lead_somewhere(self):
        names = set(self.document['components']['schemas'])
        used = set()

        def collect(value):
            if isinstance(value, dict):
                if '$ref' in value:
                    used.add(value['$ref'].rpartition('/')[2])
                for item in value.values():
                    collect(item)
            elif isinstance(value, list):
                for item in value:
                    collect(item)

        collect(self.document)
        self.assertEqual(names, used)

    def test_a_body_is_what_the_service_checks_by(self):
        described = self.document['components']['schemas']['Adopt']
        text = json.dumps(schemas.ADOPT.schema)
        self.assertEqual(
            json.loads(text.replace(', "printable": true', '')), described)
