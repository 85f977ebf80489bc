"""
`doctor`: follows the path of a credential, and reports at each step what is wrong and how to fix it.

The steps use the program's own loader, HTTP client, identities and exchanges, so a step reports the same errors that
`serve` would meet. May import every package below it except `main`. Only the command line imports this package.
"""
