"""Commands about days: what was delivered, what it was scored with, and how it went."""
