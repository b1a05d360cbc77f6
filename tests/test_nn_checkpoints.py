"""A training that was stopped goes on as if it had not been, bit for bit; what is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nn_training_cases import Shaken, arrays, model, same, timeless
from npconv import ProblemError, nn
from npconv.nn import checkpoints, run
from npconv.nn.weights import load_arrays, save_arrays

pytest.importorskip("safetensors")

OPTIMIZERS = {
    "sgd": lambda net: nn.SGD(net, 0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda net: nn.Adam(net, 0.01, amsgrad=True),
}
BATCHES = 6  # an epoch's


def fit(net, path=None, epochs=3, data=None, **keywords):
    keywords = {
        "optimizer": OPTIMIZERS["adam"](net),
        "schedule": nn.SequentialLR([nn.LinearLR(), nn.CosineAnnealingLR(4)], [1]),
        "batch_size": 16,
        "validation": arrays(30, 2),
        "early_stopping": 5,
        "seed": 11,
        "clip": 1.0,
        "checkpoint": path,
        "progress": False,
    } | keywords
    return nn.fit(net, Shaken() if data is None else data, epochs, **keywords)


class Stopped(Shaken):
    """Data that is stopped by Ctrl-C when it is asked for one batch too many."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def batches(self, batch_size, rng=None, training=False):
        for batch in super().batches(batch_size, rng, training):
            if self.left == 0:
                raise KeyboardInterrupt("stop")
            self.left -= 1
            yield batch


@pytest.mark.parametrize("often", (True, False))  # after each batch, or each epoch
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("after", (0, 1, 4, BATCHES, BATCHES + 1, 2 * BATCHES + 5, 3 * BATCHES))
def test_stopped_and_resumed(tmp_path, monkeypatch, often, optimizer, after):
    monkeypatch.setattr(run, "SAVE_SECONDS", -1.0 if often else 1e9)
    path, make = tmp_path / "a.safetensors", OPTIMIZERS[optimizer]
    want = model()
    history = fit(want, optimizer=make(want))
    net = model()
    try:
        fit(net, path, data=Stopped(after), optimizer=make(net))
    except KeyboardInterrupt:
        assert after < 3 * BATCHES
    net = model(seed=99)  # as another process would have one
    again = fit(net, path, optimizer=make(net), resume=True)
    same(net.state_dict(), want.state_dict())
    assert timeless(again) == timeless(history)


def test_a_checkpoint_within_an_epoch_saves_work(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "SAVE_SECONDS", -1.0)
    path = tmp_path / "a.safetensors"
    with pytest.raises(KeyboardInterrupt, match="stop"):
        fit(model(), path, data=Stopped(BATCHES + 4))
    state = nn.Checkpoint.load(path)
    assert (state.epoch, state.batch) == (1, 4)
    learnt = []
    monkeypatch.setattr(run.Run, "batch", lambda self, state, *rest: learnt.append(state.batch))
    fit(model(), path, epochs=2, resume=True)
    assert learnt == [4, 5]


