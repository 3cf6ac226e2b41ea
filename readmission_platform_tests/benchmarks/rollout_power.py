"""Do roll-outs take back what is worse, and nothing else?

    python -m readmission_platform_tests.benchmarks.rollout_power [--rounds N] [--seed N] [--json]

Simulated canaries of as many requests in each arm as the steps with a control arm ask for in production, judged after
every request by the lines that judge real ones, and noticed at the next look, after every 25 requests of each arm:

- **without a difference**: how many are taken back, by any test. At most 5 %. Beside it stands how many a test takes
  back that are just within what it tolerates, and what a z test of the share of errors would do that is repeated at
  every look.
- **with one**: how many are found, and after how many requests. Errors of 5 % instead of 1 % at a median of at most
  300, a shift of the risks of .3 standard deviations in 95 % at least.
- **A/B roll-outs**: in how many the interval of the difference holds the truth at all looks together, and how many find
  a difference of the size that the sample was planned for.

Ends with 0 when all of that holds, else with 1. What belongs here: made-up requests, and counting. What does not: a
copy of anything that judges.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import get_args

import numpy as np
from rich import box
from rich.progress import track
from rich.table import Table
from scipy.special import ndtri

from readmission_platform.commands.terminal import console
from readmission_platform.config.environment import Settings
from readmission_platform.config.files import environment_config
from readmission_platform.evaluation.sequential.bets import average, mean_evidence
from readmission_platform.evaluation.sequential.findings import Test
from readmission_platform.evaluation.sequential.inputs import category_evidence
from readmission_platform.evaluation.sequential.matured import sample_size
from readmission_platform.evaluation.sequential.running import running_evidence
from readmission_platform.lifecycle.rollouts.judging import limits_of

LIMITS = limits_of(environment_config(Settings(environment="production")).rollouts.limits)
# The steps at 10 % and at 50 % have a control arm.
REQUESTS = 2 * LIMITS.min_samples
LOOK = 25
COLUMNS = 20
SHARES = (0.4, 0.3, 0.15, 0.1, 0.05)
MOVED = (0.25, 0.3, 0.3, 0.1, 0.05)
# Beta with the mean of the cohort's risks.
RISKS = (2.0, 14.0)
AT_A_TIME = 250
ONE_SIDED_Z = 1.645
AB_POWER = 0.8

Numbers = np.ndarray
Values = Callable[[tuple[int, int], np.random.Generator], Numbers]


@dataclass(frozen=True)
class Arm:
    """How an arm's requests are drawn."""

    failed: float = 0.01
    withheld: float = 0.02
    slower: float = 1.0
    # The share of requests that take 20 times as long.
    hanging: float = 0.0
    shift: float = 0.0
    spread: float = 1.0
    first_column: tuple[float, ...] = SHARES


@dataclass(frozen=True)
class Scenario:
    """A canary with a difference, the test that should find it, and the least share found and the largest median."""

    name: str
    test: Test
    candidate: Arm
    control: Arm = Arm()
    found: float = 0.0
    median: float = math.inf


@dataclass(frozen=True)
class AbScenario:
    """A metric of each row in both arms, between 0 and 1, and how much lower its mean is in the candidate's."""

    name: str
    control: Values
    candidate: Values
    effect: float


PLAIN = Arm()
SCENARIOS = (
    Scenario("errors 5 % instead of 1 %", "failed", Arm(failed=0.05), median=300),
    Scenario("errors 2 % instead of 1 %", "failed", Arm(failed=0.02)),
    Scenario("withheld 8 % instead of 2 %", "withheld", Arm(withheld=0.08), found=0.95),
    Scenario("withheld 2 % instead of 8 %", "withheld", PLAIN, Arm(withheld=0.08), found=0.95),
    Scenario("latency 50 % longer", "latency", Arm(slower=1.5), found=0.95),
    Scenario("3 % of the requests hang", "latency_tail", Arm(hanging=0.03)),
    Scenario("latency beyond its ceiling in 3 %", "latency_ceiling", Arm(slower=10, hanging=0.03)),
    Scenario("risks higher by .3 sd", "scores", Arm(shift=0.3), found=0.95),
    Scenario("risks lower by .3 sd", "scores", Arm(shift=-0.3), found=0.95),
    Scenario("risks spread 1.5 times as wide", "scores", Arm(spread=1.5)),
    Scenario("one of 20 input columns moves by 15 %", "inputs", Arm(first_column=MOVED)),
)


