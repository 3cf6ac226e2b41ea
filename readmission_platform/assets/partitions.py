"""The daily partitions of delivered rows and predictions: one per day, keys as text."""

import dagster as dg

from readmission_platform.lifecycle.days.progress import FIRST_DAY

daily_partitions = dg.DailyPartitionsDefinition(start_date=FIRST_DAY)
