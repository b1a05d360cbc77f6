"""Random geometries that reach every kernel: their arrays, the calls that take them, answers."""

from dataclasses import dataclass, replace

import numpy as np

import cases
import npconv
import oracle
import oracle_grad

COMPILED = ("small", "indirect", "depthwise", "stencil", "winograd", "auto")
LOOSE = {"strict": 2, "fast": 40}  # times the direct sum's bound, of a tile's largest sum
ACTIVATIONS = {None: (-np.inf, np.inf), "relu": (0, np.inf), "relu6": (0, 6)}
FEW = (1, 1, 2, 3, 4, 5, 7, 8)
MANY = (15, 16, 17, 31, 32, 33, 40, 48, 65)
ORDERS = ("first", "last", "last", "reversed", "strided")
MOST = 1 << 21  # multiply-adds of a geometry


@dataclass
class Drawn:
    """One geometry: shapes as the oracle has them, and how the arrays lie."""

    x_shape: tuple
    weight_shape: tuple
    geometry: dict
    dtype: str
    orders: tuple
    precision: str
    activation: str | None
    bias: bool
    seed: int


def draw(rng):
    """A geometry of at least one output that takes no more than MOST multiply-adds."""
    while True:
        drawn = _draw(rng)
        geometry = {k: drawn.geometry[k] for k in ("stride", "padding", "dilation")}
        sizes = oracle_grad.out_size(drawn.x_shape[2:], drawn.weight_shape[2:], **geometry)
        if min(sizes) > 0 and drawn.x_shape[0] * np.prod((*sizes, *drawn.weight_shape)) <= MOST:
            return drawn


def _draw(rng):
    ndim = rng.choice((1, 2, 2, 2, 3))
    top = {1: 40, 2: 13, 3: 7}[ndim]
    channels, outputs = (rng.choice(rng.choice((FEW, MANY))) for _ in range(2))
    groups = rng.choice((1, 1, 1, 1, 2, 3))
    if rng.random() < 0.1:
        groups, channels, outputs = rng.choice(MANY), 1, rng.choice((1, 1, 2))
    mode = rng.choice(("zeros", "zeros", "zeros", *list(oracle.PAD_MODES)[1:]))
    square = rng.choice((True, False))
    sizes, kernels, strides, holes, pads = [], [], [], [], []
    kernel, stride = rng.choice((1, 2, 3, 3, 3, 4, 5, 7)), rng.choice((1, 1, 1, 2))
    for _ in range(ndim):
        if not square:
            kernel, stride = (
                rng.choice((1, 2, 3, 3, 4, 5, 6, 7, 8, 11)),
                rng.choice((1, 1, 2, 3, 5)),
            )
        size, hole = rng.randint(1, top), rng.choice((1, 1, 1, 1, 2, 3))
        before, after = (rng.choice((-2, -1, 0, 0, 1, 1, 2, 3, kernel)) for _ in range(2))
        short = hole * (kernel - 1) + 1 - (size + before + after)
        if short > 0 and rng.random() < 0.5:
            before += short
        elif short > 0:
            size += short
        for values, value in zip(
            (sizes, kernels, strides, holes, pads),
            (size, kernel, stride, hole, (before, after)),
            strict=True,
        ):
            values.append(value)
    geometry = {
        "stride": tuple(strides), "padding": tuple(pads), "dilation": tuple(holes),
        "groups": groups, "padding_mode": mode,
    }  # fmt: skip
    return Drawn(
        (rng.randint(1, 3), groups * channels, *sizes),
        (groups * outputs, channels, *kernels),
        geometry,
        rng.choice(("float32", "float32", "float32", "float64", "float16")),
        tuple(rng.choice(ORDERS) for _ in range(4)),
        rng.choice(("strict", "fast")),
        rng.choice((None, None, *ACTIVATIONS)),
        rng.random() < 0.5,
        rng.randrange(1 << 30),
    )


def integers(drawn):
    """Small integers for each operand, in int64."""
    case = cases.Case(drawn.x_shape, drawn.weight_shape, drawn.geometry, drawn.seed)
    x, weight, bias = case.arrays("int64", bias=True)
    geometry = {k: drawn.geometry[k] for k in ("stride", "padding", "dilation")}
    size = oracle_grad.out_size(drawn.x_shape[2:], drawn.weight_shape[2:], **geometry)
    rng = np.random.default_rng(drawn.seed + 1)
    grad_out = oracle.small_integers(rng, (len(x), len(weight), *size), "int64")
    return {"x": x, "weight": weight, "grad_out": grad_out, "bias": bias}