# As far from the control arm, or as bad, as is still allowed.
AT_THE_LIMIT: dict[Test, Arm] = {
    "failed_ceiling": Arm(failed=LIMITS.error_ceiling),
    "withheld_ceiling": Arm(withheld=LIMITS.withheld_ceiling),
    "latency": Arm(slower=1 + LIMITS.latency_tolerance),
    "scores": Arm(shift=LIMITS.score_tolerance),
}


def drawn(test: Test, arm: Arm, shape: tuple[int, int], draw: np.random.Generator) -> Numbers:
    """Draw what a test is about for an arm, shape (rounds, requests)."""
    if test in ("failed", "failed_ceiling"):
        return draw.random(shape) < arm.failed
    if test in ("withheld", "withheld_ceiling"):
        return draw.random(shape) < arm.withheld
    if test == "scores":
        mean, deviation = RISKS[0] / sum(RISKS), math.sqrt(math.prod(RISKS) / sum(RISKS) ** 2 / (sum(RISKS) + 1))
        return mean + (draw.beta(*RISKS, size=shape) - mean) * arm.spread + arm.shift * deviation
    slow = np.where(draw.random(shape) < arm.hanging, 20.0, 1.0)
    return np.exp(draw.normal(0.5, 0.5, shape)) * arm.slower * slow


