"""The hospital's feed: what an encounter is, where encounters come from, who counts, and what is known of the past."""
