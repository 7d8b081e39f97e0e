"""Velithon beside its peers, and what each part of a request costs.

`python -m benchmarks` runs servers under load, `python -m benchmarks.core` calls the application in memory.
"""
