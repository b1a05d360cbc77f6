"""Figures: what is drawn is what npconv computes, read back from the artists."""

import numpy as np
import pytest

import npconv
from npconv import ProblemError
from npconv.explain import animation, figure

pytest.importorskip("matplotlib")
RNG = np.random.default_rng(3)
X = RNG.integers(-4, 5, (2, 4, 6, 5))
WEIGHT = RNG.integers(-3, 4, (4, 2, 3, 2))
BIAS = np.array([1, 0, -2, 3])
GEOMETRY = {"stride": (2, 1), "padding": ((1, 2), (2, 0)), "groups": 2, "padding_mode": "edge"}


def drawn(made):
    """The arrays of a figure by their names."""
    return {
        mesh.get_gid(): np.ma.getdata(mesh.get_array())
        for mesh in made.axes[0].collections
        if mesh.get_gid() and mesh.get_array() is not None
    }


def box(made, name):
    """Outlines of a name as (left, top, right, bottom), inches."""
    shapes = [p for p in made.axes[0].patches if p.get_gid() == name]
    return [(*s.get_xy().min(0), *s.get_xy().max(0)) for s in shapes]


def texts(made, name):
    return [t.get_text() for t in made.axes[0].texts if t.get_gid() == name]


def test_the_operation():
    made = figure(X, WEIGHT, BIAS, image=1, at=(2, 1, 3), **GEOMETRY)
    shown, out = drawn(made), npconv.conv(X, WEIGHT, BIAS, **GEOMETRY)
    np.testing.assert_array_equal(shown["out[2]"], out[1, 2])
    np.testing.assert_array_equal(shown["weight[2, 1]"], WEIGHT[2, 1])
    padded = np.pad(X[1, 3], ((1, 2), (2, 0)), mode="edge")
    np.testing.assert_array_equal(shown["x[3]"], padded)
    assert "x[0]" not in shown
    assert texts(made, "arithmetic")[0].endswith(f"= {out[1, 2, 1, 3]}".replace("-", "−"))
    labels = [t.replace("−", "-") for t in texts(made, "out[2] value")]
    assert labels == [str(v) for v in out[1, 2].ravel()]


def test_the_window_lies_where_it_is_read():
    made = figure(X[:, :1], WEIGHT[:1, :1], stride=(2, 1), padding=1, at=(0, 1, 3))
    (mesh,) = [m for m in made.axes[0].collections if m.get_gid() == "x[0]"]
    corners = mesh.get_coordinates()
    cell = corners[0, 1, 0] - corners[0, 0, 0]
    ((left, top, right, bottom),) = box(made, "window of x[0]")
    placed = (np.array([left, top, right, bottom]) - np.tile(corners[0, 0], 2)) / cell
    np.testing.assert_allclose(placed, [3, 2, 5, 5], atol=1e-9)


def test_patches_products_and_gradients():
    case = {"stride": 2, "padding": 1}
    x, weight = X[:1, :2], WEIGHT[:2]
    shown = drawn(figure(x, weight, show="patches", **case))
    np.testing.assert_array_equal(shown["patches"], npconv.unfold(x, (3, 2), **case)[0])
    out = npconv.conv(x, weight, **case)
    np.testing.assert_array_equal(shown["weight"] @ shown["patches"], out[0].reshape(2, -1))
    np.testing.assert_array_equal(shown["out"], out[0].reshape(2, -1))
    shown = drawn(figure(x, weight, show="products", at=(1, 1, 2), **case))
    for c in (0, 1):
        np.testing.assert_array_equal(shown[f"products {c}"], shown[f"x {c}"] * weight[1, c])
        assert shown[f"products {c}"].sum() == shown[f"sum {c}"].item()
    assert shown["sum 0"] + shown["sum 1"] == out[0, 1, 1, 2] == shown["out[1, 1, 2]"]
    poured = RNG.integers(-3, 4, out.shape)
    shown = drawn(figure(x, weight, show="gradients", grad_out=poured, **case))
    grads = npconv.conv_grad(poured, x, weight, **case)
    np.testing.assert_array_equal(shown["grad_x[1]"][1:-1, 1:-1], grads.x[0, 1])
    np.testing.assert_array_equal(shown["grad_weight[1, 0]"], grads.weight[1, 0])
    assert shown["grad_bias[1]"] == grads.bias[1]


def test_the_receptive_field_of_two_layers():
    made = figure(np.arange(9.0), np.ones(3), layout="W", show="receptive field", layers=[(3, 2)])
    np.testing.assert_array_equal(drawn(made)["x"], [[0, 0, 1, 2, 3, 2, 1, 0, 0]])


def test_a_film_fills_out_and_is_written_whole(tmp_path):
    x, weight = X[0, 0, :4, :3], np.ones((2, 2), int)
    path = tmp_path / "slide.gif"
    film = animation(x, weight, path=path, layout="HW", dpi=30)
    assert path.read_bytes().startswith(b"GIF89a")
    assert [p.name for p in tmp_path.iterdir()] == ["slide.gif"]
    film._func(2)
    (mesh,) = [m for m in film._fig.axes[0].collections if m.get_gid() == "out"]
    out = npconv.conv(x, weight, layout="HW")
    np.testing.assert_array_equal(mesh.get_array().compressed(), out.ravel()[:3])


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"show": "patch"}, "did you mean 'patches'"),
        ({"at": (0, 9, 0)}, "at's row is 9, and there are"),
        ({"at": (0, 0)}, "at has 2 numbers, and must have 3"),
        ({"colours": "none such"}, "is no colour map"),
        ({"layers": [3]}, "layers is shown by 'receptive field' alone"),
        ({"padding": 60}, r"too large to draw(.|\n)*at most 8 channels and 64 cells"),
        ({"show": "gradients", "grad_out": [1]}, r"grad_out is \(1,\), out is"),
    ],
)
def test_refusals(keywords, message):
    with pytest.raises(ProblemError, match=message):
        figure(X[:, :2], WEIGHT, **keywords)


def test_a_crop_is_offered():
    with pytest.raises(ProblemError, match=r"draw a part of it, as x\[:, :8, :62, :\]"):
        figure(np.zeros((1, 9, 99, 5)), np.zeros((1, 9, 3, 3)), padding=1)
    with pytest.raises(ProblemError, match=r"a film is \.gif or \.mp4"):
        animation(X[:, :2], WEIGHT, path="film.png")
