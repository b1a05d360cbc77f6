"""The estimators: scikit-learn's own checks, images in all their shapes, and what they learn."""

from __future__ import annotations

import gzip
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn_data_cases import idx
from npconv import ProblemError, nn

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

RNG = np.random.default_rng(3)
X = RNG.normal(size=(90, 6, 8)).astype(np.float32)
HALVES = X[:, :, :4].mean((1, 2)) - X[:, :, 4:].mean((1, 2))
Y = np.where(HALVES > 0, "left", "right")
QUICK: dict[str, Any] = {"epochs": 2, "random_state": 0}


@parametrize_with_checks([nn.ConvNetClassifier(), nn.ConvNetRegressor()])
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_digits_are_learnt() -> None:
    train, test = nn.load_digits(1)
    net = nn.ConvNetClassifier(random_state=1).fit(train.images[:, 0], train.targets)
    assert net.score(test.images[:, 0], test.targets) > 0.985


def test_mnist_sized_idx_files_are_learnt(tmp_path: Path) -> None:
    train, test = nn.load_digits(0)
    for part, data in (("train", train[:700]), ("t10k", test[:150])):
        large = np.kron(data.images[:, 0], np.ones((3, 3)))
        large = np.pad(large * 255, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
        for name, array in (("images-idx3", large), ("labels-idx1", data.targets)):
            (tmp_path / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(idx(array), 1))
    train, test = nn.load_data(tmp_path)
    assert train.shape == (1, 28, 28)
    model = nn.models.lenet5(rng=0)
    nn.fit(model, train, 8, optimizer=nn.Adam(model, 3e-3), seed=0, progress=False)
    assert nn.evaluate(model, test)["accuracy"] > 0.9


@pytest.mark.parametrize("kind", [nn.ConvNetClassifier, nn.ConvNetRegressor])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_images_in_every_shape(kind: Any, channels: int) -> None:
    images = RNG.normal(size=(40, 6, 5, channels))
    targets = images[:, 0, 0, 0] > 0
    forms = [(images, None), (images.reshape(40, -1), (6, 5, channels)), (images, (6, 5, channels))]
    if channels == 1:
        forms += [(images[..., 0], None), (images[..., 0], (6, 5, 1)), (images, (6, 5))]
    forms.append((images.tolist(), None))
    nets = [kind(image_shape=shape, **QUICK).fit(x, targets) for x, shape in forms]
    for net in nets:
        assert net.image_shape_ == (6, 5, channels)
        assert net.n_features_in_ == 30 * channels
        for x, _ in forms:
            np.testing.assert_array_equal(net.predict(x), nets[0].predict(images))


def test_flat_rows_without_a_shape_are_sequences() -> None:
    net = nn.ConvNetClassifier(**QUICK).fit(X.reshape(90, 48), Y)
    assert net.image_shape_ == (48, 1)
    assert isinstance(net.model_[0], nn.Conv1d)


@pytest.mark.parametrize("kind", [nn.ConvNetClassifier, nn.ConvNetRegressor])
def test_random_state_fixes_every_bit(kind: Any) -> None:
    y = HALVES > 0
    first, again, other = (kind(epochs=2, random_state=s, augment=[nn.RandomShift(1)]).fit(X, y)
                           for s in (5, 5, 6))  # fmt: skip
    for name, array in first.model_.state_dict().items():
        np.testing.assert_array_equal(array, again.model_.state_dict()[name])
    assert not np.array_equal(first._outputs(X), other._outputs(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(first)).predict(X), first.predict(X))


def test_the_model_goes_to_a_file_and_back(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    net = nn.ConvNetClassifier(**QUICK).fit(X, Y)
    nn.save(net.model_, tmp_path / "m.safetensors")
    x = X[:3, None]
    np.testing.assert_array_equal(nn.load(tmp_path / "m.safetensors")(x), net.model_(x))


def test_probabilities_and_labels() -> None:
    net = nn.ConvNetClassifier(epochs=12, batch_size=16, random_state=0).fit(X, Y)
    share = net.predict_proba(X)
    np.testing.assert_allclose(share.sum(1), 1)
    np.testing.assert_array_equal(net.classes_[share.argmax(1)], net.predict(X))
    logits = nn.predict(net.model_, (X[:, None] - net.mean_) / net.std_)
    np.testing.assert_allclose(share, np.exp(logits) / np.exp(logits).sum(1)[:, None], atol=1e-4)
    assert net.score(X, Y) > 0.9


def test_regression_in_the_targets_own_units() -> None:
    y = np.stack([1000 + 50 * HALVES, -HALVES, 0 * HALVES + 7], axis=1)
    net = nn.ConvNetRegressor(epochs=30, batch_size=16, random_state=0).fit(X, y)
    assert net.predict(X).shape == (90, 3)
    np.testing.assert_allclose(net.predict(X)[:, 2], 7, atol=0.5)
    assert net.score(X, y, sample_weight=np.ones(90)) > 0.5
    far = 1e9 + 50 * HALVES  # float32 would be exact to 64 only
    one = nn.ConvNetRegressor(epochs=30, batch_size=16, random_state=0).fit(X, far)
    assert one.predict(X).shape == (90,)
    assert one.score(X, far) > 0.85


def test_in_scikit_learns_tools() -> None:
    flat = X.reshape(90, 48)
    pipe = make_pipeline(StandardScaler(), nn.ConvNetClassifier(image_shape=(6, 8), **QUICK))
    assert cross_val_score(pipe, flat, Y, cv=2).shape == (2,)
    search = GridSearchCV(
        nn.ConvNetClassifier(random_state=0, batch_size=16),
        {"epochs": [1, 12], "model": [None, "lenet"]},
        cv=2,
    )
    search.fit(X, Y)
    assert search.best_params_["epochs"] == 12
    assert search.best_estimator_.image_shape_ == (6, 8, 1)
    copied = clone(search.best_estimator_).set_params(epochs=3)
    assert copied.get_params()["epochs"] == 3
    assert not hasattr(copied, "model_")


def net_of(num_classes: int, image_size: tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(image_size[0] * image_size[1], num_classes, rng=0))


def test_models_by_name_by_function_and_as_layers() -> None:
    named = nn.ConvNetClassifier("lenet5", **QUICK).fit(X, Y)
    assert named.model_.recipe[0] == "lenet5"
    assert nn.ConvNetRegressor("lenet", **QUICK).fit(X, HALVES).predict(X).shape == (90,)
    built = nn.ConvNetClassifier(net_of, **QUICK).fit(X, Y)
    assert built.model_.parameter_count == 98
    layer = net_of(2, (6, 8))
    before = {name: array.copy() for name, array in layer.state_dict().items()}
    learnt = nn.ConvNetClassifier(layer, **QUICK).fit(X, Y)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
        assert not np.array_equal(array, learnt.model_.state_dict()[name])
    whole = nn.ConvNetClassifier(lambda **known: net_of(2, known["image_size"]), **QUICK)
    np.testing.assert_array_equal(whole.fit(X, Y).predict(X), learnt.predict(X))


@pytest.mark.parametrize("optimizer", ["adam", "sgd", lambda model, lr: nn.SGD(model, lr)])
def test_optimizers(optimizer: Any) -> None:
    net = nn.ConvNetClassifier(net_of, epochs=5, optimizer=optimizer, learning_rate=0.05)
    history = net.set_params(random_state=0).fit(X, Y).history_
    assert history["loss"][-1] < history["loss"][0]
    assert history["lr"][-1] < history["lr"][0] <= 0.05


def test_validation_and_early_stopping() -> None:
    noise = RNG.integers(0, 2, 90)  # nothing to learn: the validation loss soon rises
    seen = []

    def counted(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        seen.append(len(x))
        return x

    net = nn.ConvNetClassifier(
        epochs=60, validation_fraction=0.3, early_stopping=2, augment=[counted], random_state=0
    ).fit(X, noise)
    assert sum(seen) == 63 * len(net.history_)
    assert len(net.history_) < 60
    assert {"validation_loss", "validation_accuracy"} <= set(net.history_[0])


@pytest.mark.parametrize(
    "keywords, x, y, what",
    [
        ({}, X, Y == "none", r"y has only one class"),
        ({}, X * np.nan, Y, r"(?i)input X contains NaN"),
        ({}, X[:, None, None], Y, r"images of 48 numbers cannot be \(1, 1, 6, 8\)"),
        ({"image_shape": (8, 8)}, X, Y, r"images of 48 numbers cannot be \(8, 8\)"),
        ({"image_shape": 48}, X, Y, r"cannot be \(48,\)(.|\n)*\(height, width\) or"),
        ({"image_shape": (-6, -8)}, X, Y, r"cannot be \(-6, -8\)"),
        ({"image_shape": (8, 6)}, X, Y, r"X has images \(6, 8\), image_shape is \(8, 6\)"),
        (
            {"model": "lenet6"},
            X,
            Y,
            r"ConvNetClassifier: there is no model 'lenet6'; did you mean 'lenet5'(.|\n)*alexnet",
        ),
        ({"model": "lenet"}, X[:, 0], Y, r"X has flat rows, lenet takes images(.|\n)*image_shape="),
        ({"model": 3}, X, Y, r"model is 3(.|\n)*a name, a Layer, None"),
        ({"model": net_of(3, (6, 8))}, X, Y, r"the model gives \(3,\) for an image, y wants \(2,"),
        ({"optimizer": "adamax"}, X, Y, r"optimizer is 'adamax'(.|\n)*'adamw', 'adam', 'sgd'"),
        ({"batch_size": 0}, X, Y, r"batch_size is 0"),
        ({"early_stopping": 3}, X, Y, r"early_stopping has nothing to look at"),
    ],
)
def test_what_cannot_be(keywords: dict[str, Any], x: Any, y: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        nn.ConvNetClassifier(**{**QUICK, **keywords}).fit(x, y)


def test_images_of_another_shape_and_too_few() -> None:
    net = nn.ConvNetClassifier(**QUICK).fit(X, Y)
    with pytest.raises(ProblemError, match=r"images are \(8, 6\), those learnt from \(6, 8, 1\)"):
        net.predict(X.transpose(0, 2, 1))
    with pytest.raises(ValueError, match=r"X has 24 features, but .* expecting 48"):
        net.predict(X[:, :3])
    with pytest.raises(ValueError, match=r"1 sample\(s\) .* while a minimum of 2 is required"):
        nn.ConvNetRegressor(net_of, **QUICK).fit(X[:1], [1.0])


def test_without_scikit_learn() -> None:
    code = """
import sys
sys.modules["sklearn"] = None
from npconv import nn, ProblemError
assert nn.Dataset([[[1.0]], [[2.0]]], [0, 1]).outputs == 2
try:
    nn.load_digits()
except ProblemError as error:
    print(error)
try:
    nn.ConvNetClassifier
except ImportError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.count("pip install 'npconv[nn]'") == 2


def test_scikit_learn_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys; from npconv import nn; print('sklearn' in sys.modules, hasattr(nn, 'x'))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]
    assert {"ConvNetClassifier", "ConvNetRegressor"} <= set(dir(nn))
