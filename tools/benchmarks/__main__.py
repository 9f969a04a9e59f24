# SPDX-License-Identifier: Apache-2.0

"""Run benches, and say what came of them."""

import argparse
import importlib
import json
import pathlib
import sys
import traceback

from benchmarks import machine
from benchmarks import plots
from benchmarks import results

NAMES = ('list', 'scale', 'adopt', 'api', 'lvm', 'rows')


def main() -> int:
    parser = argparse.ArgumentParser(prog='tools/bench')
    parser.add_argument('names', nargs='+', choices=NAMES)
    parser.add_argument('--turns', type=int, default=5)
    parser.add_argument('--json', type=pathlib.Path)
    parser.add_argument('--plots', type=pathlib.Path)
    parser.add_argument('--work', type=pathlib.Path, required=True)
    wanted = parser.parse_args()
    if wanted.turns < 1:
        parser.error('--turns must be 1 or more')
    rows: list[results.Row] = []
    failed = []
    for name in dict.fromkeys(wanted.names):
        results.tell(f'{name}: begins')
        bench = importlib.import_module(f'benchmarks.bench_{name}')
        try:
            rows += bench.run(wanted.turns, wanted.work)
        except Exception:
            # The others may have taken an hour.
            traceback.print_exc()
            failed.append(name)
    about = machine.describe()
    print(results.table(rows))
    for key, value in about.items():
        print(f'{key}: {value}')
    if wanted.json:
        wanted.json.write_text(json.dumps(
            {'about': about, 'results': [row.plain() for row in rows]},
            indent=1) + '\n')
    if wanted.plots:
        wanted.plots.mkdir(parents=True, exist_ok=True)
        plots.draw(rows, wanted.plots)
    if failed:
        print('FAILED:', *failed)
        return 2
    return 0 if all(row.reached is not False for row in rows) else 1


if __name__ == '__main__':
    sys.exit(main())
