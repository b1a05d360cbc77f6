"""The plan of a call, made from shapes, printed, measured, and run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from npconv import planner
from npconv.api import shortcut
from npconv.api.shortcut import Shortcut
from npconv.arguments import bias_array, byte_count, example, facts, filled
from npconv.door import OPERANDS, Door, open_door
from npconv.errors import ProblemError, UnsupportedError
from npconv.layout import canonical_order, in_letters
from npconv.problem import DIRECTIONS


def plan(
    x_shape: ArrayLike,
    weight_shape: ArrayLike,
    dtype: DTypeLike = "float32",
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    layout: str | None = None,
    weight_layout: str | None = None,
    padding_mode: str = "zeros",
    direction: str = "forward",
    precision: str = "strict",
    effort: str = "estimate",
    memory_limit: int | None = None,
    packed: bool = False,
) -> CallablePlan:
    """Choose the algorithm for a convolution or one of its gradients, and say why.

    Parameters
    ----------
    x_shape, weight_shape : tuple of int, or ndarray
        Shapes, or the arrays themselves: then their dtypes and memory order count too.
    dtype : dtype
        Of what is given by its shape alone.
    direction : {"forward", "input_grad", "weight_grad"}
        What is sought: out, x's gradient or weight's.  x_shape and weight_shape are always those
        of the forward convolution.
    effort : {"estimate", "measure"}
        Estimate from costs, unless the problem was measured before and `npconv.wisdom` has it; or
        time the candidates (on random data where only shapes are given), and remember it.
    memory_limit : int, optional
        Most bytes of workspace an algorithm may hold; leaner ones are taken instead.
    packed : bool
        Whether the weight stays as it is for many calls and is given as ``plan.pack(weight)``
        returns it: what packing takes is then not counted.
    stride, padding, dilation, groups, layout, weight_layout, padding_mode, precision
        As in `conv`.

    Returns
    -------
    Plan
        ``print(plan)`` shows one row an algorithm: chosen, seconds, workspace, or the reason it
        cannot.  ``plan(x, weight, bias)`` runs it; that of a gradient is run by
        ``plan(grad_out, weight)`` or ``plan(grad_out, x)``.

    Raises
    ------
    ProblemError
        Where shapes or geometry do not fit.
    MemoryError
        Where no algorithm fits in `memory_limit` or in memory.

    Examples
    --------
    >>> import npconv
    >>> p = npconv.plan((8, 64, 56, 56), (64, 64, 3, 3), padding=1)
    >>> p.problem.out_size
    (56, 56)
    >>> p.algorithm in npconv.algorithms()
    True
    >>> p = npconv.plan((8, 64, 56, 56), (64, 64, 3, 3), direction="weight_grad", padding=1)
    >>> p.problem.result_shape  # canonical: (*kernel_size, I, O)
    (3, 3, 64, 64)
    """
    geometry = (stride, padding, dilation, groups, padding_mode)
    try:
        for argument, value, choices in (
            ("effort", effort, planner.EFFORTS),
            ("direction", direction, DIRECTIONS),
        ):
            if value not in choices:
                names = " or ".join(f'"{one}"' for one in choices)
                raise ProblemError(f"{argument} {value!r} is not {names}.")
        if packed and direction != "forward":
            raise ProblemError(f"a plan of the {direction} packs no weight.")
        limit = None if memory_limit is None else byte_count(memory_limit)
        x, weight = (
            example(given, dtype, name)
            for given, name in ((x_shape, "x_shape"), (weight_shape, "weight_shape"))
        )
        if effort == "measure":
            planner.compile_kernels()
        door = Door(x, weight, layout, weight_layout)
        if direction != "forward":
            grad, _ = door.example_out(door.problem(precision, geometry))
            door = Door(x, weight, layout, weight_layout, direction, grad)
        chosen = door.plan("auto", limit, precision, None, geometry, bool(packed))
        if effort == "measure":
            given = {"x": x_shape, "weight": weight_shape, "grad_out": None}
            for name in OPERANDS[direction][:2]:
                if not isinstance(given[name], np.ndarray):
                    setattr(door, name, filled(getattr(door, name)))
            chosen = door.measure(chosen)
    except (ProblemError, UnsupportedError) as error:
        shapes = {"x_shape": x_shape, "weight_shape": weight_shape}
        raise error.at("plan", facts(shapes, layout, weight_layout)) from None
    except MemoryError as error:
        raise MemoryError(f"plan: {error}") from None
    letters = (door.axes.x_letters, door.axes.weight_letters)
    return CallablePlan(chosen.problem, chosen.rows, chosen.effort, chosen.packed, letters)


@dataclass(frozen=True, repr=False, eq=False)
class PackedWeight:
    """A weight of its own, transformed for one plan: what `CallablePlan.pack` returns."""

    plan: CallablePlan
    weight: np.ndarray
    packed: Any
    own: np.ndarray  # what weight shows

    def __repr__(self) -> str:
        return f"PackedWeight({self.weight.shape}, {self.weight.dtype}, {self.plan.algorithm})"


@dataclass(frozen=True, repr=False)
class CallablePlan(planner.Plan):
    """A plan that knows the layouts it was made for, so that it can be called on arrays."""

    letters: tuple[str, str] = ("NCHW", "OIHW")
    quick: list[Shortcut] = field(default_factory=list, init=False, compare=False)

    __str__ = planner.Plan.__str__

    def pack(self, weight: ArrayLike) -> PackedWeight:
        """Transform a weight once, for ``plan(x, packed)`` any number of times.

        The weight is copied: changing the array afterwards does not change what was packed.

        Raises
        ------
        ProblemError
            Where weight is not of the plan's shape and dtype, or the plan is of a gradient.

        Examples
        --------
        >>> import numpy as np, npconv
        >>> x, weight = np.ones((1, 8, 9, 9), "float32"), np.ones((4, 8, 3, 3), "float32")
        >>> plan = npconv.plan(x, weight)
        >>> packed = plan.pack(weight)
        >>> np.array_equal(plan(x, packed), plan(x, weight))
        True
        """
        problem = self.problem
        layout, weight_layout = self.letters
        x_shape = in_letters(problem.x_shape, canonical_order(layout)[0], layout)
        try:
            if problem.direction != "forward":
                raise ProblemError(f"a plan of the {problem.direction} packs no weight.")
            own = np.array(weight, copy=True, subok=False)
            shown = own.view()
            shown.flags.writeable = False
            door = Door(example(x_shape, problem.x_dtype, "x"), own, layout, weight_layout)
            self._check(door)
            return PackedWeight(self, shown, planner.Plan.pack(self, door.weight), own)
        except (ProblemError, UnsupportedError) as error:
            given = {"weight": weight}
            raise error.at("plan.pack", facts(given, layout, weight_layout)) from None

    def _check(self, door: Door) -> None:
        problem = self.problem
        shapes = [a.shape for a in door.operands]
        dtypes = [a.dtype for a in door.operands]
        if shapes != problem.operand_shapes or dtypes != problem.operand_dtypes:
            raise ProblemError(
                "the plan was made for other arrays.",
                rule=f"planned for {problem.describe()}",
                fix="make a plan for these arrays, or call npconv.conv",
            )

    def __call__(
        self,
        first: ArrayLike,
        second: ArrayLike | PackedWeight,
        bias: ArrayLike | None = None,
        out: np.ndarray | None = None,
        activation: str | None = None,
    ) -> np.ndarray:
        """Run the plan on arrays of the shapes and dtypes it was made for.

        They are (x, weight), (grad_out, weight) or (grad_out, x), by the plan's direction; weight
        may be what `pack` returned.  Raises
        ProblemError where they are others; shapes and errors are otherwise those of `conv`,
        `conv_input_grad` and `conv_weight_grad`.
        """
        kernel, packed = second, None
        if isinstance(second, PackedWeight) and second.plan is self:
            kernel, packed = second.own, second.packed
        if type(first) is type(kernel) is np.ndarray:
            for quick in self.quick:
                if (
                    first.shape == quick.first_shape
                    and kernel.shape == quick.second_shape
                    and (activation is quick.activation or _same(activation, quick.activation))
                    and quick.fits(first, kernel, bias, out)
                ):
                    made = quick(first, kernel, bias, out, packed)
                    if made is not None:
                        return made
                    break
        problem = self.problem
        layout, weight_layout = self.letters
        order, weight_order = canonical_order(layout)
        sought = {
            "input_grad": in_letters(problem.x_shape, order, layout),
            "weight_grad": in_letters(problem.weight_shape, weight_order, weight_layout),
        }.get(problem.direction)
        try:
            if isinstance(second, PackedWeight) and second.plan is not self:
                raise ProblemError(f"the weight was packed for {second.plan.problem.describe()}.")
            array = second.weight if isinstance(second, PackedWeight) else second
            door = open_door(problem.direction, first, array, sought, layout, weight_layout)
            added = bias_array(bias, *(a.dtype for a in door.operands))
            self._check(door)
            if isinstance(second, PackedWeight):
                door.packed = second.packed
            result = door.run(self, added, out, activation)
            found = shortcut.make(first, kernel, self, door, activation)
            if found is not None:
                self.quick[:] = shortcut.added(found, self.quick)
            return result
        except (ProblemError, UnsupportedError) as error:
            shown = second.weight if isinstance(second, PackedWeight) else second
            given = dict(zip(OPERANDS[problem.direction], (first, shown), strict=False))
            raise error.at("plan", facts(given, layout, weight_layout)) from None


def _same(activation: Any, known: str | None) -> bool:
    return type(activation) is str and activation == known
