# SPDX-License-Identifier: Apache-2.0

"""LVM: the driver, the commands that it runs and their reports."""

from manageable_snapshots.drivers.lvm.driver import LVMDriver

__all__ = ('LVMDriver',)
