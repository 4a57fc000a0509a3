"""The exact tree optimiser against peers, and how its time grows (docs/tree-benchmarks.md)."""
