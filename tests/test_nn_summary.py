"""summary: what each layer gives, holds, multiplies, and how it is computed."""

import threading

import numpy as np
import pytest

import npconv
from npconv import ProblemError, nn

# Multiply-adds of one image of 224 x 224, as published (torchvision's "GFLOPS").
PUBLISHED = {"alexnet": 0.71, "resnet18": 1.81, "resnet50": 4.09, "mobilenet_v2": 0.30}


def small(**keywords):
    return nn.Sequential(
        {
            "first": nn.Conv2d(3, 8, 3, padding=1, **keywords),
            "norm": nn.BatchNorm2d(8),
            "block": nn.Residual(nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU())),
            "flat": nn.Flatten(),
            "last": nn.Linear(8 * 36, 5),
        }
    )


def test_rows_are_the_layers_in_order():
    s = nn.summary(small(), (2, 3, 6, 6))
    image = (2, 8, 6, 6)
    assert [row[:5] for row in s.rows] == [
        ("first", "Conv2d", image, 8 * 27 + 8, 2 * 36 * 8 * 27),
        ("norm", "BatchNorm2d", image, 16, 0),
        ("block.body.0", "Conv2d", image, 8 * 9 + 8, 2 * 36 * 8 * 9),
        ("block.body.1", "ReLU", image, 0, 0),
        ("flat", "Flatten", (2, 288), 0, 0),
        ("last", "Linear", (2, 5), 288 * 5 + 5, 2 * 288 * 5),
    ]
    assert s.parameters == sum(row.parameters for row in s.rows) == small().parameter_count
    assert s.multiply_adds == sum(row.multiply_adds for row in s.rows)
    assert s.nbytes == 4 * (s.parameters + 16) + 8


@pytest.mark.parametrize("name", PUBLISHED)
def test_multiply_adds_are_the_published_ones(name):
    found = nn.summary(nn.models.build(name, rng=nn.models.parts.UNSET), (1, 3, 224, 224))
    assert found.multiply_adds / 1e9 == pytest.approx(PUBLISHED[name], abs=0.006)
    assert found.model == name


@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
def test_the_algorithm_is_the_plans(order):
    model = nn.models.resnet18(rng=0)
    x = np.zeros((1, 3, 32, 32), np.float32)
    given = x if order == "NCHW" else (1, 3, 32, 32)
    if order == "NHWC":
        x = np.moveaxis(np.zeros((1, 32, 32, 3), np.float32), -1, 1)
    row = nn.summary(model, given).rows[0]
    keywords = {"stride": 2, "padding": 3, "precision": "fast"}
    plan = npconv.plan(x, model["conv1"].weight.data, **keywords)
    assert row.algorithm == plan.algorithm
    times = {r.algorithm: r.seconds for r in plan.rows if r.seconds and not r.chosen}
    assert min(times, key=times.get) in row.why


@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
def test_the_memory_order_is_trainings_unless_an_array_says_another(order, monkeypatch):
    seen, plan = [], npconv.plan

    def spy(x, *args, **keywords):
        seen.append(x.strides.index(min(x.strides)))
        return plan(x, *args, **keywords)

    monkeypatch.setattr(npconv, "plan", spy)
    shape = (2, 3, 6, 6)
    nn.summary(small(), np.ones(shape) if order == "NCHW" else shape)
    assert seen == [3 if order == "NCHW" else 1] * 2


def test_weights_are_not_copied(monkeypatch):
    def refuses(self):
        raise AssertionError("copied")

    monkeypatch.setattr(nn.Parameter, "__getstate__", refuses)
    assert nn.summary(small(), (1, 3, 6, 6)).parameters == small().parameter_count


def test_named_algorithms_and_other_layers():
    s = nn.summary(small(algorithm="im2col_view"), (1, 3, 6, 6))
    assert s.rows[0][5:] == ("im2col_view", "asked for")
    assert [(row.algorithm, row.why) for row in s.rows if row.kind != "Conv2d"] == [("", "")] * 4


