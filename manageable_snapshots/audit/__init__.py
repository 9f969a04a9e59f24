# SPDX-License-Identifier: Apache-2.0

"""Compare what rows, quota and backends say, and mend what is safe to mend.

Workers may be running meanwhile. So what looks wrong is looked at again, on
the backend first and in the row after that, before it counts; and what is
mended is changed in a transaction that holds the row and has looked once more.
"""
