"""Is anybody lost, or on two lists, whatever was corrected and in whatever order it was scored?

    python -m readmission_platform_tests.benchmarks.corrections [--sequences 2000] [--processes 2]

Ends with 0 when every sequence came to rest as it should, with 1 when one did not: its seed and what was wrong are
printed. What belongs here: how many are tried. What does not: a sequence (``support.corrections``).
"""

import argparse
import sys
from multiprocessing import get_context

from rich.progress import track

from readmission_platform.commands.terminal import console
from readmission_platform_tests.support.corrections import tried


def _tried(seed: int) -> tuple[int, list[str]]:
    return seed, tried(seed)


def main() -> int:
    """Try sequences; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    out, wrong = console(), {}
    with get_context("forkserver").Pool(asked.processes) as pool:
        found = pool.imap_unordered(_tried, range(asked.sequences), chunksize=5)
        for seed, problems in track(found, "sequences", total=asked.sequences, console=console(stderr=True)):
            if problems:
                wrong[seed] = problems
                out.print(f"seed {seed}: {'; '.join(problems)}", markup=False)
    out.print(f"{asked.sequences} sequences of corrections, {len(wrong)} with an encounter lost or on two lists")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
