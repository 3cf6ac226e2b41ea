"""What became of the codes of a day that came in another system: how it is said, and the check on it.

What belongs here: metadata and the check of the asset of delivered rows. What does not: translating and counting
(``intake.translation``), the limits (``monitoring.yaml`` of the model).
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import check_result, nothing_to_check
from readmission_platform.config.monitoring import TranslationConfig
from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.foundation.counting import percent
from readmission_platform.intake.contract import RowContract
from readmission_platform.intake.translation import codes_by_kind, translators
from readmission_platform.lifecycle.days.intake import TakenIn

CHECK = "codes_translated_well"


def codes_rule(model: ModelAssets) -> dict[str, str]:
    """Return the check by name and rule; none for a model whose feed translates nothing."""
    systems = sorted({each.system for each in translators(model.contract.feed).values()})
    rule = f"Few codes of the days are lost in translation from {' or '.join(systems)}, and some have an equivalent."
    return {CHECK: rule} if systems else {}


def codes_taken_in(taken: TakenIn, feed: RowContract) -> pd.DataFrame:
    """Return what became of the codes of the days that were taken in, by day."""
    return codes_by_kind(taken.delivered[taken.delivered[taken.day].isin(taken.accounts[taken.day])],
                         taken.translations, feed)  # fmt: skip


def said_of(codes: pd.DataFrame, feed: RowContract) -> str:
    """Say which shares of codes came as they are, and were translated exactly, inexactly or not at all.

    Of shares that could be of 1 to 10 people, which may have several codes each, it says only whether there were any.
    """
    counts = codes.sum()
    smallest = (SMALLEST_SHOWN - 1) * len(translators(feed)) + 1
    few = bool(((counts > 0) & (counts < smallest)).any())
    shares = {str(kind): "none" if not count else "some" if few else percent(count / counts.sum())
              for kind, count in counts.items()}  # fmt: skip
    return ", ".join(f"{kind} {share}" for kind, share in shares.items())


def codes_results(
    taken: TakenIn, feed: RowContract, limits: TranslationConfig | None, rule: dict[str, str]
) -> Iterator[dg.AssetCheckResult]:
    """Yield the result of the check, where there is one; without limits there is nothing to check."""
    for check, words in rule.items():
        if limits is None:
            yield nothing_to_check(check, "monitoring.yaml of the model has no limits on translation")
            continue
        codes = codes_taken_in(taken, feed)
        total = max(int(codes.to_numpy().sum()), 1)
        lost, inexact = codes["lost"].sum() / total, codes["inexact"].sum() / total
        yield check_result(
            check,
            lost <= limits.lost_share and inexact <= limits.inexact_share,
            observed=said_of(codes, feed) if len(codes) else "no codes",
            rule=f"{words} Lost: at most {percent(limits.lost_share)}. "
            f"Inexact: at most {percent(limits.inexact_share)}.",
            action="`code_translations` shows how, by day. Ambiguous codes need their decimal point, or files with a "
            "single coding system; other codes may be newer than the mappings.",
            severity=dg.AssetCheckSeverity.WARN,
        )
