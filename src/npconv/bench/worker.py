"""The process of one contender: `python -m npconv.bench.worker NAME`, fed through its pipes.

Requests and replies are pickles. `("prepare", arguments)` builds the call, runs it twice (once if
it takes long or is not to be timed) and answers `(quicker_seconds, result)`; `("sample",)` times it
and answers `(seconds, cpus_busy)`; `("memory", tiny, arguments)` makes calls anew and answers
`(nbytes,)`, what they hold at their peak beyond a tiny one. Before a sample the threads of the
contender before are given time to stop spinning, and a quick call is made once untimed, as the
others' turns have emptied the caches.
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

from .peers import (
    CONTENDERS,
    GOAL_CONTENDERS,
    POOL_CONTENDERS,
    TRAIN_CONTENDERS,
    TRAIN_REFERENCE,
    YARDSTICKS,
)
from .resident import peak_beyond
from .runner import stopwatch

WARM_SECONDS = 0.05
REST_SECONDS = 0.01
ENOUGH_SECONDS = 5.0  # a call that takes longer is not repeated to be ready


def serve(name: str, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests about the contender `name` until the parent closes the pipe."""
    known = CONTENDERS, GOAL_CONTENDERS, POOL_CONTENDERS, TRAIN_CONTENDERS, YARDSTICKS
    contender = {k: v for table in (*known, TRAIN_REFERENCE) for k, v in table.items()}[name]
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
            for turn in range(2 if contender.timed else 1):
                if turn and seconds_each > ENOUGH_SECONDS:
                    break
                start = time.perf_counter()
                result = call()
                seconds_each = min(seconds_each, time.perf_counter() - start)
            sampler = stopwatch(call, seconds_each)
            reply = (seconds_each, contender.array(result))
        elif request[0] == "memory":
            reply = (peak_beyond(contender.prepare, *request[1:]),)
        elif sampler is None:
            raise RuntimeError(f"{name} was asked for a sample before it was prepared")
        else:
            time.sleep(REST_SECONDS)
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
