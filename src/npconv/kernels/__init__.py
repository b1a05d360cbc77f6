"""The compiled loops: the only room that imports Numba.  Addresses and integers in, numbers out."""


class Broken:
    """Why Numba, which is installed, cannot be imported; "" as long as nothing is known of that."""

    reason = ""
