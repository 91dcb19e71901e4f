"""DVC's stages, one module each."""

import os

from pipeline.base.call import check_call

# Before torch is loaded: threads that wait for each other then sleep instead of spinning, which on
# a machine that is busy with something else was 1.5 times as fast, and changes no number.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
check_call()
