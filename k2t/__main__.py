"""`python -m k2t` is `k2t`."""

import gc
import sys

# A conversion makes many objects and no garbage: searching for some takes a tenth of its time.
gc.set_threshold(200_000)

from k2t.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
