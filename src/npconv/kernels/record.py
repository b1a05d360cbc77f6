"""What an entry reads of a record, in the type of its elements."""

from __future__ import annotations

from npconv.kernels.inner import inner


@inner
def of_type(number, like):
    """Return a number in the type of `like`, where it is one of that type's."""
    return type(like)(number)
