"""`fit`, `evaluate` and `predict`: what they learn, what the seed fixes, what they refuse."""

import io
import math
import weakref

import numpy as np
import pytest
from rich.console import Console

from nn_training_cases import Dense, Shaken, arrays, model, same, timeless
from npconv import ProblemError, nn


def fit(net, data=None, epochs=4, **keywords):
    keywords = {"seed": 3, "batch_size": 16, "progress": False} | keywords
    return nn.fit(net, arrays() if data is None else data, epochs, **keywords)


def test_it_learns():
    net = model()
    history = fit(net, epochs=20, validation=arrays(60, 2), optimizer=nn.Adam(net, 0.02))
    assert history["epoch"] == list(range(1, 21))
    assert history["loss"][-1] < 0.2 < history["loss"][0]
    assert history["validation_accuracy"][-1] > 0.9
    assert set(history[-1]) == {
        "epoch", "loss", "accuracy", "validation_loss", "validation_accuracy",
        "lr", "seconds", "images_per_second",
    }  # fmt: skip
    found = nn.evaluate(net, arrays(60, 2))
    assert found["loss"] == pytest.approx(history["validation_loss"][-1])
    assert found["accuracy"] == history["validation_accuracy"][-1]


def test_the_seed_fixes_everything():
    first, again, other = model(), model(), model()
    one, two = (fit(net, Shaken(), validation=arrays(20, 2)) for net in (first, again))
    fit(other, Shaken(), seed=4)
    same(first.state_dict(), again.state_dict())
    assert timeless(one) == timeless(two)
    assert (first["last"].weight.data != other["last"].weight.data).any()


def test_the_global_random_state_is_neither_read_nor_changed():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = model(), model()
    fit(one, seed=None, epochs=1)
    fit(two, seed=None, epochs=1)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert (one["last"].weight.data != two["last"].weight.data).any()


class Recorded:
    """Data that keeps what was asked of it."""

    def __init__(self, count):
        self.pair, self.asked = nn.batches.Pair(np.arange(count)[:, None], np.zeros(count)), []

    def __len__(self):
        return len(self.pair)

    def batches(self, batch_size, rng=None, training=False):
        found = list(self.pair.batches(batch_size, rng, training))
        self.asked.append(([x[:, 0].tolist() for x, _ in found], training))
        return iter(found)


def one_weight():
    return Dense(np.random.default_rng(0), 1, 1, dtype=np.float64)


def first_of(y, target):
    return float(y[0, 0])


