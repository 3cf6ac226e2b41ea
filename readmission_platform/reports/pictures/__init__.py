"""Pictures for people who decide about patients rather than about models."""
