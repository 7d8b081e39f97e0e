"""One way to publish and subscribe for each framework, for `benchmarks.channels`."""
