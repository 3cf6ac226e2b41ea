"""The data scientists' room: pure functions on data frames, from encounters to calibrated risks."""
