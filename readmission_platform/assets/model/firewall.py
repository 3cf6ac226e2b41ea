"""The leakage firewall: what is measured on the way to a version, judged by the gates ``leakage_*`` of the checkout.

What belongs here: stopping a run early. What does not: the measurements (``evaluation.leakage``), and judging a
version: the gates judge the same measurements again, recorded with the version, by the policy in force.
"""

from collections.abc import Mapping

from readmission_platform.config.files import gate_policy
from readmission_platform.config.governance import LimitSet
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform.governance.policy.limits import describe, judge
from readmission_platform.lifecycle.workspace import Workspace

# Name of a frame's attribute with what was measured on it, by metric.
MEASURED = "leakage"


def broken_limits(measured: Mapping[str, float], workspace: Workspace, limit_set: LimitSet) -> dict[str, str]:
    """Return, by metric, the limit of each measurement that does not keep it.

    Raises
    ------
    ConfigurationError
        When ``gates.yaml`` has no gate for a measurement.
    """
    rules = {rule.metric: rule for rule in gate_policy(workspace.settings, workspace.name).gates.values()}
    found = {}
    for metric, value in measured.items():
        rule = rules.get(metric)
        if rule is None or limit_set not in rule.limits:
            raise ConfigurationError(f"gates.yaml of {workspace.name}: no gate limits {metric} on {limit_set} data")
        limits = rule.limits[limit_set]
        if judge({"value": value}, rule, limits).result != "pass":
            found[metric] = describe(limits)
    return found
