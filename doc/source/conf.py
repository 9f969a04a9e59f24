# SPDX-License-Identifier: Apache-2.0

"""Sphinx configuration of the documentation."""

import pathlib
import sys

# The command pages take the argument parsers from there.
sys.path.insert(0, str(pathlib.Path(__file__).parent / '_ext'))

project = 'manageable-snapshots'
copyright = 'manageable-snapshots developers'
language = 'en'

extensions = [
    'openstackdocstheme',
    'oslo_config.sphinxconfiggen',
    'oslo_config.sphinxext',
    'oslo_policy.sphinxext',
    'oslo_policy.sphinxpolicygen',
    'sphinx.ext.autodoc',
    'sphinxarg.ext',
]

templates_path = ['_templates']

sphinxarg_full_subcommand_name = True

config_generator_config_file = (
    '../../etc/manageable_snapshots/config-generator.conf')
sample_config_basename = '_static/manageable_snapshots'
policy_generator_config_file = (
    '../../etc/manageable_snapshots/policy-generator.conf')
sample_policy_basename = '_static/manageable_snapshots'

html_theme = 'openstackdocs'
# The search field of this documentation; the templates hide the one that
# searches all of OpenStack.
html_theme_options = {'sidebar_search': True}
html_last_updated_fmt = '%Y-%m-%d'
openstackdocs_auto_name = False
pygments_style = 'native'
autodoc_typehints = 'description'

man_pages = [
    (f'reference/commands/{name}', name, description,
     ['manageable-snapshots developers'], 1)
    for name, description in (
        ('manageable-snapshots',
         'run the API and a worker in one process'),
        ('manageable-snapshots-api', 'serve the API'),
        ('manageable-snapshots-volume', 'serve the configured backends'),
        ('manageable-snapshots-manage',
         'manage and audit the database'),
        ('manageable-snapshots-status',
         'check the configuration and the database before a start'),
    )]

# A reference to an option or a page that does not exist is a warning, which
# -W turns into an error. Python names are exempt: most are of libraries.
nitpicky = True
nitpick_ignore_regex = [(r'py:.*', r'.*')]
