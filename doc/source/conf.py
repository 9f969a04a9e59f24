# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
