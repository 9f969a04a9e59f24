# SPDX-License-Identifier: Apache-2.0

"""The configuration files that a process reads."""

from collections.abc import Iterator
import pathlib

from oslo_config import cfg


def paths(conf: cfg.ConfigOpts) -> Iterator[pathlib.Path]:
    """Yield the path of each file, in the order in which they are read.

    :param conf: the configuration, read already
    """
    for name in conf.config_file or ():
        yield pathlib.Path(name).expanduser()
    for folder in conf.config_dir or ():
        yield from sorted(pathlib.Path(folder).expanduser().glob('*.conf'))


def sections(path: pathlib.Path) -> dict[str, dict[str, list[str]]]:
    """Return the options of a file by section, each with its values.

    :returns: empty if the file cannot be read; oslo.config, which has read
        it before, is the one to complain
    """
    found: dict[str, dict[str, list[str]]] = {}
    try:
        cfg.ConfigParser(str(path), found).parse()
    except (OSError, ValueError, cfg.ParseError):
        return {}
    return found
