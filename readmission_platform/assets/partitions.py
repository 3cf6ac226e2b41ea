"""The daily partitions of discharges and predictions: one per discharge date, keys as text."""

import dagster as dg

FIRST_DAY = "2020-01-01"
daily_partitions = dg.DailyPartitionsDefinition(start_date=FIRST_DAY)
