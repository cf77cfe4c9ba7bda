"""
Change the core in thousands of small ways, and count the changes that no test of the core notices.

``python -m tests.mutation --sample 400 --seed 2`` from the root of a clone; without ``--sample`` every mutant is tried,
which takes hours. mutmut makes and runs the mutants (its settings are in pyproject.toml, its work in ``mutants/``);
this draws a sample from all files of the core by their share, asks survivors again with all random examples, and
ends with an exit code of 1 where fewer than ``--least`` per cent were noticed. One process; Linux and macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CORE = Path("mutants/src/payaid_entitlements/core")
#: A pattern that makes mutmut write all mutants, and run next to nothing.
FEW = "payaid_entitlements.core.values*"
#: What mutmut notes of a mutant: a test failed; the tests took far too long, as in a loop without an end.
KILLED, TIMEOUT = {1, 3}, {-24, 24, 36, 152, 255}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=str(__doc__).splitlines()[1])
    parser.add_argument("--sample", type=int, help="how many mutants; all where it is left out")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--least", type=float, default=90.0, help="per cent that must be noticed")
    wanted = parser.parse_args()

    run([FEW], examples=4)
    chosen = sample(outcomes(), wanted.sample, random.Random(wanted.seed))
    run(chosen, examples=4)
    found = {name: outcomes()[name] for name in chosen}
    survivors = [name for name in chosen if found[name] not in KILLED | TIMEOUT]
    if survivors:  # without names all mutants would run
        run(survivors, examples=100)
        again = outcomes()
        # mutmut measured the tests with few examples: what takes too long now is no loop without an end.
        found |= {name: again[name] for name in survivors if again[name] in KILLED}
    return told(found, wanted.seed, wanted.least)


def run(names: Sequence[str], *, examples: int) -> None:
    """Try mutants by their names, whatever is known of them."""
    environment = {**os.environ, "MUTATION_EXAMPLES": str(examples)}
    subprocess.run([sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names], env=environment, check=False)


def outcomes() -> dict[str, int | None]:
    """The exit code of each mutant's tests by its name; None for one that was not tried."""
    found: dict[str, int | None] = {}
    for file in sorted(CORE.rglob("*.meta")):
        found |= json.loads(file.read_text())["exit_code_by_key"]
    return found


def sample(known: Mapping[str, int | None], size: int | None, chance: random.Random) -> list[str]:
    """Draw from each module its share, and at least three."""
    by_module: dict[str, list[str]] = {}
    for name in sorted(known):
        by_module.setdefault(name.partition(".x")[0], []).append(name)
    if size is None:
        return sorted(known)
    chosen: list[str] = []
    for names in by_module.values():
        share = max(3, round(size * len(names) / len(known)))
        chosen += chance.sample(names, min(len(names), share))
    return chosen


def told(found: Mapping[str, int | None], seed: int, least: float) -> int:
    """Print the figure and the survivors."""
    killed = sum(code in KILLED for code in found.values())
    timeouts = sum(code in TIMEOUT for code in found.values())
    survivors = sorted(name for name, code in found.items() if code not in KILLED | TIMEOUT)
    share = 100 * (killed + timeouts) / max(1, len(found))
    print("\nsurvivors (`mutmut show NAME` shows one):")
    print(*(f"  {name}" for name in survivors), sep="\n")
    print(f"{len(found)} mutants of the core, seed {seed}: {killed} killed, {timeouts} timed out, ", end="")
    print(f"{len(survivors)} survived: {share:.1f} % noticed (at least {least:g} %)")
    return 0 if share >= least else 1


if __name__ == "__main__":
    raise SystemExit(main())
