"""The parent's end of a worker process."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, Any


class WorkerError(RuntimeError):
    """A worker process that ended, could not start or did not answer in time."""


@contextlib.contextmanager
def started(name: str, timeout_seconds: float = 120.0) -> Iterator[Worker]:
    """Start the worker of the contender `name`; leaving the block ends it, whatever it is doing.

    It runs in a session of its own, so Ctrl-C reaches only the parent, which leaves the block; if
    the parent dies, the worker sees its pipe close and leaves.
    """
    command = [sys.executable, "-P", "-m", "npconv.bench.worker", name]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Worker(process, errors, timeout_seconds)
        finally:
            process.kill()
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()


class Worker:
    """One contender in a process of its own, as `started` gives it."""

    def __init__(
        self, process: subprocess.Popen[bytes], errors: IO[bytes], timeout_seconds: float
    ) -> None:
        self.process = process
        self.timeout_seconds = timeout_seconds
        self._errors = errors

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def prepare(self, arguments: dict[str, Any]) -> tuple[float, Any]:
        """Build the contender's call, run it twice; give the quicker time and the result."""
        seconds, result = self._ask(("prepare", arguments))
        return seconds, result

    def sample(self) -> tuple[float, float]:
        """Time the call once more: seconds a call and the processors kept busy meanwhile."""
        seconds, busy = self._ask(("sample",))
        return seconds, busy

    def memory(self, tiny: dict[str, Any], arguments: dict[str, Any]) -> float:
        """Give the bytes that the contender's calls hold at their peak beyond a tiny one's."""
        (nbytes,) = self._ask(("memory", tiny, arguments))
        return float(nbytes)

    def _ask(self, request: tuple[Any, ...]) -> tuple[Any, ...]:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        timed_out = threading.Event()

        def give_up() -> None:
            timed_out.set()
            self.process.kill()

        timer = threading.Timer(self.timeout_seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            pickle.dump(request, stdin)
            stdin.flush()
            reply: tuple[Any, ...] = pickle.load(stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            if timed_out.is_set():
                raise WorkerError(f"no answer in {self.timeout_seconds:g} s") from None
            raise WorkerError(self._last_words()) from None
        finally:
            timer.cancel()
        return reply

    def _last_words(self) -> str:
        """Tell how the process ended: its last line of standard error, or its exit status."""
        try:
            status = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the process closed its pipe"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        said = [line for line in lines if line.strip()]
        return said[-1].strip() if said else f"the process ended with status {status}"
