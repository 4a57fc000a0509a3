"""Our own branch and bound, for ensembles whose leaves touch at most three free cells.

Such an ensemble is a sum of tables over one, two or three cells, which is solved as a weighted
constraint satisfaction problem: tables.factors states it, tables.ascent finds a good point,
tables.elimination and tables.dual remove labels that cannot be part of a better one, and
tables.search enumerates what remains.
"""
