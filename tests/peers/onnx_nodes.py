"""ONNX nodes as npconv calls, and ONNX's own node cases collected from memory."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
from onnx import helper

import npconv

OPS = (
    "Conv",
    "ConvTranspose",
    "MaxPool",
    "AveragePool",
    "GlobalMaxPool",
    "GlobalAveragePool",
    "Col2Im",
)
NAMED = {"VALID": "valid", "SAME_UPPER": "same", "SAME_LOWER": "same_lower"}


@dataclass
class NodeCase:
    """One node with its inputs, and the outputs that ONNX expects."""

    name: str
    op: str
    attributes: dict
    inputs: list
    expected: list

    @property
    def auto_pad(self):
        return self.attributes.get("auto_pad", "NOTSET")


def node_cases():
    """Return every node case of OPS: those whose graph is the one node."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other operators' cases, which are made on import
        from onnx.backend.test.case.node import collect_testcases

        collected = collect_testcases(None)
    cases = []
    for case in collected:
        nodes = case.model.graph.node
        if len(nodes) != 1 or nodes[0].op_type not in OPS:
            continue
        attributes = {a.name: helper.get_attribute_value(a) for a in nodes[0].attribute}
        attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
        # None of these nodes leaves out an input between others.
        assert "" not in nodes[0].input, case.name
        for inputs, outputs in case.data_sets:
            cases.append(NodeCase(case.name, nodes[0].op_type, attributes, inputs, outputs))
    return cases


def same_padding(auto_pad, size, dilated, stride):
    """Return (begin, end) an axis by the specification: ceil(size / stride) windows.

    Written from the specification's text, not from onnx's reference implementation, whose pooling
    leaves the dilation out.
    """
    pairs = []
    for n, e, s in zip(size, dilated, stride, strict=True):
        total = max((math.ceil(n / s) - 1) * s + e - n, 0)
        less, more = total // 2, total - total // 2
        pairs.append((less, more) if auto_pad == "SAME_UPPER" else (more, less))
    return pairs


def transposed_padding(attributes, size, dilated):
    """Return (begin, end) an axis that give output_shape, or size * stride, by the specification.

    It halves total_padding, and leaves open how where that is negative: where the windows end
    before the output does.  What is missing then goes to the end, as output_padding does and as
    the adjoint of a Conv with the same auto_pad has it.
    """
    ndim = len(size)
    stride = attributes.get("strides", [1] * ndim)
    extra = attributes.get("output_padding", [0] * ndim)
    wanted = attributes.get("output_shape", [n * s for n, s in zip(size, stride, strict=True)])
    pairs = []
    for n, s, o, e, out in zip(size, stride, extra, dilated, wanted, strict=True):
        total = s * (n - 1) + o + e - out
        less, missing = max(total, 0) // 2, min(total, 0)
        more = max(total, 0) - less
        upper = attributes.get("auto_pad") == "SAME_UPPER"
        pairs.append((less, more + missing) if upper else (more, less + missing))
    return pairs


def dilated_size(kernel_size, dilation):
    """Extent of the kernel with its holes, an axis."""
    return [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True)]


def pads_of(attributes, ndim):
    """Return the attribute pads, all begins before all ends, as one (begin, end) an axis."""
    pads = attributes.get("pads", [0] * 2 * ndim)
    return list(zip(pads[:ndim], pads[ndim:], strict=True))


def geometry(attributes, size, kernel_size, *, named):
    """Return a window's keywords; auto_pad by npconv's names, or counted out beforehand."""
    ndim = len(size)
    stride = attributes.get("strides", [1] * ndim)
    dilation = attributes.get("dilations", [1] * ndim)
    auto_pad = attributes.get("auto_pad", "NOTSET")
    if auto_pad == "NOTSET":
        padding = pads_of(attributes, ndim)
    elif named:
        padding = NAMED[auto_pad]
    elif auto_pad == "VALID":
        padding = 0
    else:
        padding = same_padding(auto_pad, size, dilated_size(kernel_size, dilation), stride)
    return {"stride": stride, "padding": padding, "dilation": dilation}


def conv(case, *, named=True, **keywords):
    """Conv."""
    x, weight, *bias = case.inputs
    assert list(weight.shape[2:]) == case.attributes.get("kernel_shape", list(weight.shape[2:]))
    where = geometry(case.attributes, x.shape[2:], weight.shape[2:], named=named)
    groups = case.attributes.get("group", 1)
    return [npconv.conv(x, weight, *bias, groups=groups, **where, **keywords)]


