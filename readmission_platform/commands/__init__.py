"""Subcommands of ``readmission``, by what they are about."""
