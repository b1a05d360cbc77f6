"""The one thread pool: how many threads share a call, who works, and BLAS kept to one meanwhile."""

from npconv.threads.blas import serial_blas
from npconv.threads.count import (
    forget_plans,
    forget_when_changed,
    get_num_threads,
    num_threads,
    set_num_threads,
)
from npconv.threads.pool import for_each
from npconv.threads.team import share, sharers

__all__ = [
    "for_each",
    "forget_plans",
    "forget_when_changed",
    "get_num_threads",
    "num_threads",
    "serial_blas",
    "set_num_threads",
    "share",
    "sharers",
]