def conv_transpose(case, *, named=True, **keywords):
    """ConvTranspose: output_shape puts its padding as SAME_LOWER does where auto_pad is not set."""
    x, weight, *bias = case.inputs
    attributes, size = case.attributes, x.shape[2:]
    ndim = len(size)
    kernel_size = attributes.get("kernel_shape", list(weight.shape[2:]))
    assert list(weight.shape[2:]) == list(kernel_size)
    auto_pad, shape = case.auto_pad, attributes.get("output_shape")
    keywords |= {
        "stride": attributes.get("strides", [1] * ndim),
        "dilation": attributes.get("dilations", [1] * ndim),
        "groups": attributes.get("group", 1),
    }
    if auto_pad in ("NOTSET", "VALID") and shape is None:
        keywords["padding"] = pads_of(attributes, ndim)
        keywords["output_padding"] = attributes.get("output_padding", 0)
    elif named and not any(attributes.get("output_padding", [])):
        keywords["padding"] = NAMED.get(auto_pad, "same_lower")
        keywords["out_size"] = shape
    else:
        dilated = dilated_size(kernel_size, keywords["dilation"])
        pairs = transposed_padding(attributes, size, dilated)
        extra = attributes.get("output_padding", [0] * ndim)
        # An end below zero is one more element there.
        keywords["padding"] = [(begin, max(end, 0)) for begin, end in pairs]
        keywords["output_padding"] = [
            o + max(-end, 0) for o, (_, end) in zip(extra, pairs, strict=True)
        ]
    return [npconv.conv_transpose(x, weight, *bias, **keywords)]


def max_pool(case, *, named=True):
    """MaxPool, with Indices where the node has two outputs."""
    (x,) = case.inputs
    attributes, kernel_size = case.attributes, case.attributes["kernel_shape"]
    keywords = geometry(attributes, x.shape[2:], kernel_size, named=named)
    keywords["ceil_mode"] = bool(attributes.get("ceil_mode", 0))
    if len(case.expected) < 2:
        return [npconv.max_pool(x, kernel_size, **keywords)]
    out, indices = npconv.max_pool(x, kernel_size, return_indices=True, **keywords)
    # npconv counts within one channel of one image, ONNX from the start of the array.
    order = "F" if attributes.get("storage_order", 0) else "C"
    within = np.ravel_multi_index(np.unravel_index(indices, x.shape[2:]), x.shape[2:], order=order)
    planes = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *[1] * (x.ndim - 2))
    return [out, within + planes * math.prod(x.shape[2:])]


def average_pool(case, *, named=True):
    """AveragePool."""
    (x,) = case.inputs
    attributes, kernel_size = case.attributes, case.attributes["kernel_shape"]
    keywords = geometry(attributes, x.shape[2:], kernel_size, named=named)
    return [
        npconv.avg_pool(
            x,
            kernel_size,
            ceil_mode=bool(attributes.get("ceil_mode", 0)),
            count_include_pad=bool(attributes.get("count_include_pad", 0)),
            **keywords,
        )
    ]


def global_pool(call):
    """GlobalMaxPool or GlobalAveragePool, which keep their axes with one element each."""

    def run(case, *, named=True):
        (x,) = case.inputs
        return [call(x).reshape(*x.shape[:2], *[1] * (x.ndim - 2))]

    return run


def col2im(case, *, named=True):
    """Col2Im."""
    columns, size, kernel_size = case.inputs
    attributes, ndim = case.attributes, len(size)
    letters = {1: "NCW", 2: "NCHW", 3: "NCDHW"}[ndim]
    out = npconv.fold(
        columns,
        tuple(size.tolist()),
        tuple(kernel_size.tolist()),
        stride=attributes.get("strides", [1] * ndim),
        padding=pads_of(attributes, ndim),
        dilation=attributes.get("dilations", [1] * ndim),
        layout=letters,
    )
    return [out]


RUN = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalMaxPool": global_pool(lambda x: npconv.global_max_pool(x)),
    "GlobalAveragePool": global_pool(lambda x: npconv.global_avg_pool(x)),
    "Col2Im": col2im,
}
