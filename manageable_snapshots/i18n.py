# SPDX-License-Identifier: Apache-2.0

"""Marks messages that users read for translation (oslo.i18n)."""

import oslo_i18n

DOMAIN = 'manageable_snapshots'

_translators = oslo_i18n.TranslatorFactory(domain=DOMAIN)

_ = _translators.primary
