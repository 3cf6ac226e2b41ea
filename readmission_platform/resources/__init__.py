"""Where state lives: lake, registry, ledger, landing zone."""
