"""The webhooks as a server, which answers requests of the API server with decisions of `webhook`.

May import `webhook`, `observe`, `system` and `core`.
"""
