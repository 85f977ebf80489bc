"""Reads files and environment as checked settings with the origin of each value; makes the JSON Schema.

May import `identity`, `exchange` and the packages below them.
"""
