"""`python -m k2t` is `k2t`."""

import sys

from k2t.cli import main

if __name__ == "__main__":
    sys.exit(main())
