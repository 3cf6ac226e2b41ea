"""Discharges as FHIR R4 resources."""
