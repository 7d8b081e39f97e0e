"""taskiq's brokers, with what jobs need besides: nothing lost with a worker, jobs that are due later, priorities."""
