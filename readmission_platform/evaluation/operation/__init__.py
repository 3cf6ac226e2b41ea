"""Figures of daily operation and live performance, and what of them may be shown."""
