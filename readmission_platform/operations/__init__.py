"""How the platform runs: observed runs, alerts, and the notifications about them."""
