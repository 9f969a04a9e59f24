# SPDX-License-Identifier: Apache-2.0

"""Mistakes in the operator's policy files.

oslo.policy ignores a rule that nobody asks for, and denies what it cannot
parse.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Set
import contextlib
import difflib
import logging
import os
import re
from typing import Any

from oslo_config import cfg
from oslo_policy import policy

from manageable_snapshots.conf import host
from manageable_snapshots.conf import warnings
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import policies
from manageable_snapshots.policies import manageable_snapshots as extension

#: how the extension's rules begin
_PREFIX = 'snapshot_extension:'

#: Cinder has one more that begins so.
_CINDERS = 'snapshot_extension:snapshot_actions:update_snapshot_status'

#: difflib's ratio at which a name is taken for a misspelt one. In Cinder it
#: must tell apart snapshot_extension:list_manageable and volume_extension's.
_SIMILAR = 0.8
_SIMILAR_IN_CINDER = 0.9

#: what may stand beside a check in a rule
_BETWEEN = re.compile(r'[\s()\[\],\'"]+')


def warn(conf: cfg.ConfigOpts) -> None:
    """Log each mistake as a warning, once in the process.

    With Cinder's configuration the files are Cinder's too.

    :raises ConfigurationError: a file cannot be used at all
    """
    for sentence in mistakes(conf, in_cinder=host.is_hosts(conf)):
        warnings.warn_once(sentence)


def warn_in_cinder(conf: cfg.ConfigOpts) -> None:
    """Log each mistake in the extension's rules as a warning, once.

    Cinder has read the files too; what becomes of its process is its matter.
    """
    try:
        found = mistakes(conf, in_cinder=True)
    except exception.ConfigurationError as error:
        found = [str(error)]
    for sentence in found:
        warnings.warn_once(sentence)


def mistakes(conf: cfg.ConfigOpts, *, in_cinder: bool) -> list[str]:
    """Return a sentence for each mistake in the policy files.

    :param conf: the configuration, read already
    :param in_cinder: whether the files are Cinder's; only the extension's
        rules are looked at then
    :raises ConfigurationError: a file cannot be used at all
    """
    found = [f'The policy file {name}, which [oslo_policy] {option} names, '
             'does not exist.' for option, name in _missing(conf)]
    rules = {name: (file, value) for option, file in _files(conf)
             for name, value in _read(option, file).items()}
    with _quietly():
        checks = {name: _parsed(name, file, value)
                  for name, (file, value) in rules.items()}
    defaults = [] if in_cinder else policies.list_rules()
    references = {
        name: set(_references(check)) for name, check in [
            *((rule.name, rule.check) for rule in defaults),
            *checks.items()]}
    known = _in_cinder() if in_cinder else {rule.name for rule in defaults}
    aliases = {conf.oslo_policy.policy_default_rule}.union(
        *references.values())
    for name, (file, value) in rules.items():
        if in_cinder and not _is_the_extensions(name, known):
            continue
        if name in known or name in aliases:
            wrong = _wrong(name, value, checks[name], references, in_cinder)
        else:
            wrong = _unknown(name, known)
        found += [f'Policy rule {name} in {file} {each}' for each in wrong]
    return found


def _parsed(name: str, file: str, value: Any) -> Any:
    """The check of a rule.

    :raises ConfigurationError: oslo.policy cannot read it at all
    """
    try:
        return policy.RuleDefault(name, value).check
    except (AttributeError, TypeError, ValueError) as error:
        raise _unusable('policy_file', file, _(
            'the rule %s is not a string') % name) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep oslo.policy from logging, with a traceback, what it cannot parse.

    It does so when an enforcer reads the files.
    """
    log = logging.getLogger('oslo_policy')
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)


def _unknown(name: str, known: Set[str]) -> Iterator[str]:
    meant = _nearest(name, known, _SIMILAR)
    yield ('is unknown: it is ignored.'
           + (f' Did you mean {meant}?' if meant else ''))


