# SPDX-License-Identifier: Apache-2.0

"""Configuration files that tell their secrets to every user of the machine."""

import pathlib
import re
import stat

from oslo_config import cfg

from manageable_snapshots.conf import files

# An option that is called so, or a URL with a password in it, as
# transport_url has. An id, a file or the like is no secret itself.
_SECRET = re.compile(
    r'^[ \t]*\w*(?:password|passwd|secret|hmac_key)'
    r'(?!\w*_?(?:uuid|id|file|path|timeout|strategy)\b)\w*[ \t]*[=:][ \t]*\S'
    r'|^[ \t]*\w+[ \t]*[=:][^#\n]*://[^/\s:@]*:[^\s]+@',
    re.MULTILINE | re.IGNORECASE)


def exposed(conf: cfg.ConfigOpts) -> list[str]:
    """Paths of the files that have a secret and that everybody may read.

    A file in a folder that not everybody may enter is not one of them.

    :param conf: the configuration, read already
    """
    return [str(path) for path in files.paths(conf)
            if _is_exposed(path)]


def _is_exposed(path: pathlib.Path) -> bool:
    try:
        path = path.resolve(strict=True)
        if not path.stat().st_mode & stat.S_IROTH or not all(
                folder.stat().st_mode & stat.S_IXOTH
                for folder in path.parents):
            return False
        return _SECRET.search(path.read_text(errors='replace')) is not None
    except OSError:
        return False
