"""What training records of a version, and how a version is rebuilt from that record."""
