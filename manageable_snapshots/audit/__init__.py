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

"""Compare what rows, quota and backends say, and mend what is safe to mend.

Workers may be running meanwhile. So what looks wrong is looked at again, on
the backend first and in the row after that, before it counts; and what is
mended is changed in a transaction that holds the row and has looked once more.
"""
