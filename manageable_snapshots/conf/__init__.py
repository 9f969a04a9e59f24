# SPDX-License-Identifier: Apache-2.0

"""Every option, one module a subject; names and places are Cinder's.

Configuration is an object that is passed on, never the global
``oslo_config.cfg.CONF``: inside ``cinder-api`` that one is Cinder's, and two
definitions of one option do not go together.
"""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import itertools
from typing import Any

from oslo_config import cfg
from oslo_log import log
from oslo_policy import opts as policy_options

from manageable_snapshots.conf import api
from manageable_snapshots.conf import backend
from manageable_snapshots.conf import base
from manageable_snapshots.conf import coordination
from manageable_snapshots.conf import database
from manageable_snapshots.conf import quota
from manageable_snapshots.conf import volume
from manageable_snapshots import exception
from manageable_snapshots.i18n import _
from manageable_snapshots import version

PROJECT = 'manageable_snapshots'

_MODULES = (base, api, database, quota, volume, coordination)


def new() -> cfg.ConfigOpts:
    """All options at their defaults, nothing read yet."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    database.set_defaults(conf)
    # Not set_defaults: what that one changes is the whole process's.
    for group, options in policy_options.list_opts():
        conf.register_opts(options, group=group)
    # Older releases of oslo.policy read JSON by default, and let old rules
    # count beside the new.
    conf.set_default('policy_file', 'policy.yaml', group='oslo_policy')
    conf.set_default('enforce_new_defaults', True, group='oslo_policy')
    for module in _MODULES:
        for group, options in module.list_opts():
            conf.register_opts(
                options, group=None if group == 'DEFAULT' else group)
    return conf


def load(argv: Sequence[str], *, prog: str | None = None,
         description: str | None = None,
         default_config_files: Sequence[str] | None = None,
         conf: cfg.ConfigOpts | None = None) -> cfg.ConfigOpts:
    """Read the command line and the configuration files.

    :param argv: the arguments, without the program's name
    :param prog: the program's name, for ``--help`` and the files' names
    :param description: a sentence for ``--help``
    :param default_config_files: used where ``--config-file`` is not given;
        None: ``/etc/manageable_snapshots/manageable_snapshots.conf`` and its
        neighbours, by oslo.config's rules
    :param conf: from :func:`new`, with further command-line options in it
    :raises oslo_config.cfg.Error: a value or file that cannot be used
    """
    conf = conf or new()
    conf(list(argv), project=PROJECT, prog=prog, description=description,
         version=version.version_string(),
         default_config_files=(None if default_config_files is None
                               else list(default_config_files)))
    return conf


def check(conf: cfg.ConfigOpts,
          leave_out: Collection[str] = frozenset()) -> None:
    """Look at every option; oslo.config itself would when it is first used.

    :param leave_out: names of options that do not matter
    :raises ConfigurationError: the first one whose value is wrong
    """
    for name in conf:
        if name in leave_out:
            continue
        value = _value(conf, name, 'DEFAULT')
        if isinstance(value, cfg.ConfigOpts.GroupAttr):
            for option in value:
                _value(value, option, name)


def _value(options: Mapping[str, Any], option: str, group: str) -> Any:
    try:
        return options[option]
    except (cfg.Error, ValueError) as error:
        # oslo.config wraps what was wrong into what it was doing.
        reason = str(error.__context__ or error)
        if isinstance(error, (cfg.NoSuchOptError, cfg.NoSuchGroupError,
                              cfg.TemplateSubstitutionError)):
            # It would tell what is behind a $ in a password.
            reason = _('a "$" in it names no option; one that is meant as it '
                       'is must be doubled')
        raise exception.ConfigurationError(
            option=option, group=group, reason=reason) from error


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    """All options by section, for oslo-config-generator."""
    return list(itertools.chain.from_iterable(
        module.list_opts() for module in (*_MODULES, backend)))
