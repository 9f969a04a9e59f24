# SPDX-License-Identifier: Apache-2.0

"""What stands in for Cinder when the service runs on its own."""