def test_transposed_convolutions():
    layer = nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1, groups=2)
    (row,) = nn.summary(nn.Sequential(layer), (2, 6, 5, 5)).rows
    assert row.shape == (2, 4, 10, 10)
    # Each number of x meets every tap of the outputs of its group.
    assert row.multiply_adds == 2 * 6 * 25 * (2 * 9)
    shape, padding = npconv.conv_transpose_geometry(
        (2, 6, 5, 5), (6, 2, 3, 3), stride=2, padding=1, output_padding=1, groups=2
    )
    last = np.moveaxis(np.zeros((2, 10, 10, 4), np.float32), -1, 1)
    assert last.shape == shape
    plan = npconv.plan(
        last, layer.weight.data, stride=2, padding=padding, groups=2, precision="fast",
        direction="input_grad",
    )  # fmt: skip
    assert row.algorithm == plan.algorithm


@pytest.mark.parametrize("axes", [1, 3])
def test_other_dimensions(axes):
    conv = {1: nn.Conv1d, 3: nn.Conv3d}[axes](2, 4, 3, bias=False)
    (row,) = nn.summary(conv, (1, 2, *[5] * axes)).rows
    assert (row.name, row.shape) == ("", (1, 4, *[3] * axes))
    assert row.multiply_adds == 4 * 2 * 3**axes * 3**axes


def test_a_layer_in_two_places_is_counted_once():
    shared = nn.Linear(4, 4)
    s = nn.summary(nn.Sequential(shared, nn.ReLU(), shared), (3, 4))
    assert [(row.kind, row.parameters) for row in s.rows] == [
        ("Linear", 20),
        ("ReLU", 0),
        ("Linear", 0),
    ]
    assert s.parameters == 20
    assert s.multiply_adds == 2 * 3 * 16


class Scaled(nn.Layer):
    """One's own layer: a number and a layer within."""

    def __init__(self):
        self.scale = nn.Parameter(np.ones(1, np.float32))
        self.inner = nn.Linear(4, 2)

    def forward(self, x, training=False):
        y, back = self.inner.forward(x, training)
        return self.scale.data * y, back


def test_ones_own_layer_is_a_row_after_those_within():
    s = nn.summary(nn.Sequential(Scaled()), (1, 4))
    assert [(row.name, row.parameters) for row in s.rows] == [("0.inner", 10), ("0", 1)]


def test_the_model_stays_as_it_was_and_works_meanwhile():
    model, x = small(), np.ones((1, 3, 6, 6), np.float32)
    before = {name: (array, array.copy()) for name, array in model.state_dict().items()}
    wanted, wrong = model(x), []

    def works():
        for _ in range(30):
            y, backprop = model.forward(x, False)
            wrong.append(not np.array_equal(y, wanted) or backprop(np.ones_like(y)) is None)

    thread = threading.Thread(target=works)
    thread.start()
    for _ in range(30):
        nn.summary(model, x)
    thread.join()
    assert len(wrong) == 30
    assert not any(wrong)
    for name, array in model.state_dict().items():
        assert array is before[name][0]
        np.testing.assert_array_equal(array, before[name][1])
    assert not any("forward" in vars(layer) for _, layer in model.modules())


def test_shapes_that_do_not_fit_name_the_place():
    with pytest.raises(ProblemError, match=r"Linear: (.|\n)*place +last"):
        nn.summary(small(), (1, 3, 7, 6))
    with pytest.raises(ProblemError, match=r"Conv2d: (.|\n)*channels(.|\n)*place +first"):
        nn.summary(small(), (1, 4, 6, 6))


@pytest.mark.parametrize("shape", [(1, 3.5, 6, 6), (-1, 3, 6, 6), "NCHW", 7])
def test_what_is_no_shape(shape):
    with pytest.raises(ProblemError, match="summary: x_shape is"):
        nn.summary(small(), shape)


def test_the_table_reads():
    text = str(nn.summary(nn.models.lenet5(rng=0), (64, 1, 28, 28)))
    lines = text.splitlines()
    assert lines[0] == "lenet5 of x 64x1x28x28"
    assert lines[1].split() == [
        "layer", "kind", "result", "parameters", "mult-adds", "algorithm", "why",
    ]  # fmt: skip
    assert lines[2].split()[:6] == ["features.0", "Conv2d", "64x6x28x28", "156", "7.53", "M"]
    assert lines[-1] == "61,706 parameters (0.2 MB), 26.7 M multiply-adds"
    assert all(line == line.rstrip() for line in lines)
    assert len(lines) == 3 + 12


def test_doubles_are_planned_as_doubles():
    s = nn.summary(nn.models.lenet5(rng=0, dtype="float64"), (1, 1, 28, 28))
    assert s.nbytes == 8 * 61_706
