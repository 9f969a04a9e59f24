# SPDX-License-Identifier: Apache-2.0

"""The configuration of the Cinder process that this code is loaded into.

Its files are read a second time, into an object of our own, since two
definitions of an option do not go together in one. What the process got from
elsewhere, its defaults included, is taken over as our defaults.
"""

import pathlib

from oslo_config import cfg

from manageable_snapshots import conf as project_conf
from manageable_snapshots.conf import unknown

PROJECT = 'cinder'

_COMMAND_LINE = frozenset(
    ('config_dir', 'config_file', 'config_source', 'shell_completion'))

#: What a process of our own needs and Cinder has its own code for. There it
#: may have values that we do not know, noauth_include_project_id say.
UNUSED = frozenset((
    'auth_strategy', 'enabled_backends', 'graceful_shutdown_timeout',
    'osapi_volume_listen', 'osapi_volume_listen_port',
    'osapi_volume_threads', 'report_interval', 'reservation_clean_interval'))


def is_hosts(conf: cfg.ConfigOpts) -> bool:
    """Whether it is Cinder's configuration that was read: cinder.conf, say."""
    return any(pathlib.Path(path).name.startswith(PROJECT)
               for path in (*(conf.config_file or ()),
                            *(conf.config_dir or ())))


def load(host: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """Read what the host has read; log each unknown option of ours once.

    :param host: the host's configuration, read already
    :raises ConfigurationError: a value that cannot be used
    """
    conf = project_conf.new()
    conf([], project=PROJECT, prog=host.prog,
         default_config_files=list(host.config_file or ()),
         default_config_dirs=list(host.config_dir or ()))
    unknown.warn(conf, in_cinder=True)
    project_conf.check(conf, leave_out=UNUSED)
    for name in set(conf) & set(host) - _COMMAND_LINE - UNUSED:
        value = conf[name]
        if isinstance(value, cfg.ConfigOpts.GroupAttr):
            for option in set(value) & set(host[name]):
                conf.set_default(option, host[name][option], name)
        else:
            conf.set_default(name, host[name])
    return conf
