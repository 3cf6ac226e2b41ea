"""Roll-outs: how a version comes to answer more and more requests, and how it is taken back."""
