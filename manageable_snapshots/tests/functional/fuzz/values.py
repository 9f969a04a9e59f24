# SPDX-License-Identifier: Apache-2.0

"""What the examples are made of: what is there, what is hostile, the rest."""

from hypothesis import strategies as st

from manageable_snapshots.tests.functional import fixtures

HOST = f'{fixtures.HOST}@{fixtures.BACKEND}'

#: what has broken a parser somewhere
HOSTILE = (
    '', '\0', '\r\n', 'a\r\nSet-Cookie: b', '%', '%s', '%(x)s',
    '{0.__class__}', '_', "'", '"', '\\', '`id`', '$(id)', '; id',
    '../../etc/passwd', '//x', "' OR 1=1 --", '\ud800', '\U0010ffff',
    '\u202e', '\x85', 'x' * 70000, '9' * 5000, '-1', '1e400', 'NaN', 'null',
    '[' * 3000, '{"a":' * 3000)
KNOWN = (
    'monday', 'tuesday', f'snapshot-{fixtures.SNAPSHOT}', HOST,
    f'{HOST}#{fixtures.BACKEND}', fixtures.VOLUME, fixtures.OTHERS_VOLUME,
    fixtures.SNAPSHOT, fixtures.PROJECT, fixtures.OTHER_PROJECT, 'reference',
    'size:desc,reference:asc', '{"source-name": "monday"}')
VOLUMES = (fixtures.VOLUME, fixtures.SECOND_VOLUME, fixtures.OTHERS_VOLUME,
           fixtures.LOST_VOLUME, fixtures.DYING_VOLUME)

TEXT = (st.sampled_from(HOSTILE) | st.sampled_from(KNOWN)
        | st.text(max_size=30))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (st.lists(inner, max_size=3)
                   | st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8)
REFERENCES = st.fixed_dictionaries({}, optional={
    name: TEXT | JSON for name in ('source-name', 'name', 'source-id')})
