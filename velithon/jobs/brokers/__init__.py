"""taskiq's brokers, extended by redelivery, delayed jobs and priorities.

Redelivery means that a job is not lost when its worker dies.
"""
