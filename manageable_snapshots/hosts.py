# SPDX-License-Identifier: Apache-2.0

"""Names of the form ``host@backend#pool``, as Cinder writes them."""


def backend(name: str) -> str:
    """``host@backend`` of ``host@backend#pool``."""
    return name.partition('#')[0]


def host(name: str) -> str:
    """``host`` of ``host@backend#pool``."""
    return backend(name).partition('@')[0]


def pool(name: str) -> str | None:
    """Return ``pool`` of ``host@backend#pool``, or None without a pool."""
    return name.partition('#')[2] or None
