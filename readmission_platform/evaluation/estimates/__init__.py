"""From evidence rows to estimates with intervals: discrimination, calibration, usefulness, fairness."""
