# SPDX-License-Identifier: Apache-2.0

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
