"""Sessions on disk: the encrypted credential cache, and credential files for programs that read only files.

May import `config` and the packages below it, but not `refresh`.
"""
