"""What a measurement depends on: CPU, threads, versions."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import dataclass
from importlib import metadata

import numpy as np

THREAD_VARIABLES = (
    "NPCONV_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)
# One library under several names.
SAME = {
    "opencv-python-headless": (
        "opencv-python",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    )
}


def cpu_name() -> str:
    """Return the processor's name as the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpus() -> int:
    """Return the number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load() -> float:
    """Return how many processes wanted a processor in the last minute; NaN where unknown."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan


def available_memory() -> int:
    """Return the bytes the system says it can still give, 4 GiB where it does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 4 << 30


def version(package: str) -> str:
    """Return the installed version of `package`, or "" when it is not installed."""
    for name in (package, *SAME.get(package, ())):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def blas_name() -> str:
    """Name the BLAS that NumPy was built with."""
    config = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {}) if config else {}
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


@dataclass(frozen=True)
class Environment:
    """CPU, threads and versions under which numbers were measured."""

    cpu: str
    cpus: int
    load: float
    thread_variables: dict[str, str]
    system: str
    python: str
    versions: dict[str, str]
    blas: str

    def __str__(self) -> str:
        threads = ", ".join(f"{name}={value}" for name, value in self.thread_variables.items())
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return (
            f"{self.cpu}, {self.cpus} CPUs, load average {self.load:.1f} at the start, "
            f"{threads or 'thread defaults'}; "
            f"Python {self.python}, {versions}, BLAS {self.blas}, {self.system}"
        )


def environment(*packages: str) -> Environment:
    """Describe where this process runs, with the versions of those `packages` installed."""
    versions = {name: version(name) for name in ("npconv", "numpy", *packages)}
    return Environment(
        cpu=cpu_name(),
        cpus=cpus(),
        load=load(),
        thread_variables={
            name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ
        },
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        versions={name: number for name, number in versions.items() if number},
        blas=blas_name(),
    )
