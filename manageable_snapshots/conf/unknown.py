# SPDX-License-Identifier: Apache-2.0

"""Unknown options in the sections of this project.

oslo.config ignores an option that nobody has registered: after a spelling
mistake the default stays in effect, and nothing is said.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import difflib
from importlib import metadata
import os
import pathlib
import re
from typing import Any

from oslo_config import cfg

from manageable_snapshots import conf as project_conf
from manageable_snapshots.conf import backend
from manageable_snapshots.conf import files
from manageable_snapshots.conf import warnings

_OWN = 'manageable_snapshots'

#: the section of each backend, in :func:`conf.list_opts`
_BACKEND = 'backend'

#: In Cinder the defaults of each backend's section; not read without Cinder.
_SHARED = 'backend_defaults'

#: Libraries that register options in [DEFAULT], some of them late. Entry
#: points of oslo.config.opts, as in config-generator.conf.
_LIBRARIES = frozenset((
    'oslo.concurrency', 'oslo.db', 'oslo.log', 'oslo.messaging',
    'oslo.middleware.cors', 'oslo.middleware.healthcheck',
    'oslo.middleware.http_proxy_to_wsgi', 'oslo.middleware.sizelimit',
    'oslo.policy'))

#: The drivers of this project. Another one registers options of its own.
_DRIVERS = frozenset(('directory', 'rbd', 'lvm'))

#: Only this project's options begin so, whatever the section.
_PREFIX = 'manageable'

_VARIABLE = re.compile('OS_([^a-z]+?)__([^a-z]+)')

#: difflib's ratio at which a name is taken for a misspelt one
_SIMILAR = 0.7
_SIMILAR_SECTION = 0.8

_Names = Mapping[str, set[str]]
_Read = list[tuple[pathlib.Path, dict[str, dict[str, list[str]]]]]


def warn(conf: cfg.ConfigOpts, *, in_cinder: bool) -> None:
    """Log each unknown option as a warning, once in the process."""
    for sentence in options(conf, in_cinder=in_cinder):
        warnings.warn_once(sentence)


def options(conf: cfg.ConfigOpts, *, in_cinder: bool) -> list[str]:
    """Return a sentence for each option that is set and unknown.

    Looks at the files and at the environment (``OS_SECTION__OPTION``).
    Deprecated names are known. Sections of other projects and of backends
    with other drivers are searched for options of this project only.

    :param conf: the configuration, read already
    :param in_cinder: whether it is the configuration of a Cinder, where
        only ``[manageable_snapshots]`` is this project's
    """
    read = [(path, files.sections(path)) for path in files.paths(conf)]
    ours = _by_section(project_conf.list_opts())
    known = {_OWN: ours[_OWN]}
    if not in_cinder:
        known['coordination'] = ours['coordination']
        known['DEFAULT'] = (
            ours['DEFAULT'] | set(conf) | _library_options()['DEFAULT'])
        for name in map(_normalized, conf.enabled_backends):
            if _has_driver_of_ours(name, read):
                known[name] = ours[_BACKEND]
    return [
        *(sentence for path, sections in read
          for section, values in sections.items()
          for sentence in _in_section(
              f'{path}', section, values, ours, known, in_cinder)),
        *_in_environment(ours, known)]


def _in_section(path: str, section: str, values: Iterable[str], ours: _Names,
                known: _Names, in_cinder: bool) -> Iterator[str]:
    name = _normalized(section)
    if name == _SHARED and not in_cinder:
        yield (f'Section [{section}] of {path} is ignored: only Cinder '
               'has defaults for all backends.')
        return
    named = [_OWN] if in_cinder else [each for each in known if each in ours]
    meant = None if name in known else _nearest(
        section, named, _SIMILAR_SECTION)
    if meant:
        yield (f'Unknown section [{section}] in {path}: it is ignored. Did '
               f'you mean [{meant}]?')
        return
    for option in values:
        if _is_unknown(name, option, ours, known):
            yield (f'Unknown option {option} in section [{section}] of '
                   f'{path}: it is ignored.'
                   + _advice(name, option, ours, known))


def _in_environment(ours: _Names, known: _Names) -> Iterator[str]:
    for variable in sorted(os.environ):
        match = _VARIABLE.fullmatch(variable)
        if match is None:
            continue
        section, option = match.groups()
        if section != 'DEFAULT':
            section = section.lower()
        option = option.lower()
        if _is_unknown(section, option, ours, known):
            yield (f'Unknown option {option} of section [{section}] in the '
                   f'environment variable {variable}: it is ignored.'
                   + _advice(section, option, ours, known))


def _is_unknown(section: str, option: str, ours: _Names,
                known: _Names) -> bool:
    if section in known:
        return option not in known[section]
    if option in ours[_OWN]:
        return True
    return option.startswith(_PREFIX) and (
        section == 'DEFAULT' or option not in ours[_BACKEND])


def _advice(section: str, option: str, ours: _Names, known: _Names) -> str:
    """The section to which an option belongs, or the most similar one."""
    for place, names in ours.items():
        if option in names and place != section:
            return (' It belongs in the section of a backend.'
                    if place == _BACKEND else f' It belongs in [{place}].')
    meant = _nearest(option, known.get(section, ours[_BACKEND]), _SIMILAR)
    return f' Did you mean {meant}?' if meant else ''


def _nearest(word: str, names: Iterable[str], ratio: float) -> str | None:
    plain = {name.lower(): name for name in sorted(names)}
    found = difflib.get_close_matches(
        word.lower().replace('-', '_'), plain, 1, ratio)
    return plain[found[0]] if found else None


def _normalized(section: str) -> str:
    """The name by which oslo.config finds a section."""
    return section if section == 'DEFAULT' else section.lower()


def _by_section(listed: Iterable[tuple[Any, Iterable[cfg.Opt]]]) -> _Names:
    """The names of options, current and deprecated, by section.

    :param listed: as ``list_opts`` of a library returns it
    """
    names: dict[str, set[str]] = {}
    for group, opts in listed:
        section = str(getattr(group, 'name', group) or 'DEFAULT')
        for opt in opts:
            names.setdefault(section, set()).add(opt.dest)
            for old in opt.deprecated_opts:
                name = old.name or opt.dest
                names.setdefault(old.group or section, set()).update(
                    (name, name.replace('-', '_')))
    return names


def _library_options() -> _Names:
    return _by_section(
        listed
        for point in metadata.entry_points(group='oslo.config.opts')
        if point.name in _LIBRARIES
        for listed in point.load()())


def _has_driver_of_ours(backend_name: str, read: _Read) -> bool:
    driver = str(backend.OPTIONS[0].default)
    for _path, sections in read:
        for section, values in sections.items():
            if _normalized(section) == backend_name:
                driver = values.get('volume_driver', [driver])[-1]
    return driver in _DRIVERS or driver.startswith('manageable_snapshots.')
