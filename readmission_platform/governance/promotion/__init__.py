"""The decision to move a version: conditions, approvals, rollback, and verification afterwards."""
