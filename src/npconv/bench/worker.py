"""The process of one contender: `python -m npconv.bench.worker NAME`, fed through its pipes.

Requests and replies are pickles. `("prepare", arguments)` builds the call, runs it twice and
answers `(quicker_seconds, result)`; `("sample",)` times it and answers `(seconds, cpus_busy)`.
A quick call is made once untimed before a sample, as the others' turns have emptied the caches.
An error ends the process; its last line of standard error tells the parent why.
"""

from __future__ import annotations

import math
import os
import pickle
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from .peers import CONTENDERS, LAYER_CONTENDERS, YARDSTICKS
from .runner import stopwatch

WARM_SECONDS = 0.05


def serve(name: str, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests about the contender `name` until the parent closes the pipe."""
    contender = {**CONTENDERS, **LAYER_CONTENDERS, **YARDSTICKS}[name]
    sampler: Callable[[], float] | None = None
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        reply: tuple[Any, ...]
        if request[0] == "prepare":
            call = contender.prepare(**request[1])
            seconds_each = math.inf
            for _ in range(2):
                start = time.perf_counter()
                result = call()
                seconds_each = min(seconds_each, time.perf_counter() - start)
            sampler = stopwatch(call, seconds_each)
            reply = (seconds_each, result)
        elif sampler is None:
            raise RuntimeError(f"{name} was asked for a sample before it was prepared")
        else:
            if seconds_each < WARM_SECONDS:
                call()
            cpu, wall = time.process_time(), time.perf_counter()
            seconds = sampler()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            reply = (seconds, cpu / wall)
        pickle.dump(reply, replies)
        replies.flush()


def main() -> None:
    """Serve over the standard streams; what the library prints goes to standard error."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as replies:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(sys.argv[1], sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
