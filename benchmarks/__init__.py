"""Speed of training and feature extraction beside the ways of public code."""

import os

# Threads of OpenMP that spin while they wait cost much on a machine that does other work too.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
