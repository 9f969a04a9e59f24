# SPDX-License-Identifier: Apache-2.0

"""What ``upgrade check`` looks at in Cinder as well as without it."""

from collections.abc import Collection

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from manageable_snapshots import conf as config
from manageable_snapshots.conf import secrecy
from manageable_snapshots.conf import unknown
from manageable_snapshots import exception
from manageable_snapshots.policies import check


def configuration(conf: cfg.ConfigOpts, *, in_cinder: bool,
                  leave_out: Collection[str] = frozenset(),
                  ) -> upgradecheck.Result:
    """Every option has a value that it can have, and is known."""
    try:
        config.check(conf, leave_out)
    except exception.ConfigurationError as error:
        return upgradecheck.Result(upgradecheck.Code.FAILURE, str(error))
    return _warning_of(unknown.options(conf, in_cinder=in_cinder))


def policy(conf: cfg.ConfigOpts, *, in_cinder: bool) -> upgradecheck.Result:
    """The policy files exist, and so do the rules in them."""
    try:
        return _warning_of(check.mistakes(conf, in_cinder=in_cinder))
    except exception.ConfigurationError as error:
        return upgradecheck.Result(upgradecheck.Code.FAILURE, str(error))


def secrets(conf: cfg.ConfigOpts) -> upgradecheck.Result:
    """Passwords are not for every user of the machine to read."""
    exposed = secrecy.exposed(conf)
    if exposed:
        return upgradecheck.Result(
            upgradecheck.Code.WARNING,
            'Every user of this machine may read these files, which have '
            f'passwords: {", ".join(exposed)}.')
    return upgradecheck.Result(upgradecheck.Code.SUCCESS)


def _warning_of(sentences: Collection[str]) -> upgradecheck.Result:
    if sentences:
        return upgradecheck.Result(
            upgradecheck.Code.WARNING, ' '.join(sentences))
    return upgradecheck.Result(upgradecheck.Code.SUCCESS)
