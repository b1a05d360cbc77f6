"""What npconv takes from scikit-learn: its manners for estimators, and its digits.

The only file that imports it, and nothing imports this before it is needed.
"""

from __future__ import annotations

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    if (error.name or "").partition(".")[0] != "sklearn":
        raise  # something that it needs itself
    raise ImportError(
        "npconv.nn's estimators and digits need scikit-learn 1.6 or later: "
        "pip install 'npconv[nn]'",
        name="sklearn",
    ) from error

__all__ = [
    "BaseEstimator",
    "ClassifierMixin",
    "RegressorMixin",
    "check_classification_targets",
    "check_is_fitted",
    "check_random_state",
    "column_or_1d",
    "digits",
    "validate_data",
]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the 1,797 handwritten digits (N, 1, 8, 8) as fractions of white, and their labels."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels
