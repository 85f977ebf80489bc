"""The webhooks as a server: requests of the API server in, decisions of `webhook` out.

May import `webhook`, `observe`, `system` and `core`.
"""
