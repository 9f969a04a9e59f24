# SPDX-License-Identifier: Apache-2.0

"""Warnings about the configuration, each logged once in a process."""

import functools

from oslo_log import log as logging

LOG = logging.getLogger(__name__)


@functools.cache
def warn_once(sentence: str) -> None:
    """Log a warning, unless this process has logged the same one before.

    For what concerns the whole process: a start is retried, and several
    parts read the same files.
    """
    LOG.warning('%s', sentence)
