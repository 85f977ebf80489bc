"""
`doctor`: walks the path that a credential takes, and says at each step what is wrong and how to fix it.

The steps use the program's own loader, HTTP client, identities and exchanges, so what a step reports is what `serve`
would meet. Imports everything below it except `main`; only the command line imports it.
"""
