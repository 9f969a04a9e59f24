# SPDX-License-Identifier: Apache-2.0

"""Cinder's API as far as a client of the extension needs it."""
