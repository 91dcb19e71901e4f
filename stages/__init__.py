"""DVC's stages, one module each."""

import os
import signal
import sys

from pipeline.base.arithmetic import pin
from pipeline.base.call import check_call

# Before torch is loaded: threads that wait for each other then sleep instead of spinning, which on
# a machine that is busy with something else was 1.5 times as fast, and changes no number.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Imports take seconds. Ctrl-C then ends a stage without a traceback; `run` listens from its start.
if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

pin(sys.argv)  # before any library that computes is loaded
check_call()
