"""The arguments and help texts of the commands. `common` has what several commands share.

Every start imports all of these modules. May import `core`, and of `cli` only `errors`.
"""