def test_an_optimizer_torn_in_the_middle_of_a_step(tmp_path):
    path, want, net = tmp_path / "a.safetensors", model(), model()
    fit(want)
    optimizer = OPTIMIZERS["adam"](net)
    calls = []

    def torn(*arrays, **settings):
        calls.append(1)
        if len(calls) == 2 * BATCHES + 2:  # half of the parameters are changed
            raise KeyboardInterrupt("stop")
        nn.Adam._change(optimizer, *arrays, **settings)

    optimizer._change = torn
    with pytest.raises(KeyboardInterrupt, match="stop"):
        fit(net, path, optimizer=optimizer)
    net = model()
    fit(net, path, resume=True)
    same(net.state_dict(), want.state_dict())


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from npconv.nn import run
from test_nn_checkpoints import fit, model, Shaken
run.SAVE_SECONDS = -1.0
fit(model(), {path!r}, 40, resume=True, data=Shaken(500))
"""


def standing(path):
    """Where the training stands; its file is always there and whole."""
    if not path.exists():
        return 0, 0
    state = nn.Checkpoint.load(path)
    return state.epoch, state.batch


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_killed_and_resumed(tmp_path):
    path = tmp_path / "a.safetensors"
    script = SCRIPT.format(tests=str(Path(__file__).parent), path=str(path))
    before = (0, 0)
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", script])
        until = time.monotonic() + 60
        while (now := standing(path)) <= (before[0], before[1] + 2):
            assert time.monotonic() < until
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert now <= standing(path) < (40, 0)
        before = standing(path)
    want, net = model(), model(seed=7)
    fit(want, epochs=40, data=Shaken(500))
    fit(net, path, 40, data=Shaken(500), resume=True)
    same(net.state_dict(), want.state_dict())


def test_more_epochs_than_before(tmp_path):
    path, want = tmp_path / "a.safetensors", model()
    history = fit(want, epochs=5)
    net = model()
    assert len(fit(net, path, epochs=2)) == 2
    again = fit(net, path, epochs=5, resume=True)
    same(net.state_dict(), want.state_dict())
    assert timeless(again) == timeless(history)
    done = model(seed=5)
    assert timeless(fit(done, path, epochs=5, resume=True)) == timeless(history)
    same(done.state_dict(), want.state_dict())


def test_a_training_that_stopped_early_stays_so(tmp_path):
    path, net = tmp_path / "a.safetensors", model()
    few = arrays(6)
    history = fit(net, path, 200, few, early_stopping=2, schedule=None)
    assert len(history) < 200
    again = model(seed=1)
    other = fit(again, path, 200, few, early_stopping=2, schedule=None, resume=True)
    assert other.records == history.records
    same(again.state_dict(), net.state_dict())


def test_no_seed_is_the_files(tmp_path):
    path, net, again = tmp_path / "a.safetensors", model(), model()
    fit(net, path, seed=None)
    seed = nn.Checkpoint.load(path).settings["seed"]
    fit(again, seed=seed)
    same(net.state_dict(), again.state_dict())
    with pytest.raises(KeyboardInterrupt, match="stop"):
        fit(model(), path, data=Stopped(2 * BATCHES), seed=seed)
    again = model()
    fit(again, path, seed=None, resume=True)
    same(net.state_dict(), again.state_dict())


def test_without_a_file_it_starts_and_without_resume_it_starts_anew(tmp_path):
    path, want, net = tmp_path / "a.safetensors", model(), model()
    fit(want)
    assert len(fit(net, path, resume=True)) == 3
    same(net.state_dict(), want.state_dict())
    net = model()
    fit(net, path, resume=False)
    same(net.state_dict(), want.state_dict())


def test_the_file_is_arrays_and_json(tmp_path):
    path, net = tmp_path / "a.safetensors", model()
    fit(net, path)
    arrays, metadata = load_arrays(path)
    assert {name.split(".")[0] for name in arrays} == {"model", "optimizer", "best"}
    assert {name[6:] for name in arrays if name.startswith("model.")} == set(net.state_dict())
    told = json.loads(metadata["npconv_training"])
    assert (told["epoch"], told["batch"], len(told["records"])) == (3, 0, 3)
    assert os.listdir(tmp_path) == ["a.safetensors"]


OTHER = [
    ({"seed": 12}, r"other settings: seed.\n  seed  11 there, 12 here"),
    ({"batch_size": 8}, "batch_size"),
    ({"clip": None}, "clip"),
    ({"schedule": nn.StepLR(2)}, "schedule"),
    ({"data": Shaken(91)}, "examples"),
    ({"loss": nn.CrossEntropyLoss(label_smoothing=0.5)}, "loss"),
    ({"validation": None, "early_stopping": None}, "validation, keeps_best"),
]


@pytest.mark.parametrize("keywords, message", OTHER)
def test_other_settings_are_refused(tmp_path, keywords, message):
    path, net = tmp_path / "a.safetensors", model()
    fit(net, path, epochs=1)
    net = model(seed=9)
    before = checkpoints.snapshot(net)
    with pytest.raises(ProblemError, match=message):
        fit(net, path, resume=True, **keywords)
    same(net.state_dict(), before)


def test_another_optimizer_or_model_is_refused(tmp_path):
    path, net = tmp_path / "a.safetensors", model()
    fit(net, path, epochs=1)
    with pytest.raises(ProblemError, match="optimizer  Adam.*there, SGD.*here"):
        fit(net, path, optimizer=nn.SGD(net), resume=True)
    other = nn.Sequential({"body": model()})
    before = checkpoints.snapshot(other)
    with pytest.raises(ProblemError, match="names are missing"):
        fit(other, path, resume=True)
    same(other.state_dict(), before)


def test_an_optimizer_that_does_not_fit_leaves_the_model(tmp_path):
    path, net = tmp_path / "a.safetensors", model()
    fit(net, path, epochs=1)
    net = model(seed=9)
    before = checkpoints.snapshot(net)
    some = {name: p for name, p in net.named_parameters() if name.startswith("last")}
    optimizer = nn.Adam(some.items(), 0.01, amsgrad=True)
    with pytest.raises(ProblemError, match="is not this optimizer's"):
        fit(net, path, epochs=2, optimizer=optimizer, resume=True)
    same(net.state_dict(), before)


def truncated(path):
    path.write_bytes(path.read_bytes()[:-50])


def weights_alone(path):
    save_arrays(path, {"a": np.ones(3)})


def no_json(path):
    save_arrays(path, {"model.a": np.ones(3)}, {"npconv_training": "{"})


def too_many_keys(path):
    save_arrays(path, {"model.a": np.ones(3)}, {"npconv_training": '{"settings": {}, "more": 1}'})


def strange_array(path):
    save_arrays(path, {"other.a": np.ones(3)}, {"npconv_training": '{"settings": {}}'})


BAD = [
    (truncated, "damaged or cut short"),
    (weights_alone, "not a checkpoint"),
    (no_json, "not a checkpoint"),
    (too_many_keys, "not a checkpoint"),
    (strange_array, "holds other.a"),
    (lambda path: path.write_bytes(b""), "not a safetensors file"),
]


@pytest.mark.parametrize("spoil, message", BAD)
def test_a_bad_file_is_refused(tmp_path, spoil, message):
    path, net = tmp_path / "a.safetensors", model()
    fit(net, path, epochs=1)
    net = model(seed=9)
    before = checkpoints.snapshot(net)
    spoil(path)
    with pytest.raises(ProblemError, match=message):
        fit(net, path, resume=True)
    same(net.state_dict(), before)


def test_a_stop_while_writing_leaves_the_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    fit(model(), path, epochs=1)
    before = path.read_bytes()

    def stopped(*paths):
        raise KeyboardInterrupt("stop")

    monkeypatch.setattr(os, "replace", stopped)
    with pytest.raises(KeyboardInterrupt, match="stop"):
        fit(model(), path, epochs=2, resume=True)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_weights_keep_their_memory_order(tmp_path):
    path, net = tmp_path / "a.safetensors", model()
    fit(net, path)
    strides = {name: array.strides for name, array in model().state_dict().items()}
    assert {name: array.strides for name, array in net.state_dict().items()} == strides
    net = model()
    fit(net, path, resume=True)
    assert {name: array.strides for name, array in net.state_dict().items()} == strides


def test_a_stop_says_how_to_go_on(tmp_path, capfd):
    path = tmp_path / "a.safetensors"
    with pytest.raises(KeyboardInterrupt, match="stop"):
        fit(model(), path, data=Stopped(BATCHES + 1), progress=True)
    assert f"stopped; resume=True goes on from {path}" in capfd.readouterr().err


def network(rng):
    rng = np.random.default_rng(rng)
    return nn.Sequential(
        nn.Conv2d(3, 8, 2, padding=1, rng=rng),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(72, 3, rng=rng),
    )


def test_a_convolution_network_stopped_and_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "SAVE_SECONDS", -1.0)
    path, want, net = tmp_path / "a.safetensors", network(0), network(0)
    fit(want, data=Shaken())
    with pytest.raises(KeyboardInterrupt, match="stop"):
        fit(net, path, data=Stopped(BATCHES + 3))
    net = network(1)
    fit(net, path, resume=True)
    same(net.state_dict(), want.state_dict())
