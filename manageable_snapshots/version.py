# SPDX-License-Identifier: Apache-2.0

"""The version of the installed package."""

from importlib import metadata


def version_string() -> str:
    """The version as pip shows it."""
    return metadata.version('manageable-snapshots')
