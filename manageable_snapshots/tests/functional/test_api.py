# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The API's behaviour, as the gabbi files beside this describe it."""

import os
from typing import Any

from gabbi import driver

from manageable_snapshots.tests.functional import fixtures

_FILES = os.path.join(os.path.dirname(__file__), 'gabbits')


def load_tests(loader: Any, tests: Any, pattern: str | None) -> Any:
    """The hook by which unittest loads what is not a class."""
    return driver.build_tests(
        _FILES, loader, intercept=lambda: fixtures.application,
        fixture_module=fixtures, test_loader_name=__name__)
