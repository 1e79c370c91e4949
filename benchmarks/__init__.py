"""Benchmarks: each runs as `python -m benchmarks.NAME --json FILE`, and takes `--quick`.

Every benchmark writes one flat JSON of figures with units in their names, plus the machine and the versions.
"""
