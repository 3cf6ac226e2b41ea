"""Importing a model's package costs little: the daily path and the code location import all of them.

What belongs here: trying it in a process of its own. What does not: anything else about a model.
"""

import subprocess
import sys

HEAVY = ("sklearn", "scipy", "skops", "mlflow", "dagster", "matplotlib", "deltalake", "evidently", "torch")


def import_is_light(package: str) -> str | None:
    """Say which heavy libraries importing a package (by its dotted name) loads; None if none of them."""
    script = f"import sys, {package}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"it cannot be imported: {done.stderr.strip().splitlines()[-1]}"
    return f"importing it loads {done.stdout.strip().replace(' ', ', ')}" if done.stdout.strip() else None
