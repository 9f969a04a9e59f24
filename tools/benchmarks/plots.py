# SPDX-License-Identifier: Apache-2.0

"""Plots of what a list costs, as SVG."""

from collections.abc import Sequence
import pathlib
import re
import statistics

from benchmarks import results


def draw(rows: Sequence[results.Row], folder: pathlib.Path) -> None:
    """Write ``first-page.svg`` and ``following-page.svg``.

    Nothing is written where ``scale`` was not run.
    """
    # A heavy import, of a package that nothing else needs.
    import matplotlib
    matplotlib.use('svg')
    matplotlib.rcParams['svg.hashsalt'] = 'the same file each time'
    first, driver, following = {}, {}, {}
    for row in rows:
        if row.bench != 'scale':
            continue
        size = int(re.search(r'[0-9,]+', row.what).group().replace(',', ''))
        if row.what.endswith('by the driver alone'):
            first[size], driver[size] = row.ours, row.stock
        elif row.what.startswith('following page'):
            following[1000], following[size] = row.stock, row.ours
    if first:
        _plot(folder / 'first-page.svg', 'First page, seconds',
              {'driver and inventory': first, 'driver alone': driver})
        _plot(folder / 'following-page.svg', 'Following page, seconds',
              {'page of 100': following})


def _plot(path: pathlib.Path, title: str,
          series: dict[str, dict[int, Sequence[float]]]) -> None:
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout='constrained')
    for label, values in series.items():
        sizes = sorted(values)
        middle = [statistics.median(values[size]) for size in sizes]
        spread = [[median - min(values[size]) for size, median
                   in zip(sizes, middle)],
                  [max(values[size]) - median for size, median
                   in zip(sizes, middle)]]
        axes.errorbar(sizes, middle, spread, marker='o', capsize=3,
                      label=label)
    axes.set(title=title, xlabel='snapshots', xscale='log')
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(path, metadata={'Date': None, 'Creator': None})
    pyplot.close(figure)