def running_counts(shares: Sequence[float], shape: tuple[int, int], draw: np.random.Generator) -> Numbers:
    """Draw counts by category at each look, shape (rounds, looks, categories)."""
    return np.cumsum(draw.multinomial(LOOK, shares, size=(shape[0], shape[1] // LOOK)), axis=1)


def input_logs(control: Arm, candidate: Arm, shape: tuple[int, int], draw: np.random.Generator) -> Numbers:
    """Return the log evidence of all input columns at each look, shape (rounds, looks)."""
    columns = [(candidate.first_column, control.first_column), *[(SHARES, SHARES)] * (COLUMNS - 1)]
    return average([category_evidence(*(running_counts(each, shape, draw) for each in pair)) for pair in columns])


def noticed(test: Test, control: Arm, candidate: Arm, rounds: int, draw: np.random.Generator) -> Numbers:
    """Return after how many requests of each arm a test finds the candidate worse, shape (rounds,); infinite: never."""
    shape, enough = (rounds, REQUESTS), math.log(1 / LIMITS.alpha_of(test))
    if test == "inputs":
        hit = input_logs(control, candidate, shape, draw) >= enough
        return np.where(hit.any(axis=1), (hit.argmax(axis=1) + 1) * LOOK, np.inf)
    hit = running_evidence(test, *(drawn(test, arm, shape, draw) for arm in (control, candidate)), LIMITS) >= enough
    return np.where(hit.any(axis=1), -(-(hit.argmax(axis=1) + 1) // LOOK) * LOOK, np.inf)


def found_after(test: Test, control: Arm, candidate: Arm, rounds: int, draw: np.random.Generator) -> Numbers:
    """Return the same as :func:`noticed` for any number of rounds."""
    return np.concatenate([noticed(test, control, candidate, size, draw) for size in parts(rounds)])


def repeated_z(rounds: int, draw: np.random.Generator) -> Numbers:
    """Return in which rounds a one-sided z test of the errors, repeated at each look, finds a candidate worse."""
    shape = (rounds, REQUESTS)
    theirs, ours = (np.cumsum(drawn("failed", PLAIN, shape, draw), axis=1)[:, LOOK - 1 :: LOOK] for _ in range(2))
    requests = np.arange(LOOK, shape[1] + 1, LOOK)
    pooled = (theirs + ours) / (2 * requests)
    error = np.sqrt(np.maximum(2 * pooled * (1 - pooled) / requests, 1e-12))
    return ((ours - theirs) / requests / error > ONE_SIDED_Z).any(axis=1)


@dataclass(frozen=True)
class Quiet:
    """Canaries without a difference: the share taken back, and by which test; then those just within its limit."""

    rounds: int
    taken_back: float
    by_test: dict[str, float]
    at_the_limit: dict[str, float]
    repeated_z: float

    @property
    def holds(self) -> bool:
        return self.taken_back <= LIMITS.alpha


@dataclass(frozen=True)
class Found:
    """Canaries with a difference: the share found within ``within`` requests of each arm, and the median until then."""

    name: str
    test: str
    within: int
    found: float
    median: float | None
    holds: bool


@dataclass(frozen=True)
class AbFound:
    """A/B roll-outs of the planned size: whether the interval held at all looks, and how many found the difference."""

    name: str
    per_arm: int
    one_look: int
    held: float
    found: float
    holds: bool


def quiet(rounds: int, draw: np.random.Generator) -> Quiet:
    """Simulate canaries without a difference, by every test."""
    tests, by_test, repeated = get_args(Test), [], []
    for size in parts(rounds):
        by_test.append([np.isfinite(noticed(test, PLAIN, PLAIN, size, draw)) for test in tests])
        repeated.append(repeated_z(size, draw))
    found = np.concatenate(by_test, axis=1)
    shares = {test: float(share) for test, share in zip(tests, found.mean(axis=1), strict=True)}
    within = {
        str(test): float(np.isfinite(found_after(test, PLAIN, arm, rounds, draw)).mean())
        for test, arm in AT_THE_LIMIT.items()
    }
    return Quiet(rounds, float(found.any(axis=0).mean()), shares, within, float(np.concatenate(repeated).mean()))


def loud(scenario: Scenario, rounds: int, draw: np.random.Generator) -> Found:
    """Simulate canaries with a difference, by the test that should find it."""
    after = found_after(scenario.test, scenario.control, scenario.candidate, rounds, draw)
    found, median = float(np.isfinite(after).mean()), float(np.median(after))
    holds = found >= scenario.found and median <= scenario.median
    return Found(scenario.name, scenario.test, REQUESTS, found, median if median < np.inf else None, holds)


def parts(rounds: int) -> list[int]:
    """Cut the rounds into parts that fit into the cache."""
    return [min(AT_A_TIME, rounds - start) for start in range(0, rounds, AT_A_TIME)]


def rates(rate: float) -> Values:
    """Rows of which each has an event with probability ``rate``."""
    return lambda shape, draw: (draw.random(shape) < rate).astype(float)


def brier(too_high: float) -> Values:
    """The squared errors of risks that are right but for a constant; its square is what it costs."""

    def values(shape: tuple[int, int], draw: np.random.Generator) -> Numbers:
        risks = draw.beta(*RISKS, size=shape)
        return (risks + too_high - (draw.random(shape) < risks)) ** 2

    return values


AB_SCENARIOS = (
    AbScenario("event rate 8 % instead of 12 %", rates(0.12), rates(0.08), 0.04),
    AbScenario("Brier score without a bias of .15", brier(0.15), brier(0.0), 0.15**2),
)


def matured(scenario: AbScenario, rounds: int, draw: np.random.Generator) -> AbFound:
    """Simulate A/B roll-outs until the planned sample size; rows of the metric lie between 0 and 1."""
    arms, effect, alpha = (scenario.control, scenario.candidate), scenario.effect, LIMITS.alpha
    deviation = math.sqrt(np.mean([values((1, 200_000), draw).var() for values in arms]))
    per_arm = sample_size(effect, deviation, alpha=alpha, power=AB_POWER).per_arm
    one_look = math.ceil(2 * ((ndtri(1 - alpha / 2) + ndtri(AB_POWER)) * deviation / effect) ** 2)
    enough, held, found = math.log(2 / alpha), [], []
    for size in parts(rounds):
        lower = arms[0]((size, per_arm), draw) - arms[1]((size, per_arm), draw)
        outside = [mean_evidence(sign * lower, least=-1, mean=sign * effect) for sign in (1, -1)]
        held.append(~np.any([(logs >= enough).any(axis=1) for logs in outside], axis=0))
        found.append(mean_evidence(lower, least=-1, mean=0.0)[:, -1] >= enough)
    shares = [float(np.concatenate(each).mean()) for each in (held, found)]
    holds = shares[0] >= 1 - alpha and shares[1] >= AB_POWER
    return AbFound(scenario.name, per_arm, one_look, shares[0], shares[1], holds)


@dataclass(frozen=True)
class Power:
    """All that was simulated."""

    rounds: int
    quiet: Quiet
    canaries: tuple[Found, ...]
    ab: tuple[AbFound, ...]

    @property
    def holds(self) -> bool:
        return all(each.holds for each in (self.quiet, *self.canaries, *self.ab))


def find_power(rounds: int, *, seed: int, shown: bool) -> Power:
    """Simulate everything; ``shown`` with a progress bar."""
    draws = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(1 + len(SCENARIOS) + len(AB_SCENARIOS)))
    steps: list[Callable[[np.random.Generator], Quiet | Found | AbFound]] = [
        partial(quiet, rounds),
        *(partial(loud, scenario, rounds) for scenario in SCENARIOS),
        *(partial(matured, scenario, rounds) for scenario in AB_SCENARIOS),
    ]
    watched = track(steps, "simulating", console=console(stderr=True), disable=not shown)
    results = [step(draw) for step, draw in zip(watched, draws, strict=True)]
    return Power(
        rounds,
        next(each for each in results if isinstance(each, Quiet)),
        tuple(each for each in results if isinstance(each, Found)),
        tuple(each for each in results if isinstance(each, AbFound)),
    )


def print_report(power: Power) -> None:
    out = console()
    requests, still = REQUESTS, power.quiet
    table = Table("without a difference", "taken back", "just within the limit", "at most", box=box.SIMPLE)
    table.add_row("by any test", f"{still.taken_back:.1%}", "", f"{LIMITS.alpha:.0%}")
    for test in get_args(Test):
        within = f"{still.at_the_limit[test]:.2%}" if test in still.at_the_limit else ""
        table.add_row(f"  {test}", f"{still.by_test[test]:.2%}", within, f"{LIMITS.alpha_of(test):.2%}")
    table.add_row("z test of the errors alone, repeated", f"{still.repeated_z:.1%}", "", "")
    out.print(f"{power.rounds:,} canaries of {requests:,} requests in each arm, looked at after every {LOOK}")
    out.print(table)
    table = Table("difference", "test", "found", "median requests", "", box=box.SIMPLE)
    for each in power.canaries:
        median = "-" if each.median is None else f"{each.median:.0f}"
        table.add_row(each.name, each.test, f"{each.found:.1%}", median, "" if each.holds else "MISSED")
    out.print(table)
    table = Table("A/B roll-out", "rows of each arm", "with one look", "held", "found", "", box=box.SIMPLE)
    for ab in power.ab:
        table.add_row(ab.name, f"{ab.per_arm:,}", f"{ab.one_look:,}", f"{ab.held:.1%}", f"{ab.found:.1%}",
                      "" if ab.holds else "MISSED")  # fmt: skip
    out.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate and report; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000, help="simulated roll-outs of each kind")
    parser.add_argument("--seed", type=int, default=7, help="of all draws")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    asked = parser.parse_args(arguments)
    if asked.rounds < 1:
        parser.error("--rounds has to be at least 1")
    began = time.monotonic()
    power = find_power(asked.rounds, seed=asked.seed, shown=True)
    if asked.json:
        print(json.dumps({"holds": power.holds, **asdict(power)}, indent=1))
    else:
        print_report(power)
        console(stderr=True).print(f"{time.monotonic() - began:.0f} s")
    return 0 if power.holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
