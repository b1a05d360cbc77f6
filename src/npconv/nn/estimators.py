"""Convolution networks in scikit-learn's manner: `ConvNetClassifier` and `ConvNetRegressor`."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npconv import ProblemError
from npconv.nn.building import build_model, build_optimizer
from npconv.nn.cross_entropy import CrossEntropyLoss
from npconv.nn.data import Dataset, normalise
from npconv.nn.data.arrays import Augment
from npconv.nn.evaluation import predict
from npconv.nn.layer import Layer
from npconv.nn.losses import Loss, MSELoss
from npconv.nn.models import small_net
from npconv.nn.schedules import CosineAnnealingLR
from npconv.nn.scikit import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    check_classification_targets,
    check_is_fitted,
    check_random_state,
    column_or_1d,
    validate_data,
)
from npconv.nn.training import fit

_BATCH = 256  # images at once in prediction
_SHAPES = "(height, width) or (height, width, channels)"


class _ConvNet(BaseEstimator):  # type: ignore[misc]
    """What both estimators share."""

    _loss: type[Loss]

    def __init__(
        self,
        model: str | Callable[..., Layer] | Layer | None = None,
        *,
        image_shape: tuple[int, ...] | None = None,
        epochs: int = 20,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        optimizer: str | Callable[..., Any] = "adamw",
        augment: Sequence[Augment] | None = None,
        validation_fraction: float | None = None,
        early_stopping: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.image_shape = image_shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.augment = augment
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _checked(self, X: Any, y: Any, **checks: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the images to learn from, (N, C, *spatial), and y."""
        flat, shape = _rows(X)
        flat, y = validate_data(self, flat, y, dtype=np.float32, ensure_min_samples=2, **checks)
        self.image_shape_ = self._shape(shape, flat.shape[1])
        return self._images(flat), y

    def _shape(self, shape: tuple[int, ...], features: int) -> tuple[int, ...]:
        """Return (height, width, channels); (features, 1) where nothing says what is where."""
        given = () if self.image_shape is None else tuple(np.ravel(self.image_shape).tolist())
        named = given or shape
        if not named:
            return features, 1
        full = (*named, 1)[:3]
        if len(named) not in (2, 3) or min(named) < 1 or math.prod(full) != features:
            raise self._error(f"images of {features} numbers cannot be {named}.", rule=_SHAPES)
        if shape and (*shape, 1)[:3] != full:
            raise self._error(f"X has images {shape}, image_shape is {given}.")
        return full

    def _images(self, flat: np.ndarray) -> np.ndarray:
        return np.moveaxis(flat.reshape(-1, *self.image_shape_), -1, 1)

    def _learn(self, images: np.ndarray, targets: np.ndarray, outputs: int) -> None:
        """Build the model and train it."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        classes = range(outputs) if targets.dtype.kind == "i" else ()
        data = Dataset(images, targets, list(map(str, classes)), augment=self.augment or ())
        held = None
        if self.validation_fraction is not None:
            data, held = data.split(self.validation_fraction, seed)
        self.mean_, self.std_ = data.mean, data.std
        where, rng = type(self).__name__, np.random.default_rng(seed)
        chosen = self._default() if self.model is None else self.model
        model = build_model(chosen, data.shape, outputs, rng, where)
        given = model(next(data.batches(1))[0]).shape[1:]
        if given != (outputs,):
            raise self._error(f"the model gives {given} for an image, y wants {(outputs,)}.")
        self.history_ = fit(
            model,
            data,
            self.epochs,
            loss=self._loss(),
            optimizer=build_optimizer(self.optimizer, model, self.learning_rate, where),
            schedule=CosineAnnealingLR(self.epochs),
            batch_size=self.batch_size,
            validation=held,
            early_stopping=self.early_stopping,
            seed=seed,
            progress=bool(self.verbose),
        )
        self.model_ = model

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the model's numbers for each image, (N, outputs).

        They are computed in float64: what an image gets must not depend on the images beside it.
        """
        check_is_fitted(self)
        flat, shape = _rows(X)
        flat = validate_data(self, flat, reset=False, dtype=np.float32)
        if shape and (*shape, 1)[:3] != self.image_shape_:
            raise self._error(f"images are {shape}, those learnt from {self.image_shape_}.")
        x = normalise(self._images(flat), self.mean_, self.std_)
        return predict(copy.deepcopy(self.model_).astype(np.float64), x, _BATCH)

    def _default(self) -> Callable[..., Layer]:
        return small_net

    def _error(self, sentence: str, **parts: Any) -> ProblemError:
        return ProblemError(sentence, where=type(self).__name__, **parts)


