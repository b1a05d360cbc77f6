"""What npconv computed for a page: every number that it shows, made by npconv's own calls.

========================  ==========================================================================
out                       `npconv.conv`, or `npconv.conv_transpose`
gradX, gradWeight         `npconv.conv_input_grad` and `npconv.conv_weight_grad`; of a transposed
                          convolution `npconv.conv` and `npconv.conv_weight_grad` of its adjoint
algorithms                rows of `npconv.plan`, with each algorithm's own cost and words
growth                    the same for images of 8 to 512 cells a side
extras.im2col             im2col_index's index, im2col_view's view, the matrix by `npconv.unfold`
extras.winograd           the matrices winograd computes with, and its number of products
extras.indirect           indirect's tables of addresses
========================  ==========================================================================

Numbers have 9 significant digits, and results are computed from the numbers as they are written.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

import npconv
from npconv import insides
from npconv.explain.asked import Asked, rounded

SIDES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_MOST = 6000  # entries of a matrix or an index that is written out
_SECTIONS = {
    "cost": "Cost", "memory": "Memory", "error": "Error", "when_not": "When not to use it",
    "source": "Source",
}  # fmt: skip


def given(asked: Asked, grad_out: np.ndarray | None = None) -> dict[str, Any]:
    """Return the page's data, ready for JSON.

    grad_out (N, O, OH, OW): the gradient poured in; by default small whole numbers.
    """
    asked = replace(asked, x=rounded(asked.x), weight=rounded(asked.weight))
    arrays = _arrays(asked, grad_out)
    return {
        "version": npconv.__version__,
        "problem": asked.problem,
        **{name: written(array) for name, array in arrays.items()},
        "algorithms": _algorithms(asked.plan),
        "growth": _growth(asked),
        "extras": _extras(asked),
        "plan": str(asked.plan),
        "call": _call(asked),
    }


def written(array: np.ndarray | None) -> dict[str, Any] | None:
    """Return an array as {shape, data}, whole numbers without a point."""
    if array is None:
        return None
    data = [int(v) if v.is_integer() and abs(v) < 1e15 else v for v in array.ravel().tolist()]
    return {"shape": list(array.shape), "data": data}


def _arrays(asked: Asked, grad_out: np.ndarray | None) -> dict[str, np.ndarray | None]:
    """Return the arrays as they are written, and npconv's results of just these numbers."""
    x, weight = asked.x, asked.weight
    bias = None if asked.bias is None else rounded(asked.bias)
    p, keywords = asked.problem, _geometry(asked.problem)
    if p["transposed"]:
        more = {"output_padding": p["outputPadding"]}
        made = npconv.conv_transpose_geometry(x, weight, **keywords, **more)
        out = npconv.conv_transpose(x, weight, bias, **keywords, **more)
        grad = _gradient(out, grad_out)
        keywords["padding"] = made.padding
        grad_x = npconv.conv(grad, weight, **keywords)
        grad_weight = npconv.conv_weight_grad(x, grad, weight.shape, **keywords)
    else:
        keywords["padding_mode"] = p["mode"]
        out = npconv.conv(x, weight, bias, **keywords)
        grad = _gradient(out, grad_out)
        grad_x = npconv.conv_input_grad(grad, weight, x.shape, **keywords)
        grad_weight = npconv.conv_weight_grad(grad, x, weight.shape, **keywords)
    return {
        "x": x, "weight": weight, "bias": bias, "out": rounded(out), "gradOut": grad,
        "gradX": rounded(grad_x), "gradWeight": rounded(grad_weight),
    }  # fmt: skip


