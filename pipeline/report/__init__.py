"""The page and the table that tell what a run did, made from its folder alone."""
