"""Doors to other libraries: npconv's calls on their arrays, inside their differentiation.

========  ==================================================  ================================
autograd  HIPS autograd: npconv's calls as primitives         ``pip install "npconv[autograd]"``
torch     PyTorch tensors in main memory, layers of networks  ``pip install "npconv[torch]"``
========  ==================================================  ================================

A bridge imports its library when it is first used, never before.

>>> from npconv import bridges
>>> {"autograd", "torch"} <= set(dir(bridges))
True
"""

from importlib import import_module as _import_module
from typing import Any as _Any

_BRIDGES = ("autograd", "torch")


def __getattr__(name: str) -> _Any:
    if name in _BRIDGES:
        return _import_module(f"npconv.bridges.{name}")
    raise AttributeError(f"module 'npconv.bridges' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_BRIDGES})
