# SPDX-License-Identifier: Apache-2.0

"""The release notes, for Sphinx."""

project = 'Manageable Snapshots Release Notes'
copyright = 'manageable-snapshots developers'
language = 'en'

templates_path = ['../../doc/source/_templates']

extensions = ['openstackdocstheme', 'reno.sphinxext']

html_theme = 'openstackdocs'
html_theme_options = {'sidebar_search': True}
openstackdocs_auto_name = False
pygments_style = 'native'
