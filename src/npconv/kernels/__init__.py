"""The compiled loops: the only room that imports Numba.  Addresses and integers in, numbers out."""
