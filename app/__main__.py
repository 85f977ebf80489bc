"""`python -m app` and the `idaas-sidecar` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
