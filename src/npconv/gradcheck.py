"""Does a gradient belong to its function?  A check along random directions, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv.dtypes import as_array
from npconv.errors import ProblemError
from npconv.integers import integer

_UNIT = 2.0**-53
_EPS = 6e-6  # about the cube root of the spacing of float64 at 1
_NOISE = 64  # roundings that f may make an output element before a difference counts
_Row = tuple[str, str, str, str, str]


def gradcheck(
    f: Callable[..., Any],
    grad: Callable[..., Any],
    *inputs: ArrayLike,
    directions: int = 3,
    eps: float = _EPS,
    rtol: float = 1e-6,
    seed: int = 0,
) -> bool:
    """Compare a gradient with central differences of its function, along random directions.

    ::

        <grad_i, v>  ==  <g, f(.., x_i + h v, ..) - f(.., x_i - h v, ..)> / (2 h)

    for each input x_i by itself, with v and g drawn from the normal distribution.  True, and
    nothing printed, when all agree; else False and one line for each pair that differs.

    Parameters
    ----------
    f : callable
        ``f(*inputs)`` returns one array of real or complex numbers, any shape.
    grad : callable
        ``grad(grad_out, *inputs)`` returns a tuple or list with one gradient an input, each in its
        input's shape; None for an input that is not to be checked.  For a single input the array
        alone will do.  grad_out has the shape of f's result.
    *inputs : array_like
        Where to check.  f and grad get copies as float64 (complex128 where complex), in the same
        memory order.
    directions : int
        Pairs of v and g for each input.
    eps : float
        The step h as a share of the input's largest magnitude (of 1 where the input is all zero).
    rtol : float
        Largest difference allowed, relative to the larger of the two numbers.
    seed : int
        Of the random numbers: the same arguments give the same answer.

    Returns
    -------
    bool
        Whether every pair agrees.  A gradient with NaN or Inf in it does not.

    Raises
    ------
    ProblemError
        Where there is nothing to compare: a wrong number of gradients or the wrong shape, no
        gradient at all, inputs or results of f that are not finite.

    Notes
    -----
    Costs 1 + directions * (1 + 2 * len(inputs)) calls, whatever the size of the inputs: a sum over
    all entries is compared, not each entry, so a wrong entry is seen but not located.  One entry
    of n that is off by a share p moves that sum by about p / sqrt(n) of its size.

    A central difference is off by h**2 f'''/6, its truncation, and by the rounding of f over h.
    The default eps, 6e-6, about the cube root of float64's spacing, makes both about 4e-11, so
    rtol = 1e-6 leaves room for sums of many terms.  Besides rtol the test allows what rounding
    in f itself may cost, 64 units of each output element over h.  A map that is linear in each of
    its inputs, as convolution and average pooling are, has no truncation at all: any eps up to 1
    is right, and a larger one has less rounding.

    f must compute in float64 throughout: the rounding of float32 alone is 1e-2 over that step.
    Maximum pooling has kinks: where two elements of a window are closer than 2 h |v| the
    difference is no derivative.  Check it on values that lie well apart, as
    ``rng.permutation(size)`` does, not on ties.

    Products are not conjugated, as everywhere in npconv: with complex inputs f must be holomorphic
    and grad its transpose, not its adjoint.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import conv, conv_grad, gradcheck
    >>> rng = np.random.default_rng(0)
    >>> x, weight = rng.standard_normal((2, 3, 7, 6)), rng.standard_normal((4, 3, 3, 2))
    >>> def f(x, weight):
    ...     return conv(x, weight, stride=2, padding=1)
    >>> def grad(grad_out, x, weight):
    ...     return conv_grad(grad_out, x, weight, stride=2, padding=1)[:2]
    >>> gradcheck(f, grad, x, weight)
    True
    >>> def wrong(grad_out, x, weight):
    ...     grad_x, grad_weight = grad(grad_out, x, weight)
    ...     return grad_x, 1.01 * grad_weight
    >>> gradcheck(f, wrong, x, weight, directions=1)
    input            direction  analytic  numeric  relative difference
    1  (4, 3, 3, 2)          0       ...      ...              9.9e-03
    False
    """
    try:
        directions = integer(directions, "directions", least=1)
        for name, value in (("eps", eps), ("rtol", rtol)):
            if not (isinstance(value, (int, float)) and 0 < value < math.inf):
                raise ProblemError(f"{name} is {value!r}, and must be a number above 0.")
        arrays = [_double(value, f"input {i}") for i, value in enumerate(inputs)]
        rows = _rows_that_differ(f, grad, arrays, directions, eps, rtol, seed)
    except ProblemError as error:
        if error.where:  # raised by a call that f or grad makes
            raise
        shapes = [(f"input {i}", str(np.shape(value))) for i, value in enumerate(inputs)]
        raise error.at("gradcheck", shapes) from None
    if rows:
        print(_table(rows))
    return not rows


def _rows_that_differ(
    f: Callable[..., Any],
    grad: Callable[..., Any],
    inputs: list[np.ndarray],
    directions: int,
    eps: float,
    rtol: float,
    seed: int,
) -> list[_Row]:
    rng = np.random.default_rng(seed)
    if not inputs:
        raise ProblemError("there is no input to check.", fix="gradcheck(f, grad, x, ...)")
    out = _value(f, inputs)
    rows = []
    for direction in range(directions):
        grad_out = _normal(rng, out)
        grads = _gradients(grad, grad_out, inputs)
        for i, (x, analytic) in enumerate(zip(inputs, grads, strict=True)):
            v = _normal(rng, x)
            if analytic is None:
                continue
            step = eps * (float(np.abs(x).max(initial=0.0)) or 1.0)
            above, below = (
                _value(f, [*inputs[:i], end, *inputs[i + 1 :]])
                for end in (x + step * v, x - step * v)
            )
            slope = _dot(analytic, v)
            difference = _dot(grad_out, (above - below) / (2 * step))
            noise = _NOISE * _UNIT * _dot(np.abs(grad_out), np.abs(above) + np.abs(below)).real
            larger = max(abs(slope), abs(difference))
            apart = abs(slope - difference)
            if not apart <= rtol * larger + noise / (2 * step):
                label = f"{i}  {x.shape}"
                rows.append(
                    (
                        label,
                        str(direction),
                        _text(slope),
                        _text(difference),
                        f"{apart / larger:.1e}",
                    )
                )
    return rows


def _double(value: ArrayLike, name: str) -> np.ndarray:
    """Return value as a new array of float64 or complex128, in its own memory order."""
    array = as_array(value, name)
    wide = np.complex128 if array.dtype.kind == "c" else np.float64
    doubled = np.array(array, wide, order="K", copy=True, subok=False)
    if not np.isfinite(doubled).all():
        raise ProblemError(
            f"{name} has NaN or Inf in it, and no difference can be taken there.",
            fix="check at finite numbers",
        )
    return doubled


def _value(f: Callable[..., Any], inputs: list[np.ndarray]) -> np.ndarray:
    # Copies both ways: f may write to its inputs, or return the same buffer again.
    return _double(f(*(x.copy(order="K") for x in inputs)), "the result of f")


def _gradients(
    grad: Callable[..., Any], grad_out: np.ndarray, inputs: list[np.ndarray]
) -> list[np.ndarray | None]:
    given = grad(grad_out.copy(order="K"), *(x.copy(order="K") for x in inputs))
    if not isinstance(given, (tuple, list)):
        given = (given,)
    if len(given) != len(inputs):
        raise ProblemError(
            f"grad gave {len(given)} gradients, there are {len(inputs)} inputs.",
            rule="a tuple or list of one gradient an input, None where there is nothing to check",
        )
    if all(value is None for value in given):
        raise ProblemError("every gradient is None: there is nothing to check.")
    grads: list[np.ndarray | None] = []
    for i, (value, x) in enumerate(zip(given, inputs, strict=True)):
        array = None if value is None else as_array(value, f"gradient {i}")
        if array is not None and array.shape != x.shape:
            raise ProblemError(
                f"gradient {i} has shape {array.shape}, its input {x.shape}.",
                rule="a gradient has the shape of its input",
            )
        grads.append(array)
    return grads


def _normal(rng: np.random.Generator, like: np.ndarray) -> np.ndarray:
    values = rng.standard_normal(like.shape)
    if like.dtype.kind == "c":
        values = values + 1j * rng.standard_normal(like.shape)
    normal = np.empty_like(like)
    normal[...] = values
    return normal


def _dot(a: np.ndarray, b: np.ndarray) -> complex:
    with np.errstate(all="ignore"):  # a gradient may hold anything: what differs is shown
        return complex(np.sum(a * b))


def _text(value: complex) -> str:
    return f"{value:.10e}" if value.imag else f"{value.real:.10e}"


def _table(rows: list[_Row]) -> str:
    head = ("input", "direction", "analytic", "numeric", "relative difference")
    lines = [head, *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if k == 0 else text.rjust(width)
            for k, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
