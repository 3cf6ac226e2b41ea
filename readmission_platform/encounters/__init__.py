"""The hospital's feed: what an encounter is, who counts, and how files of discharges and outcomes are taken in."""
