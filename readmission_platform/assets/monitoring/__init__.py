"""Assets that watch a live model: drift, live performance, figures."""