def lay(values, order, store=lambda dense: dense):
    """The values as an array that lies in memory as `order` says.

    store: gets a dense array, returns it where it is to lie.
    """
    if order == "last":
        return np.moveaxis(store(np.moveaxis(values, 1, -1).copy()), -1, 1)
    if order == "reversed":
        return np.flip(store(np.flip(values).copy()))
    if order == "strided":
        wide = np.full((*values.shape[:-1], 2 * values.shape[-1] - 1), 77, values.dtype)
        wide[..., ::2] = values
        return store(wide)[..., ::2]
    return store(values.copy())


def laid(drawn, values, store=lambda dense: dense):
    """The operands in the geometry's dtype, each in its order; bias is None where there is none."""
    orders = dict(
        zip(("x", "weight", "grad_out", "bias"), (*drawn.orders[:3], "first"), strict=True)
    )
    return {
        name: lay(values[name].astype(drawn.dtype), order, store)
        if name != "bias" or drawn.bias
        else None
        for name, order in orders.items()
    }


def answers(drawn, values):
    """What comes out, by the oracle: of conv with its bias and activation, and both gradients."""
    x, weight, grad_out = (values[name] for name in ("x", "weight", "grad_out"))
    bias = values["bias"] if drawn.bias else None
    return {
        "conv": np.clip(
            oracle.direct(x, weight, bias, **drawn.geometry), *ACTIVATIONS[drawn.activation]
        ),
        "input_grad": oracle_grad.input_grad(grad_out, weight, x.shape, **drawn.geometry),
        "weight_grad": oracle_grad.weight_grad(grad_out, x, weight.shape, **drawn.geometry),
    }


def calls(drawn, arrays, name):
    """Yield (what, which answer, the call that takes an `out`) for an algorithm."""
    x, weight, grad_out, bias = (arrays[n] for n in ("x", "weight", "grad_out", "bias"))
    letters = cases.Case(drawn.x_shape, drawn.weight_shape, {}, 0).letters
    planned = {**letters, **drawn.geometry, "precision": drawn.precision}
    keywords = {**planned, "algorithm": name}
    ended = {} if drawn.activation is None else {"activation": drawn.activation}

    def packed(out):
        made = plan_of(name, x, weight, **planned)
        return made(x, made.pack(weight), bias, out=out, **ended)

    yield "conv", "conv", lambda out: npconv.conv(x, weight, bias, out=out, **ended, **keywords)
    yield "conv packed", "conv", packed
    yield (
        "conv_input_grad",
        "input_grad",
        lambda out: npconv.conv_input_grad(grad_out, weight, x.shape, out=out, **keywords),
    )
    yield (
        "conv_weight_grad",
        "weight_grad",
        lambda out: npconv.conv_weight_grad(grad_out, x, weight.shape, out=out, **keywords),
    )
    if keywords.pop("padding_mode") == "zeros":
        yield (
            "conv_transpose",
            "input_grad",
            lambda out: npconv.conv_transpose(
                grad_out, weight, out_size=x.shape[2:], out=out, **keywords
            ),
        )


def plan_of(name, x, weight, **keywords):
    """A plan in which the algorithm named is the chosen one."""
    made = npconv.plan(x, weight, **keywords)
    if name == "auto":
        return made
    rows = tuple(row._replace(chosen=row.algorithm == name) for row in made.rows)
    if reason := next(row.why_not for row in rows if row.chosen):
        raise npconv.UnsupportedError(reason)
    return replace(made, rows=rows)


def complaint(drawn, name, which, out, want, values):
    """What is wrong with a result: nothing, or a text.

    The direct sum of small integers is exact; a transform has the error of its largest tile.
    """
    want = want.astype(drawn.dtype)
    if np.array_equal(out, want):
        return ""
    if name in ("small", "indirect", "depthwise", "stencil"):
        return f" differs in {np.sum(out != want)} elements"
    sizes = {key: np.abs(value) for key, value in values.items()}
    most = max(answers(replace(drawn, activation=None), sizes)[which].max(), 1)
    letter = np.dtype(drawn.dtype).char
    unit, stored = oracle.UNIT[letter], oracle.STORED.get(letter, 0)
    channels, outputs = drawn.weight_shape[1], drawn.weight_shape[0] // drawn.geometry["groups"]
    pixels = values["grad_out"][:, 0].size
    summed = {"conv": channels, "input_grad": outputs, "weight_grad": pixels}[which]
    terms = summed * (1 if which == "weight_grad" else np.prod(drawn.weight_shape[2:]))
    limit = LOOSE[drawn.precision] * max(8, 1.5 * terms**0.5) * unit * most + stored * np.abs(want)
    with np.errstate(all="ignore"):
        error = np.abs(out.astype(np.float64) - want)
        return "" if (error <= limit).all() else f" is off by {error.max():.3g} > {limit.max():.3g}"
