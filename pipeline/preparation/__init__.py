"""Everything before the first query: images, scorers, the scored training set."""
