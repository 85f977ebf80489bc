"""The rules that a server must keep, each with what it asks and what is wrong.

May import `probe`, `models` and `wire`.
"""
