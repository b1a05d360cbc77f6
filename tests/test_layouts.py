"""Axis letters: layout changes are transposes, missing letters missing axes, memory follows x."""

import itertools

import numpy as np
import pytest

import cases
import npconv
import oracle
from npconv import conv, plan

SIZES = {"N": 2, "C": 4, "D": 5, "H": 6, "W": 7}
KERNEL = {"O": 3, "I": 4, "D": 2, "H": 3, "W": 2}


def turned(array, source, target):
    """The array's axes in another order; letters that target lacks must be of length 1."""
    gone = tuple(i for i, a in enumerate(source) if a not in target)
    left = [a for a in source if a in target]
    return np.squeeze(array, gone).transpose([left.index(a) for a in target])


def integers(sizes, letters, seed=0):
    """Small integers with these letters for axes."""
    return oracle.small_integers(
        np.random.default_rng(seed), [sizes[a] for a in letters], "float64"
    )


@pytest.mark.parametrize("letters", ["".join(p) for p in itertools.permutations("NCHW")])
def test_every_order_of_x(letters):
    x, weight = integers(SIZES, "NCHW"), integers(KERNEL, "OIHW")
    want = turned(oracle.direct(x, weight, padding=1), "NCHW", letters)
    for name, out in cases.each(
        turned(x, "NCHW", letters), weight, layout=letters, weight_layout="OIHW", padding=1
    ):
        cases.same_numbers(name, out, want)


@pytest.mark.parametrize("letters", ["".join(p) for p in itertools.permutations("OIHW")])
def test_every_order_of_weight(letters):
    x, weight = integers(SIZES, "NCHW"), integers(KERNEL, "OIHW")
    want = oracle.direct(x, weight, padding=1)
    for name, out in cases.each(
        x, turned(weight, "OIHW", letters), layout="NCHW", weight_layout=letters, padding=1
    ):
        cases.same_numbers(name, out, want)


@pytest.mark.parametrize(
    ("layout", "default"),
    [
        (None, "OIHW"), ("NCHW", "OIHW"), ("CHW", "OIHW"), ("NHWC", "HWIO"), ("HWC", "HWIO"),
        ("HW", "HW"), ("NHW", "HW"), ("NCW", "OIW"), ("NCL", "OIL"), ("NWC", "WIO"), ("W", "W"),
        ("NCDHW", "OIDHW"), ("NDHWC", "DHWIO"), ("DHW", "DHW"), ("CNHW", "OIHW"), ("HWNC", "HWIO"),
        ("HCW", "HWIO"), ("WHC", "WHIO"), ("CWH", "OIWH"),
    ],
)  # fmt: skip
def test_default_weight_layouts(layout, default):
    shape = [KERNEL[a if a != "L" else "W"] for a in default]
    letters = layout or "NCHW"
    x_shape = [SIZES[a if a != "L" else "W"] for a in letters]
    x, weight = np.ones(x_shape), np.ones(shape)
    out = conv(x, weight, layout=layout)
    np.testing.assert_array_equal(out, conv(x, weight, layout=layout, weight_layout=default))
    for letter, n in zip(letters.replace("L", "W"), out.shape, strict=True):
        if letter == "C":
            assert n == 3
        elif letter == "N":
            assert n == 2
        else:
            assert n == SIZES[letter] - KERNEL[letter] + 1


def test_none_means_channels_first_by_rank():
    for letters in ("NCW", "NCHW", "NCDHW"):
        x = integers(SIZES, letters)
        weight = integers(KERNEL, "OI" + letters[2:])
        np.testing.assert_array_equal(conv(x, weight), conv(x, weight, layout=letters))


@pytest.mark.parametrize("layout", ["HW", "HWC", "CHW", "NHW", "NHWC", "WHC", "HNW"])
def test_missing_letters_are_axes_of_length_one(layout):
    sizes = {**SIZES, **{a: 1 for a in "NC" if a not in layout}}
    channels = 3 if "C" in layout else 1
    x = integers(sizes, "NCHW")
    weight = integers({**KERNEL, "I": sizes["C"], "O": channels}, "OIHW", seed=1)
    want = turned(oracle.direct(x, weight, padding=2), "NCHW", layout)
    given = turned(weight, "OIHW", "OIHW" if "C" in layout else "HW")
    weight_layout = "OIHW" if "C" in layout else "HW"
    for name, out in cases.each(
        turned(x, "NCHW", layout), given, layout=layout, weight_layout=weight_layout, padding=2
    ):
        cases.same_numbers(name, out, want)


def test_weights_that_lack_letters():
    x = integers(SIZES, "NCHW")
    depthwise = integers(KERNEL, "OHW")
    x3 = x[:, :3]
    want = oracle.direct(x3, depthwise[:, None], groups=3)
    for name, out in cases.each(x3, depthwise, weight_layout="OHW", groups=3):
        cases.same_numbers(name, out, want)
    one = integers(KERNEL, "IHW")
    for name, out in cases.each(x, one, weight_layout="IHW"):
        cases.same_numbers(name, out, oracle.direct(x, one[None]))
    grey = integers(KERNEL, "HW")
    for name, out in cases.each(x[:, :1], grey, weight_layout="HW"):
        cases.same_numbers(name, out, oracle.direct(x[:, :1], grey[None, None]))


