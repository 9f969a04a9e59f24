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
