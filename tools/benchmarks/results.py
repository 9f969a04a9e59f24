# SPDX-License-Identifier: Apache-2.0

"""What was measured, against what was wanted."""

from collections.abc import Sequence
import dataclasses
import statistics
import sys
import time
from typing import Any

COLUMNS = ('what', 'stock', 'ours', 'ratio', 'spread', 'target', '')


@dataclasses.dataclass
class Row:
    """One figure, measured several times on both sides.

    :ivar bench: which bench it is of
    :ivar what: a short description
    :ivar unit: of ``stock`` and ``ours``
    :ivar stock: what ours is compared with, a value a turn
    :ivar ours: likewise; the turns belong together
    :ivar least: the ratio that is wanted at least
    :ivar most: the ratio that is wanted at most
    :ivar more_is_better: a rate; the ratio is ours by stock's then too
    :ivar limit: the ratio that nothing in our place can exceed
    """

    bench: str
    what: str
    unit: str
    stock: Sequence[float]
    ours: Sequence[float]
    least: float | None = None
    most: float | None = None
    more_is_better: bool = False
    limit: float | None = None

    @property
    def ratios(self) -> list[float]:
        """Of each turn: how many times as good, or as long with ``most``."""
        ours_by_stock = self.more_is_better or self.most is not None
        return [(ours / stock if ours_by_stock else stock / ours)
                for stock, ours in zip(self.stock, self.ours, strict=True)]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def reached(self) -> bool | None:
        """Whether the median is what is wanted.

        None: nothing is, or it is beyond the limit and cannot be.
        """
        if self.least is not None:
            if self.limit is not None and self.ratio < self.least > self.limit:
                return None
            return self.ratio >= self.least
        if self.most is not None:
            return self.ratio <= self.most
        return None

    def plain(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), 'ratio': self.ratio,
                'reached': self.reached}


def table(rows: Sequence[Row]) -> str:
    """The rows as text; medians, with the range of the ratios."""
    lines = [COLUMNS]
    for row in rows:
        target = ''
        if row.least is not None:
            target = f'>= {row.least:g}'
        elif row.most is not None:
            target = f'<= {row.most:g}'
        lines.append((
            f'{row.bench}: {row.what}',
            f'{statistics.median(row.stock):.4g} {row.unit}',
            f'{statistics.median(row.ours):.4g} {row.unit}',
            f'{row.ratio:.3g}',
            f'{min(row.ratios):.3g} - {max(row.ratios):.3g}', target,
            _verdict(row)))
    widths = [max(map(len, column)) for column in zip(*lines)]
    return '\n'.join('  '.join(
        cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        for line in lines)


def _verdict(row: Row) -> str:
    verdict = {True: 'reached', False: 'MISSED', None: ''}[row.reached]
    if row.limit is not None and row.reached is not True:
        return f'{verdict} the limit is {row.limit:.3g}'.strip()
    return verdict


def tell(text: str) -> None:
    """Say how far it has come."""
    print(time.strftime('%H:%M:%S'), text, file=sys.stderr, flush=True)
