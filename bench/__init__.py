"""Benchmarks anyone can run; each prints ours, the peer's or the floor, and the ratio of one run."""
