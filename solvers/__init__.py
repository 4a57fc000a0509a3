"""How it is searched: solvers, surrogates and the exact optimiser of tree ensembles."""
