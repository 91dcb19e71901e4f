"""`python -m pipeline`."""

import sys

from pipeline.base.arithmetic import pin
from pipeline.cli import main

if __name__ == "__main__":
    pin(sys.argv)  # before any library that computes is loaded
    main()
