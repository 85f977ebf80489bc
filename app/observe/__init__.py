"""Observation by an operator: the log, standard error without blocking, and the counters behind the metrics.

May import `core`.
"""
