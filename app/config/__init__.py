"""Files and environment to checked settings; the JSON Schema; where each value comes from.

May import `identity`, `exchange` and the packages below them.
"""