class ConvNetClassifier(ClassifierMixin, _ConvNet):  # type: ignore[misc]
    """A convolution network that tells classes apart, as scikit-learn's classifiers do.

    X is (N, height, width), (N, height, width, channels) or flat rows, see image_shape; its numbers
    are normalised by the mean and the spread of what is learnt from.

    Parameters
    ----------
    model : str, callable, Layer or None
        A name of `nn.models`; or what builds a layer, called with those of num_classes,
        in_channels, image_size and rng that it takes; or a layer, a copy of which learns. None is a
        small network whose size follows the images'.
    image_shape : (int, int) or (int, int, int), optional
        Height, width and channels of an image where X has flat rows. Without it these are taken as
        sequences of numbers, and convolutions run along them.
    epochs, batch_size : int
        How often all images are seen, and how many at once.
    learning_rate : float
        At the beginning; it falls to 0 by half a cosine.
    optimizer : "adamw", "adam", "sgd" or callable
        ``optimizer(model, lr)``.
    augment : sequence of callables, optional
        Changes to images while learning, ``[nn.RandomShift(1)]``.
    validation_fraction : float, optional
        Of the images, kept back to try the model on after each epoch.
    early_stopping : int, optional
        Epochs without a lower validation loss after which to stop; the best model is kept.
    random_state : int, RandomState or None
        Fixes the first weights, the order and the augmentation.
    verbose : bool
        Whether to show the training as it goes.

    Attributes
    ----------
    model_ : Layer
        What has learnt, from images normalised by mean_ and std_.
    history_ : History
        Loss and metrics of each epoch.
    image_shape_ : tuple of int
        (height, width, channels), or (features, 1) of flat rows.
    n_features_in_ : int
        Numbers in an image.
    classes_ : ndarray
        The labels, in order.

    Notes
    -----
    Learning is in float32, prediction in float64: what an image gets does not depend on the images
    beside it. The default learns scikit-learn's 8 x 8 digits to over 99 % in seconds.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> X = np.random.default_rng(0).normal(size=(80, 6, 6))
    >>> y = np.where(X[:, :3].sum((1, 2)) > X[:, 3:].sum((1, 2)), "upper", "lower")
    >>> net = nn.ConvNetClassifier(epochs=10, batch_size=16, random_state=0).fit(X, y)
    >>> net.classes_.tolist(), net.score(X, y) > 0.9, net.predict_proba(X).shape
    (['lower', 'upper'], True, (80, 2))
    """

    _loss = CrossEntropyLoss

    def fit(self, X: ArrayLike, y: ArrayLike) -> ConvNetClassifier:
        """Learn from images and their labels (N,)."""
        images, labels = self._checked(X, y)
        check_classification_targets(labels)
        self.classes_, targets = np.unique(column_or_1d(labels, warn=True), return_inverse=True)
        if len(self.classes_) < 2:
            raise self._error("y has only one class: there is nothing to tell apart.")
        self._learn(images, targets, len(self.classes_))
        return self

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return each image's probabilities of the classes, (N, classes)."""
        logits = self._outputs(X)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return each image's most probable label, (N,)."""
        chosen = self._outputs(X).argmax(axis=1)
        return self.classes_[chosen]


class ConvNetRegressor(RegressorMixin, _ConvNet):  # type: ignore[misc]
    """A convolution network that predicts values, as scikit-learn's regressors do.

    Parameters and attributes are those of `ConvNetClassifier`, but for classes_. The network learns
    the values in units of their spread.

    Examples
    --------
    >>> import numpy as np
    >>> from npconv import nn
    >>> X = np.random.default_rng(0).normal(size=(80, 6, 6))
    >>> net = nn.ConvNetRegressor(batch_size=16, random_state=0).fit(X, X[:, 2, 3])
    >>> net.score(X, X[:, 2, 3]) > 0.8, net.predict(X[:5]).shape
    (True, (5,))
    """

    _loss = MSELoss

    def _default(self) -> Callable[..., Layer]:
        return functools.partial(small_net, dropout=0.0)  # it would be noise in the values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> ConvNetRegressor:
        """Learn from images and their values (N,) or (N, values)."""
        images, values = self._checked(X, y, multi_output=True, y_numeric=True)
        values = np.asarray(values, np.float64)
        self._target_mean, spread = values.mean(axis=0), values.std(axis=0)
        self._target_std = np.where(spread == 0, 1.0, spread)
        targets = ((values - self._target_mean) / self._target_std).astype(np.float32)
        self._target_shape = values.shape[1:]
        targets = targets.reshape(len(targets), -1)
        self._learn(images, targets, targets.shape[1])
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return each image's values, (N,) or (N, values) as they were learnt."""
        outputs = self._outputs(X).reshape(-1, *self._target_shape)
        return outputs * self._target_std + self._target_mean


def _rows(X: Any) -> tuple[Any, tuple[int, ...]]:
    """Return images as flat rows, and the shape of one; what has rows already stays."""
    if (np.ndim(X) if isinstance(X, (list, tuple)) else getattr(X, "ndim", 0)) < 3:
        return X, ()
    array = np.asarray(X)
    return array.reshape(len(array), -1), array.shape[1:]
