# SPDX-License-Identifier: Apache-2.0

"""Measures this project beside stock Cinder; ``tools/bench`` runs it.

``results`` is what a bench returns and how it is shown; each other module is
a bench, a function ``run(turns, work)``.
"""