def test_any_other_letter_is_a_spatial_axis():
    sizes, kernel = {"T": 3, "D": 4, "H": 3, "W": 5}, {"T": 2, "D": 1, "H": 2, "W": 3}
    x, weight = integers(sizes, "TDHW"), integers(kernel, "TDHW")
    want = oracle.direct(x[None, None], weight[None, None], padding=1)[0, 0]
    for name, out in cases.each(x, weight, layout="TDHW", padding=1):
        cases.same_numbers(name, out, want)
    turned_weight = weight.transpose(3, 1, 0, 2)
    for name, out in cases.each(x, turned_weight, layout="TDHW", weight_layout="WDTH", padding=1):
        cases.same_numbers(name, out, want)


def test_geometry_follows_the_order_of_the_letters():
    x, weight = integers(SIZES, "NHWC"), integers(KERNEL, "HWIO")
    geometry = {"stride": (1, 3), "padding": ((2, 0), (1, 4)), "dilation": (2, 1)}
    out = conv(x, weight, layout="NHWC", **geometry)
    swapped = {name: value[::-1] for name, value in geometry.items()}
    other = conv(x.swapaxes(1, 2), weight, layout="NWHC", weight_layout="HWIO", **swapped)
    np.testing.assert_array_equal(out, other.swapaxes(1, 2))


@pytest.mark.parametrize("memory", list(itertools.permutations(range(4))))
def test_out_lies_in_memory_as_x_does(memory):
    x = integers(SIZES, "NCHW").transpose(memory).copy().transpose(np.argsort(memory))
    weight = integers(KERNEL, "OIHW")
    want = oracle.direct(x, weight, padding=2)
    for name, out in cases.each(x, weight, padding=2):
        cases.same_numbers(name, out, want)
        assert out.transpose(memory).flags.c_contiguous, name


def test_memory_order_of_views():
    x = np.ones((8, 9, 3), np.float32).transpose(2, 0, 1)[None]
    weight = np.ones((5, 3, 3, 3), np.float32)
    out = conv(x, weight, padding=1)
    assert out.transpose(0, 2, 3, 1).flags.c_contiguous
    assert conv(x[..., ::-1], weight).transpose(0, 2, 3, 1).flags.c_contiguous
    assert conv(x[:, :, ::2], weight).transpose(0, 2, 3, 1).flags.c_contiguous
    assert conv(np.ascontiguousarray(x), weight).flags.c_contiguous
    one_channel = np.ones((1, 1, 8, 9), np.float32)
    assert conv(one_channel, weight[:, :1]).flags.c_contiguous
    grey = np.ones((8, 9, 1), np.float32)
    out = conv(grey, np.ones((3, 3, 1, 5), np.float32), layout="HWC")
    assert out.shape == (6, 7, 5)
    assert out.flags.c_contiguous


def test_plans_name_the_letters_too():
    x, weight = np.ones((6, 7, 4)), np.ones((3, 2, 4, 5))
    made = plan(x.shape, weight.shape, "float64", layout="HWC")
    np.testing.assert_array_equal(made(x, weight), conv(x, weight, layout="HWC"))
    made = plan(x, weight.transpose(3, 2, 0, 1), layout="HWC", weight_layout="OIHW")
    out = made(x, weight.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(out, conv(x, weight, layout="HWC"))


@pytest.mark.parametrize(
    ("x", "weight", "keywords", "match"),
    [
        ((5, 5), (3, 3), {}, r"x has 2 axes, and without a layout it must have 3, 4 or 5"),
        ((2,) * 6, (2,) * 6, {}, r"x has 6 axes"),
        ((), (3,), {"layout": "W"}, r"layout 'W' names 1 axes, x has 0"),
        ((5, 5), (3, 3), {"layout": "HWC"}, r"layout 'HWC' names 3 axes, x has 2"),
        ((5, 5), (3, 3), {"layout": "HH"}, r"names an axis twice"),
        ((5, 5), (3, 3), {"layout": "HO"}, r"has the letter O, which x has no axis for"),
        ((5, 5), (3, 3), {"layout": "NC"}, r"layout 'NC' names no spatial axis"),
        ((5, 5), (3, 3), {"layout": "hw"}, r"(?s)not made of capital letters.*did you mean 'HW'\?"),
        ((5, 5), (3, 3), {"layout": "H-W"}, r"did you mean 'HW'\?"),
        ((5, 5), (3, 3), {"layout": ""}, r"(?s)not made of capital letters.*as in \"NCHW\""),
        ((5, 5), (3, 3), {"layout": 5}, r"layout is 5, not a string of axis letters"),
        ((5, 5), (3, 3), {"layout": ["H", "W"]}, r"layout is \['H', 'W'\], not a string"),
        ((5, 5), (3, 3, 3), {"layout": "HW"}, r"weight has 3 axes, and beside x's layout HW"),
        ((5, 5), (3, 3), {"layout": "HW", "weight_layout": "HN"}, r"has the letter N, which w"),
        ((5, 5), (3, 3), {"layout": "HW", "weight_layout": "HD"}, r"has the spatial axes HD, x's"),
        ((5, 5), (3, 3), {"layout": "HW", "weight_layout": "OI"}, r"has the spatial axes none"),
        ((5, 5), (3, 3), {"layout": "HW", "weight_layout": "HHW"}, r"names an axis twice"),
        ((5, 5), (3, 3), {"layout": "HW", "weight_layout": 7}, r"weight_layout is 7, not a string"),
        ((1, 5, 5), (2, 1, 3, 3), {"layout": "NHW", "weight_layout": "OIHW"}, r"layout has no C"),
    ],
)  # fmt: skip
def test_mistakes(x, weight, keywords, match):
    with pytest.raises(npconv.ProblemError, match=match):
        conv(np.ones(x), np.ones(weight), **keywords)
