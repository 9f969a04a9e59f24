# SPDX-License-Identifier: Apache-2.0

"""The release notes, for Sphinx."""

project = 'Manageable Snapshots Release Notes'
copyright = 'manageable-snapshots developers'
language = 'en'

extensions = ['openstackdocstheme', 'reno.sphinxext']

html_theme = 'openstackdocs'
openstackdocs_auto_name = False
pygments_style = 'native'