def test_each_epoch_has_all_examples_in_another_order():
    data, checked = Recorded(9), Recorded(5)
    fit(one_weight(), data, 3, validation=checked, batch_size=4, loss=Slope())
    orders = [[i for batch in batches for i in batch] for batches, _ in data.asked]
    assert all(sorted(order) == list(range(9)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    # In training no example is left alone; in use the order is kept.
    assert [len(batch) for batch in data.asked[0][0]] == [4, 5]
    assert checked.asked == [([[0, 1, 2, 3], [4]], False)] * 3


class Slope(nn.Loss):
    """y itself, whatever the target."""

    def terms(self, y, target):
        return y.copy(), np.ones_like(y), y.size


def test_the_schedule_is_asked_before_every_batch():
    asked = []

    def schedule(time, lr):
        asked.append(time)
        return lr * (1 + time)

    net = one_weight()
    start = net.weight.data.item()
    data = np.ones((6, 1)), np.zeros(6)
    optimizer = nn.SGD(net, lr=0.5)
    history = fit(net, data, 2, schedule=schedule, optimizer=optimizer, loss=Slope(), batch_size=2)
    want = [0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3]
    assert sorted(set(asked)) == pytest.approx(want)
    assert net.weight.data.item() == pytest.approx(start - 0.5 * sum(1 + t for t in want))
    assert history["lr"] == pytest.approx([0.5 * 5 / 3, 0.5 * 8 / 3])
    assert optimizer.lr == 0.5


def test_gradients_are_clipped():
    net = one_weight()
    start = net.weight.data.item()
    optimizer = nn.SGD(net, lr=1.0)
    fit(net, (np.full((4, 1), 50.0), np.zeros(4)), 1, clip=0.25, loss=Slope(), optimizer=optimizer)
    assert net.weight.data.item() == pytest.approx(start - 0.25, abs=1e-6)


def test_early_stopping_restores_the_lowest():
    net = model()
    few = arrays(6)  # learnt by heart at once
    history = fit(net, few, 60, validation=arrays(60, 5), early_stopping=3, batch_size=3,
                  optimizer=nn.Adam(net, 0.05))  # fmt: skip
    best = history.best()
    assert len(history) == best["epoch"] + 3 < 60
    assert best["validation_loss"] == min(history["validation_loss"])
    assert history["validation_loss"][-1] > best["validation_loss"]
    found = nn.evaluate(net, arrays(60, 5), 3)
    assert found["loss"] == best["validation_loss"]


def test_the_lowest_is_restored_at_the_last_epoch_too():
    net = model()
    optimizer = nn.SGD(net, 20.0)  # ever worse
    history = fit(net, epochs=3, validation=arrays(60, 5), early_stopping=9, optimizer=optimizer)
    assert len(history) == 3
    found = nn.evaluate(net, arrays(60, 5), 16)
    assert found["loss"] == history.best()["validation_loss"]


def test_metrics_of_ones_own():
    net = model()
    history = fit(net, epochs=1, metrics={"first": first_of}, validation=arrays(10, 2))
    assert {"first", "validation_first"} < set(history[0])
    assert "accuracy" not in history[0]
    assert fit(net, (arrays()[0], np.ones((90, 3))), 1, loss=nn.MSELoss())[0].keys() == {
        "epoch", "loss", "lr", "seconds", "images_per_second"
    }  # fmt: skip


def test_evaluation_and_prediction_know_no_batches():
    net, (x, target) = model(), arrays(50)
    y = net(x)
    for size in (1, 7, 50, 1000):
        np.testing.assert_allclose(nn.predict(net, x, size), y, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(nn.predict(net, Shaken(50), size), y, rtol=1e-5, atol=1e-6)
        found = nn.evaluate(net, (x, target), size)
        assert found["accuracy"] == pytest.approx(np.mean(y.argmax(1) == target))
        assert found["loss"] == pytest.approx(nn.CrossEntropyLoss()(y, target)[0], rel=1e-5)
    summed = nn.evaluate(net, (x, target), 7, loss=nn.CrossEntropyLoss(reduction="sum"))
    assert summed["loss"] == pytest.approx(found["loss"], rel=1e-5)
    assert nn.accuracy([[0, 1], [1, 0]], [[0, 1], [0.4, 0.6]]) == 0.5
    assert nn.accuracy([[0, 1], [1, 0]], [1, -100]) == 1.0
    assert np.isnan(nn.accuracy([[0, 1]], [2], ignore_index=2))
    assert nn.binary_accuracy([-1.0, 1.0, 2.0, -2.0], [0, 1, 0, 0]) == 0.75


def test_batches_come_in_the_models_dtype_and_channels_last():
    seen = []

    class Look(nn.Layer):
        def forward(self, x, training=False):
            seen.append((x.dtype, x.strides))
            return x, lambda grad, wanted=True: grad

    net = nn.Sequential(Look(), Dense(np.random.default_rng(0), 12, 3, dtype=np.float64))
    x, target = arrays(4)
    fit(net, ((255 * x).astype(np.uint8), target), 1)
    nn.predict(net, x)
    assert seen == [(np.float64, (96, 8, 48, 24))] * 2


def test_a_batch_is_forgotten_before_the_next():
    alive, most = weakref.WeakSet(), []

    class Held:
        pass

    class Holding(nn.Layer):
        def forward(self, x, training=False):
            most.append(len(alive))
            held = Held()
            alive.add(held)
            return x, lambda grad, wanted=True: (held, grad)[1]

    fit(nn.Sequential(Holding(), model()))
    assert set(most) == {0}


X, TARGET = arrays(40)


class Batches:
    def __init__(self, *batches):
        self.given = batches

    def __len__(self):
        return 40

    def batches(self, batch_size, rng=None, training=False):
        yield from self.given


def spoiled(value=np.nan):
    x = X.copy()
    x[33, 1, 1, 1] = value
    return x


GOOD = X[:20], TARGET[:20]
WRONG = [
    ((spoiled(), TARGET), {}, r"fit, epoch 1, batch \d: x holds NaN or infinity in 1 of"),
    ((spoiled(np.inf), TARGET), {}, "x holds NaN"),
    (Batches(GOOD, (spoiled()[20:], TARGET[20:])), {}, r"epoch 1, batch 2(.|\n)*first  example 13"),
    (Batches(GOOD, (X[:0], TARGET[:0])), {}, "fit, epoch 1, batch 2: there are no examples"),
    (Batches(GOOD, (X[:9], TARGET[:8])), {}, r"batch 2: x is \(9, 3, 2, 2\), target \(8,\)"),
    (Batches(), {}, "data gives no batches in epoch 1"),
    ((X, TARGET[:-1]), {}, "data holds 40 examples and 39 targets"),
    ((X[:0], TARGET[:0]), {}, "data holds no examples"),
    (X, {}, "data is a ndarray"),
    ((X, TARGET + 1), {}, "target holds 3 at"),
    ((X, np.full((40, 3), np.nan)), {"loss": nn.MSELoss()}, "target is not finite"),
    ((X, TARGET), {"validation": (spoiled(), TARGET)}, "fit, validation of epoch 1: evaluate, b"),
    ((X, TARGET), {"validation": (X, TARGET[1:])}, "validation holds 40 examples and 39"),
    ((X.astype(complex), TARGET), {}, "x is complex128"),
    ((X, TARGET), {"batch_size": 0}, "batch_size is 0"),
    ((X, TARGET), {"batch_size": 2.5}, "batch_size is 2.5"),
    ((X, TARGET), {"epochs": -1}, "epochs is -1"),
    ((X, TARGET), {"seed": -1}, "seed is -1"),
    ((X, TARGET), {"early_stopping": 3}, "early_stopping has nothing to look at"),
    ((X, TARGET), {"early_stopping": 0, "validation": GOOD}, "early_stopping is 0"),
    ((X, TARGET), {"optimizer": nn.SGD(model())}, "none of the model's parameters"),
    ((X, TARGET), {"loss": nn.CrossEntropyLoss(reduction="none")}, 'reduction="none"'),
    ((X, TARGET), {"metrics": {"loss": first_of}}, "a metric is named 'loss'"),
]


@pytest.mark.parametrize("data, keywords, message", WRONG)
def test_what_is_refused(data, keywords, message):
    with pytest.raises(ProblemError, match=message):
        fit(model(), data, **keywords)


def test_a_bad_batch_teaches_nothing():
    net, want = model(), model()
    fit(want, Batches(GOOD), 1)
    with pytest.raises(ProblemError, match="batch 2"):
        fit(net, Batches(GOOD, (spoiled(), TARGET)), 1)
    same(net.state_dict(), want.state_dict())


def test_a_training_that_diverges_says_so():
    net = one_weight()
    data, optimizer = (np.ones((4, 1)), np.ones((4, 1))), nn.SGD(net, 1e9)
    diverged = r"epoch \d+, batch 1: the loss is (nan|inf): the training diverges(.|\n)*lower lea"
    with pytest.raises(ProblemError, match=diverged):
        fit(net, data, 50, loss=nn.MSELoss(), optimizer=optimizer)


@pytest.mark.parametrize("call", (nn.predict, nn.evaluate))
def test_use_refuses_too(call):
    name = call.__name__
    net, give = model(), (lambda x, t: x) if call is nn.predict else (lambda x, t: (x, t))
    with pytest.raises(ProblemError, match=f"{name}, batch 5: x holds NaN(.|\n)*example 1 of"):
        call(net, give(spoiled(), TARGET), 8)
    with pytest.raises(ProblemError, match=f"{name}: (x|data) holds no examples"):
        call(net, give(X[:0], TARGET[:0]))
    with pytest.raises(ProblemError, match=f"{name}: batch_size is 0"):
        call(net, give(X, TARGET), 0)


@pytest.mark.parametrize("terminal", (True, False))
def test_what_is_shown(terminal):
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=110)
    history = fit(model(), epochs=2, validation=arrays(10, 2), progress=console)
    lines = [line for line in text.getvalue().splitlines() if "validation loss" in line]
    assert len(lines) == 2
    assert f"epoch 1/2  loss {history[0]['loss']:.4f}  accuracy" in lines[0]
    assert f"{100 * history[1]['validation_accuracy']:.2f} %" in lines[1]
    assert "images/s" in lines[1]
    assert lines[0].rstrip().endswith("best")
    assert ("left" in text.getvalue()) == terminal


def test_nothing_is_shown(capfd):
    fit(model())
    assert capfd.readouterr() == ("", "")
    fit(model(), progress=True, epochs=1)
    out, error = capfd.readouterr()
    assert out == ""
    assert error.startswith("epoch 1/1  loss")


def test_history_is_data(tmp_path):
    history = nn.History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": math.nan}])
    again = nn.History.from_json(history.to_json(tmp_path / "history.json"))
    assert repr(again.records) == repr(history.records)
    assert (tmp_path / "history.json").read_text() == history.to_json() + "\n"
    assert history.best("loss") == {"epoch": 1, "loss": 0.5}
    assert [record["epoch"] for record in history] == [1, 2]
    assert repr(history) == "History(2 epochs; loss nan)"
    assert repr(nn.History()) == "History(0 epochs)"
    more = nn.History([{"epoch": n, "accuracy": a} for n, a in ((1, 0.5), (2, 0.9), (3, 0.9))])
    assert more.best("accuracy", most=True)["epoch"] == 2
    with pytest.raises(ProblemError, match="no epoch has a validation_loss"):
        history.best()


def test_history_as_a_plot(tmp_path):
    pytest.importorskip("matplotlib")
    history = fit(model(), epochs=3, validation=arrays(10, 2))
    drawing = history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert [axes.get_title() for axes in drawing.axes] == ["loss", "accuracy"]
    for axes in drawing.axes:
        name = axes.get_title()
        lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
        assert lines["training"] == [[r["epoch"], r[name]] for r in history]
        assert lines["validation"] == [[r["epoch"], r[f"validation_{name}"]] for r in history]
    with pytest.raises(ProblemError, match="no epochs to draw"):
        nn.History().plot()
