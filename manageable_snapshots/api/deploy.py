# SPDX-License-Identifier: Apache-2.0

"""The door to PasteDeploy's factories; ``api-paste.ini`` names them."""

from manageable_snapshots.standalone.api.deploy import app_factory
from manageable_snapshots.standalone.api.deploy import auth_factory
from manageable_snapshots.standalone.api.deploy import auth_token_factory
from manageable_snapshots.standalone.api.deploy import fault_factory
from manageable_snapshots.standalone.api.deploy import keystone_context_factory
from manageable_snapshots.standalone.api.deploy import load_app
from manageable_snapshots.standalone.api.deploy import noauth_factory
from manageable_snapshots.standalone.api.deploy import oslo_app_factory
from manageable_snapshots.standalone.api.deploy import oslo_filter_factory
from manageable_snapshots.standalone.api.deploy import prefix_factory
from manageable_snapshots.standalone.api.deploy import versions_factory

__all__ = (
    'app_factory', 'auth_factory', 'auth_token_factory', 'fault_factory',
    'keystone_context_factory', 'load_app', 'noauth_factory',
    'oslo_app_factory', 'oslo_filter_factory', 'prefix_factory',
    'versions_factory')