def _wrong(name: str, value: Any, check: Any,
           references: Mapping[str, Set[str]],
           in_cinder: bool) -> Iterator[str]:
    """What is wrong with a rule that is known, as predicates."""
    if not value and not isinstance(value, (str, list)):
        yield ('has no text and allows every request; "@" says so, "!" '
               'denies.')
    denied = sum(str(leaf) == '!' for leaf in _leaves(check))
    if denied > _BETWEEN.split(str(value)).count('!'):
        yield 'cannot be parsed; what is not understood denies.'
    if not in_cinder:
        for each in sorted(references[name] - references.keys()):
            yield f'refers to the rule {each}, which is not defined.'
    if _is_cyclic(name, references):
        yield 'refers to itself.'


def _in_cinder() -> set[str]:
    return {_CINDERS, *(rule.name for rule in extension.list_rules())}


def _is_the_extensions(name: str, known: Set[str]) -> bool:
    return (name.startswith(_PREFIX)
            or _nearest(name, known, _SIMILAR_IN_CINDER) is not None)


def _nearest(name: str, known: Set[str], ratio: float) -> str | None:
    return next(iter(difflib.get_close_matches(
        name, sorted(known), 1, ratio)), None)


def _leaves(check: Any) -> Iterator[Any]:
    """The checks of which a rule is made (oslo.policy's and, or, not)."""
    parts = [*getattr(check, 'rules', ())]
    if hasattr(check, 'rule'):
        parts.append(check.rule)
    if not parts:
        yield check
    for part in parts:
        yield from _leaves(part)


def _references(check: Any) -> Iterator[str]:
    for leaf in _leaves(check):
        if isinstance(leaf, policy.RuleCheck):
            yield leaf.match


def _is_cyclic(name: str, references: Mapping[str, Set[str]]) -> bool:
    seen: set[str] = set()
    ahead = set(references[name])
    while ahead:
        seen |= ahead
        ahead = {further for each in ahead
                 for further in references.get(each, ())} - seen
    return name in seen


def _missing(conf: cfg.ConfigOpts) -> Iterator[tuple[str, str]]:
    """The files and folders that do not exist although an option names them.

    :returns: pairs of an option and its value
    """
    for option, name, path in _configured(conf):
        location = conf.get_location(option, 'oslo_policy')
        if path is None and location and location.location.is_user_controlled:
            yield option, name


def _files(conf: cfg.ConfigOpts) -> Iterator[tuple[str, str]]:
    """The files in the order in which oslo.policy reads them.

    :returns: pairs of the option that names it, and a path
    :raises ConfigurationError: a folder is none
    """
    for option, _name, path in _configured(conf):
        if path is None:
            continue
        if option == 'policy_file':
            yield option, path
            continue
        try:
            names = sorted(os.listdir(path))
        except OSError as error:
            raise _unusable(option, path, error.strerror) from error
        for name in names:
            file = os.path.join(path, name)
            if not name.startswith('.') and not os.path.isdir(file):
                yield option, file


def _configured(
        conf: cfg.ConfigOpts) -> Iterator[tuple[str, str, str | None]]:
    """Triples of an option, a name, and where it is, None if nowhere."""
    # Some releases of oslo.policy look for policy.json, too.
    name = policy.Enforcer(conf).policy_file
    yield 'policy_file', name, conf.find_file(name)
    for name in conf.oslo_policy.policy_dirs:
        yield 'policy_dirs', name, conf.find_file(name)


def _read(option: str, path: str) -> dict[str, Any]:
    """The rules of a file.

    :param option: names it
    :raises ConfigurationError: oslo.policy could not use it
    """
    try:
        with open(path) as file:
            rules = policy.parse_file_contents(file.read())
    except OSError as error:
        raise _unusable(option, path, error.strerror) from error
    except ValueError as error:
        raise _unusable(option, path, ' '.join(str(error).split())) from error
    if not isinstance(rules, dict):
        raise _unusable(option, path, _('it does not consist of "rule": '
                                        '"check"'))
    for name, value in rules.items():
        if value and not isinstance(value, Iterable):
            raise _unusable(
                option, path, _('the rule %s is not a string') % name)
    return {str(name): value for name, value in rules.items()}


def _unusable(option: str, path: str,
              reason: str | None) -> exception.ConfigurationError:
    return exception.ConfigurationError(
        option=option, group='oslo_policy', reason=f'{path}: {reason}')
