"""Score ascent: what is scored, the ways to climb it, and what was found."""
