"""Windows along one axis: which elements their taps meet, and whether any meets none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Windows:
    """Windows along one axis of a piece of x: tap t of window i meets i*stride + t*dilation - lead.

    The piece has `size` elements; what a tap meets before or after them is padding.
    """

    count: int
    size: int
    kernel_size: int
    stride: int
    dilation: int
    lead: int

    @property
    def trivial(self) -> bool:
        """Whether window i is element i."""
        return (self.kernel_size, self.stride, self.lead) == (1, 1, 0) and self.count == self.size

    @property
    def overlap(self) -> bool:
        """Whether two windows share an element.

        With c the common divisor of stride and dilation, tap stride / c of a window meets what tap
        0 of the window dilation / c further on does; closer ones share nothing.
        """
        common = math.gcd(self.stride, self.dilation)
        return self.stride // common < self.kernel_size and self.dilation // common < self.count

    def taps(self) -> Iterator[tuple[slice, slice]]:
        """Yield for each tap that meets x the windows where it does, and the elements they meet."""
        end, s, d = self.lead + self.size, self.stride, self.dilation
        first = max(ceil_div(self.lead - (self.count - 1) * s, d), 0)
        last = min(ceil_div(end, d), self.kernel_size)
        taps: Sequence[int] = range(first, last)
        if last - first > self.count * (self.size + 1):  # nearly all in the padding
            taps = sorted({t for i in range(self.count) for t in self._held(i)})
        for t in taps:
            low = max(ceil_div(self.lead - t * d, s), 0)
            high = min(ceil_div(end - t * d, s), self.count)
            if low < high:
                start = low * s + t * d - self.lead
                yield slice(low, high), slice(start, start + (high - low - 1) * s + 1, s)

    def alone(self) -> slice:
        """Return what the first window holds: all there is to know where it is the only one."""
        held = self._held(0)
        if not held:
            return slice(0, 0)
        start, stop = (t * self.dilation - self.lead for t in (held.start, held.stop - 1))
        return slice(start, stop + 1, self.dilation)

    def empty_window(self) -> int | None:
        """Return a window that holds no element, or None."""
        if self.size == 0:
            return 0
        early = min(ceil_div(self.lead, self.stride), self.count)  # so many start before x
        if early and ceil_div(self.lead, self.dilation) >= self.kernel_size:
            return 0
        if self.dilation > self.size:
            # Taps may step over x. Windows differ in where they land until they repeat, and at
            # most `size` places are x's: so many windows show it.
            for i in range(min(early, self.size + 1)):
                if (i * self.stride - self.lead) % self.dilation >= self.size:
                    return i
        late = ceil_div(self.lead + self.size, self.stride)  # the first that starts after x
        return late if late < self.count else None

    def _held(self, i: int) -> range:
        """Return the taps of window i that meet x."""
        start = self.lead - i * self.stride
        first, last = ceil_div(start, self.dilation), ceil_div(start + self.size, self.dilation)
        return range(max(first, 0), min(last, self.kernel_size))


def ceil_div(a: int, b: int) -> int:
    """Return a / b rounded up."""
    return -(-a // b)
