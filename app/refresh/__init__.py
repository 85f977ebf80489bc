"""The loop that keeps a profile's credentials fresh, and the pipeline that fetches them.

May import `config` and the packages below it, but not `store`.
"""