def _geometry(problem: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords of a convolution of arrays NCHW."""
    names = ("stride", "padding", "dilation", "groups")
    return {name: problem[name] for name in names}


def _gradient(out: np.ndarray, grad_out: np.ndarray | None) -> np.ndarray:
    if grad_out is None:
        return np.random.default_rng(7).integers(-2, 3, out.shape).astype(np.float64)
    grad = np.asarray(grad_out, np.float64)
    if grad.shape != out.shape:
        raise npconv.ProblemError(f"grad_out has the shape {grad.shape}, out {out.shape} (NCHW).")
    return rounded(grad)


def _algorithms(plan: npconv.Plan) -> list[dict[str, Any]]:
    """Return a row an algorithm: its reason, its cost, and what its module says of itself."""
    rows: list[dict[str, Any]] = []
    for row in plan.rows:
        spent = None if row.why_not else insides.spent(plan.problem, row.algorithm)
        rows.append(
            {
                "name": row.algorithm,
                "why_not": row.why_not,
                "flops": spent and spent.flops,
                "nbytes": spent and spent.nbytes,
                "workspace": spent and spent.workspace,
                "seconds": spent and _short(spent.seconds),
                "chosen": False,
                **_story(insides.words(row.algorithm)),
            }
        )
    able = [row for row in rows if row["seconds"] is not None]
    min(able, key=lambda row: row["seconds"])["chosen"] = True
    return rows


def _story(words: str) -> dict[str, str]:
    """Return an algorithm's words in parts: summary, formula, and the sections that it has."""
    summary, _, rest = words.partition("\n\n")
    formula = re.search(r"^::\n\n((?:    .*\n|\n)+)", rest, re.MULTILINE)
    parts = {"summary": " ".join(summary.split()), "formula": ""}
    if formula:
        parts["formula"] = re.sub(r"^ {4}", "", formula[1].rstrip(), flags=re.MULTILINE)
    ends = "|".join(_SECTIONS.values())
    for key, head in _SECTIONS.items():
        found = re.search(
            rf"^{head}: (.*?)(?=^(?:{ends}): |\n\n|\Z)", rest, re.DOTALL | re.MULTILINE
        )
        parts[key] = " ".join(found[1].split()) if found else ""
    return parts


def _growth(asked: Asked) -> dict[str, Any]:
    """Return for images of SIDES cells a side what each algorithm spends; None where it cannot."""
    p, ndim = asked.problem, asked.plan.problem.ndim
    rows: dict[str, dict[str, list[Any]]] = {
        name: {key: [] for key in ("flops", "nbytes", "workspace", "seconds")}
        for name in npconv.algorithms()
    }
    for side in SIDES:
        plan = _plan_of({**p, "size": [side] * 2}, asked.weight.shape, ndim)
        for row in plan.rows if plan else ():
            if plan and not row.why_not:
                spent = insides.spent(plan.problem, row.algorithm)
                for key, values in rows[row.algorithm].items():
                    value = getattr(spent, key)
                    values.append(_short(value) if key == "seconds" else value)
        for columns in rows.values():
            for values in columns.values():
                values += [None] * (SIDES.index(side) + 1 - len(values))
    return {"sides": list(SIDES), "rows": rows}


def _plan_of(
    problem: dict[str, Any], weight_shape: tuple[int, ...], ndim: int = 2
) -> npconv.Plan | None:
    """Return a page's problem as a plan in float32, of its last `ndim` spatial axes.

    x lies channels last where the page's layout does.  None where the kernel does not fit.
    """
    keywords: dict[str, Any] = {"groups": problem["groups"]}
    for name in ("stride", "padding", "dilation"):
        keywords[name] = problem[name][-ndim:]
    size, spatial = problem["size"][-ndim:], "HW"[-ndim:]
    last = problem["layout"].endswith("C")
    batch, channels = problem["batch"], problem["inChannels"]
    shape = (batch, *size, channels) if last else (batch, channels, *size)
    weight = (*weight_shape[:2], *weight_shape[-ndim:])
    keywords["layout"] = f"N{spatial}C" if last else f"NC{spatial}"
    keywords["weight_layout"] = f"OI{spatial}"
    try:
        if not problem["transposed"]:
            return npconv.plan(shape, weight, padding_mode=problem["mode"], **keywords)
        more = problem["outputPadding"][-ndim:]
        made = npconv.conv_transpose_geometry(shape, weight, output_padding=more, **keywords)
        keywords["padding"] = made.padding
        return npconv.plan(made.shape, weight, direction="input_grad", **keywords)
    except npconv.ProblemError:
        return None


def _short(seconds: float) -> float:
    return float(f"{seconds:.4g}")


def _extras(asked: Asked) -> dict[str, Any]:
    """Return what is inside im2col, winograd and indirect for this problem."""
    # As of two axes, which are the page's.
    plan = _plan_of(asked.problem, asked.weight.shape)
    assert plan is not None
    problem = plan.problem
    return {
        "im2col": _im2col(asked.problem, problem, asked.x),
        "winograd": _winograd(problem),
        "indirect": [table.tolist() for table in insides.address_tables(problem)],
    }


def _im2col(page: dict[str, Any], problem: Any, x: np.ndarray) -> dict[str, Any]:
    """Return the index, its rows i, columns j and channels k, the view, and the matrix.

    i, j and k are (C / groups * taps, windows), of the padded image, channels slowest; matrix is
    the first image's, all groups, in the same order.  Those too long to read are None.
    """
    view = insides.window_view(problem)
    made: dict[str, Any] = {
        "padded_shape": view.padded_shape,
        "padded_strides": view.padded_strides,
        "view_shape": view.shape,
        "view_strides": view.strides,
        "matrix_shape": view.matrix_shape,
        "index": None, "i": None, "j": None, "k": None, "matrix": None,
    }  # fmt: skip
    if problem.pixels * problem.terms <= _MOST:
        index = insides.patch_index(problem)
        i, j = np.divmod(index.T, view.padded_shape[1])
        channels, taps = problem.group_channels, problem.taps
        k = np.repeat(np.arange(channels), taps)[:, None]
        made["index"] = index.tolist()
        made["i"], made["j"] = (np.tile(rows, (channels, 1)).tolist() for rows in (i, j))
        made["k"] = np.broadcast_to(k, (channels * taps, problem.pixels)).tolist()
    if not page["transposed"] and problem.pixels * problem.terms * problem.groups <= _MOST:
        keywords = {name: page[name] for name in ("stride", "padding", "dilation")}
        matrix = npconv.unfold(x[:1], page["kernelSize"], padding_mode=page["mode"], **keywords)
        made["matrix"] = written(matrix[0])
    return made


def _winograd(problem: Any) -> dict[str, Any]:
    """Return F(2, 3) and F(4, 3), what this problem takes, and how many products that saves."""
    return {
        "tiles": [_tile(insides.tile(m, 3)) for m in (2, 4)],
        "chosen": [_tile(tile) for tile in insides.winograd_tiles(problem)],
        "products": insides.winograd_products(problem),
        "definition": problem.macs,
    }


def _tile(tile: insides.Tile) -> dict[str, Any]:
    """Return F(m, r): AT (m, products), G (products, r), BT (products, inputs), and as text."""
    matrices = {"AT": tile.output, "G": tile.kernel, "BT": tile.input}
    return {
        "m": tile.outputs,
        "r": tile.taps,
        "stride": tile.stride,
        "products": tile.products,
        "amplification": round(tile.amplification, 3),
        **{
            name: [[float(f"{float(v):.9g}") for v in row] for row in matrix]
            for name, matrix in matrices.items()
        },
        "text": {
            name: [[str(v) for v in row] for row in matrix] for name, matrix in matrices.items()
        },
    }


def _call(asked: Asked) -> str:
    """Return the call, of arrays NCHW, that computed out."""
    p = asked.problem
    name = "npconv.conv_transpose" if p["transposed"] else "npconv.conv"
    parts = ["x", "weight", *(["bias"] if asked.bias is not None else [])]
    for key, plain in (("stride", [1, 1]), ("padding", [[0, 0]] * 2), ("dilation", [1, 1])):
        if p[key] != plain:
            value = tuple(tuple(v) if isinstance(v, list) else v for v in p[key])
            parts.append(f"{key}={value}")
    if p["outputPadding"] != [0, 0]:
        parts.append(f"output_padding={tuple(p['outputPadding'])}")
    if p["groups"] != 1:
        parts.append(f"groups={p['groups']}")
    if p["mode"] != "zeros":
        parts.append(f'padding_mode="{p["mode"]}"')
    return f"{name}({', '.join(parts)})"
