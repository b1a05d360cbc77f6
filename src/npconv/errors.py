"""The two errors npconv raises for bad arguments, and how their messages are laid out."""

from __future__ import annotations

from collections.abc import Iterable


class _Explained(ValueError):
    """A message in three parts: one sentence with the numbers, the facts, the way out."""

    def __init__(
        self,
        sentence: str,
        rule: str = "",
        fix: str = "",
        where: str = "",
        facts: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(sentence, rule, fix, where, facts)
        self.sentence, self.rule, self.fix = sentence, rule, fix
        self.where, self.facts = where, facts

    def __str__(self) -> str:
        rows = [*self.facts, ("rule", self.rule), ("fix", self.fix)]
        rows = [(name, text) for name, text in rows if text]
        width = max((len(name) for name, _ in rows), default=0)
        head = f"{self.where}: {self.sentence}" if self.where else self.sentence
        return "\n".join([head, *(f"  {name:<{width}}  {text}" for name, text in rows)])

    def at(self, where: str, facts: Iterable[tuple[str, str]]) -> _Explained:
        """Return the same error with the call's name and its arrays' shapes added."""
        return type(self)(self.sentence, self.rule, self.fix, where, tuple(facts))


class ProblemError(_Explained):
    """The arguments do not describe a convolution that exists.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> try:
    ...     npconv.conv(np.ones((8, 4, 32, 32)), np.ones((16, 3, 3, 3)))
    ... except npconv.ProblemError as error:
    ...     print(error)
    conv: x has 4 channels, weight wants 3 (3 per group, groups=1).
      x       (8, 4, 32, 32)    NCHW
      weight  (16, 3, 3, 3)     OIHW
      rule    channels of x == weight's I * groups
      fix     pass weight with I = 4, or groups that divide both channel counts
    """


class UnsupportedError(_Explained):
    """The convolution exists, but what was asked to compute it cannot.

    Examples
    --------
    >>> import numpy as np, npconv
    >>> try:
    ...     npconv.conv(np.arange(9), np.arange(3), layout="W", algorithm="fft")
    ... except npconv.UnsupportedError as error:
    ...     print(str(error).splitlines()[0])
    conv: fft cannot do this: integers are exact, and a transform rounds.
    """
