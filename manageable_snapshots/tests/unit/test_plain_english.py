# SPDX-License-Identifier: Apache-2.0

"""Search the project's text for phrases that a reader has to decode.

Add a phrase when a review finds one. Replace the subject by its name: request,
caller, operator, worker, backend, row.
"""

import ast
from collections.abc import Iterator
import pathlib
import re
import tokenize

from oslotest import base

_ROOT = pathlib.Path(__file__).parents[3]
_PACKAGE = _ROOT / 'manageable_snapshots'

#: Regular expressions; a blank matches any white space.
PHRASES = (
    # The subject has no name.
    'who asks',
    'whoever',
    'anothers',
    'one of it',
    'the other ones?',
    'of theirs',
    "of one's own",
    "is another project's",
    'whose an adopted',
    'in whose quota',
    'of which kind',
    'somebody who knows',
    'who knew',
    'nobody knows',
    'believes everyone',
    'makes administrators of them',
    "administrator's sight",
    'has heard of',
    'dies with it',
    # Something is or is not, instead of a statement about it.
    '(?:what|which|that) (?:is|are) none',
    'are none of',
    'there (?:is|are) none',
    'that there (?:is|are) not',
    r'that there (?:is|are)[.,;:)]',
    r'(?:is|are) no more\s*(?:[.,;:)]|$)',
    'what is left of',
    'what it is about',
    'whether a snapshot is,',
    'of what is none',
    '(?:and|it|that) will do[.,;:)]',
    # The statement is negative or its condition comes first.
    'leaves? out what',
    'have together at most',
    'must have answered',
    'by which it went',
    'for each time that',
    'cannot place',
    'gone by then',
    'in one of some',
    'changed the same',
    'is not given up',
    # A search does not find the term.
    '(?:lets?|letting|be let) go of',
    'see(?:s|ing)? to it',
    'without a look at',
    'starting late',
    'left behind are taken up',
    'thread more',
    "swapped for cinder's",
)
_PATTERN = re.compile(
    r'\b(?:{})'.format('|'.join(
        phrase.replace(' ', r'\s+') + (r'\b' if phrase[-1].isalnum() else '')
        for phrase in PHRASES)), re.IGNORECASE)


def _text(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """Yield the text of a page, a YAML file or a script.

    :returns: line numbers and texts
    """
    yield 1, re.sub(r'^[ \t]*#[ \t]?', '', path.read_text(), flags=re.M)


def _strings_and_comments(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """Yield docstrings, helps, messages and comments of a Python file.

    :returns: line numbers and texts
    """
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    first, block, last = 0, '', 0
    with tokenize.open(path) as source:
        for token in tokenize.generate_tokens(source.readline):
            if token.type != tokenize.COMMENT:
                continue
            line = token.start[0]
            if line != last + 1:
                yield first, block
                first, block = line, ''
            block += token.string.lstrip('#:') + '\n'
            last = line
    yield first, block


def _files(*patterns: str) -> list[pathlib.Path]:
    return sorted(path for pattern in patterns for path in _ROOT.glob(pattern)
                  if path.is_file())


class PlainEnglishTest(base.BaseTestCase):

    def _check(self, files: list[pathlib.Path]) -> None:
        self.assertNotEqual([], files)
        found = []
        for path in files:
            read = _strings_and_comments if path.suffix == '.py' else _text
            for line, text in read(path):
                found += [
                    '{}:{}: {}'.format(
                        path.relative_to(_ROOT),
                        line + text.count('\n', 0, match.start()),
                        ' '.join(match.group().split()))
                    for match in _PATTERN.finditer(text)]
        self.assertEqual([], found, '\n'.join(['', *found]))

    def test_a_phrase_is_found_across_lines_and_comments(self) -> None:
        for text in ('Who asks: the context', 'it is let go of', 'a pool that'
                     '\n   there is not', 'None: there is none'):
            self.assertIsNotNone(_PATTERN.search(text), text)
        for text in ('No more than 5', 'there is no more memory than needed',
                     'the request that there is no quota for'):
            self.assertIsNone(_PATTERN.search(text), text)

    def test_documentation(self) -> None:
        self._check(_files('*.rst', 'doc/source/**/*.rst', 'devstack/*.rst'))

    def test_api_reference(self) -> None:
        self._check(_files('api-ref/source/*.rst', 'api-ref/source/*.inc',
                           'api-ref/source/*.yaml'))

    def test_release_notes(self) -> None:
        self._check(_files('releasenotes/notes/*.yaml',
                           'releasenotes/source/*.rst'))

    def test_specification(self) -> None:
        self._check(_files(
            'manageable_snapshots/tests/functional/gabbits/*.yaml'))

    def test_scripts(self) -> None:
        self._check([
            path for path in _files('.ci/*', 'tools/*', 'tools/rig/*',
                                    'tools/benchmarks/*.py', 'devstack/*',
                                    'tox.ini', 'etc/**/*.ini')
            if path.suffix != '.pyc'])

    def test_code(self) -> None:
        self._check([path for path in sorted(_PACKAGE.rglob('*.py'))
                     if _PACKAGE / 'tests' not in path.parents])
