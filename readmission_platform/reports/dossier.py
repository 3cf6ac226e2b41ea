"""The page that explains a dossier to whoever is handed one.

What belongs here: words. What does not: what is in the dossier (``lifecycle.versions.dossier``).
"""

from collections.abc import Mapping, Sequence

from readmission_platform.evaluation.words import Words

_CONTENTS = {
    "model_card.html": "the model card: what the model is for, and what it is not for",
    "model_card.md": "the same as text",
    "evidence_report.html": "the evidence report: how well it predicts, for whom, and how certain that is",
    "evidence.json": "everything in both, for programs",
    "model_card.json": "the texts that people wrote for the model card; every figure on it comes from evidence.json",
    "gates.json": "the gates it was judged by, with results",
    "approvals.json": "who approved it, each statement with its signature",
    "accepted_drift.json": "accepted drift of this version: by whom and until when, each statement with its signature",
    "policy.json": "the gate policy in force, and the one it was judged by, each with its signature",
    "roles.json": "the roles and public keys in force, with their signature",
    "change_plan.json": "the change plan in force, with its signature",
    "reproduction.json": "the latest attempt to rebuild the model",
    "ledger.jsonl": "every event of the model up to the sealing, one per line, chained by hashes; of other models' "
    "events only their place in the chain",
    "evidence_rows.parquet": "one line per {row}, pseudonymised: outcome, score, fold, subgroups, baselines",
    "champion_rows.parquet": "the same for the version that was in production when this one was judged",
    "manifest.json": "the digest of every other file, signed",
}


def readme(
    *, model: str, words: Words, version: str, environment: str, made_at: str, signer: str, demo: bool,
    files: Sequence[str], not_proven: Sequence[str], notes: Mapping[str, str],
) -> str:  # fmt: skip
    """Return the text.

    Parameters
    ----------
    files
        Names of the other files.
    not_proven
        What the folder alone cannot show, a clause each.
    notes
        Further remarks by heading.
    """
    listed = "\n".join(f"- `{name}`: {_CONTENTS[name].format(**vars(words))}" for name in _CONTENTS if name in files)
    further = "".join(f"\n## {heading}\n\n{text}\n" for heading, text in notes.items())
    signed = f"{signer}, as a demonstration: this signature approves nothing" if demo else signer
    return f"""# Dossier of {model}, version {version}

Made {made_at[:16].replace("T", " ")} UTC in the environment `{environment}`, sealed by {signed}.

**Confidential.** The pages hide every count of 1 to 10 people. `evidence_rows.parquet` and `ledger.jsonl` cannot:
the figures are recomputed from them. They are for whoever verifies the dossier, not for publication.

## What is in it

{listed}

## Verifying it

    readmission dossier verify FOLDER --public-key KEY

It needs the platform installed, but no home, network or database. It checks every byte, the signature and the chain of
the ledger, recomputes every figure that follows from the evidence rows, judges them by the gates again, checks every
approval, and makes every page again. KEY is the signer's public key, obtained from somewhere other than this folder.
The command ends with 0 if everything holds, 3 if something does not, and 2 if there is no such folder.

What the folder alone cannot show:

{"".join(f"- {clause}.{chr(10)}" for clause in not_proven)}{further}"""
