"""Gate policy and change plan: what must hold, what is in force, and how two of them differ."""
