# SPDX-License-Identifier: Apache-2.0

"""The API as a WSGI server of one's choice loads it."""

# Before anything else: what it does to warnings.
import manageable_snapshots.cmd  # noqa: F401
