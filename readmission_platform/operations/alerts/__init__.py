"""Alerts from signal to notification: rules, states, records, outbox, channels."""
