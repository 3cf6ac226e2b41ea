"""The service on a cluster, as plain data: manifests that follow from the roll-out that is open."""
