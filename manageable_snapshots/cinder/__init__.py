# SPDX-License-Identifier: Apache-2.0

"""What is loaded into Cinder: a filter for its API, a manager for its worker.

Only this package imports Cinder, and only its manager and driver do.
"""
