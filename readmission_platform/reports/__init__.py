"""Reports that are read outside the platform: pages made from plain values, without any patient's."""
