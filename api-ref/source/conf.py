# SPDX-License-Identifier: Apache-2.0

"""The API reference, for Sphinx."""

project = 'Manageable Snapshots API Reference'
copyright = 'manageable-snapshots developers'
language = 'en'

templates_path = ['../../doc/source/_templates']

extensions = ['openstackdocstheme', 'os_api_ref']

html_theme = 'openstackdocs'
html_theme_options = {'sidebar_mode': 'toc', 'sidebar_search': True}
openstackdocs_auto_name = False
pygments_style = 'native'
