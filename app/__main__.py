"""The entry point of `python -m app` and of the `idaas-sidecar` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
