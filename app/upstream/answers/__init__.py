"""Error answers: what a complete answer says, what its code means, and this program's error for it.

`errors` converts an answer. It reads the words with `error_words` and `challenge`, and looks up a server's own code in
`server_codes`.

May import modules of `upstream` beside the subpackages, and `core`.
"""
