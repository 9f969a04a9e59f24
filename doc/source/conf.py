# SPDX-License-Identifier: Apache-2.0

"""The documentation, for Sphinx."""

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
]

config_generator_config_file = (
    '../../etc/manageable_snapshots/config-generator.conf')
sample_config_basename = '_static/manageable_snapshots'
policy_generator_config_file = (
    '../../etc/manageable_snapshots/policy-generator.conf')
sample_policy_basename = '_static/manageable_snapshots'

html_theme = 'openstackdocs'
html_last_updated_fmt = '%Y-%m-%d'
openstackdocs_auto_name = False
pygments_style = 'native'
autodoc_typehints = 'description'

# A reference to an option or a page that does not exist is a warning, hence
# an error; Python's names are not, since those of libraries are not here.
nitpicky = True
nitpick_ignore_regex = [(r'py:.*', r'.*')]
