"""Measurements beside peers; `make bench-NAME` runs one."""

import os

# As the command line does (pipeline/cli.py): read once, when libgomp is loaded with torch.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
