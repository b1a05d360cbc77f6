"""Multiply-adds in registers: that they are all done, on all threads."""

import numpy as np
import pytest

import npconv
from npconv import compiler, peak

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="kernels need Numba")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rounds", [1, 2, 7])
def test_the_chains_are_what_they_say(dtype, rounds):
    from npconv.kernels import peak as kernels

    numbers = np.arange(kernels.CHAINS, dtype=dtype)
    for _ in range(rounds):
        numbers = numbers * numbers.dtype.type(0.5) + numbers.dtype.type(0.25)
    found = kernels.multiply_add(rounds, np.dtype(dtype).type(0.5), np.dtype(dtype).type(0.25))
    assert found == pytest.approx(numbers.sum(), rel=1e-6)


def test_the_chains_are_vectors_of_the_cpu_and_stay_in_registers():
    from npconv.kernels import peak as kernels
    from npconv.kernels import simd
    from npconv.kernels.compile import compiled

    chains = kernels.chains

    @compiled
    def run(rounds, factor, term):
        return chains(rounds, factor, term)

    run(1, 0.5, 0.25)
    (code,) = run.inspect_asm().values()
    loop = [line for line in code.splitlines() if "vfmadd" in line or "fmla" in line]
    if not loop:
        pytest.skip("neither x86 nor ARM")
    assert kernels.operations("float64") == 2 * kernels.CHAINS * simd.MACHINE.vector_nbytes // 8
    assert len(loop) % kernels.CHAINS == 0  # LLVM may unroll
    assert not any("(" in line or "[" in line for line in loop)  # none reads memory


@pytest.mark.parametrize("threads", [1, 3])
def test_every_operation_that_is_counted_is_done(monkeypatch, threads):
    from npconv.kernels import peak as kernels

    done = []
    real = kernels.multiply_add
    monkeypatch.setattr(
        kernels, "multiply_add", lambda *given: done.append(given[0]) or real(*given)
    )
    npconv.set_num_threads(threads)
    try:
        for dtype in ("float32", "float64"):
            done.clear()
            counted = peak.multiply_adds(dtype)
            assert counted == sum(done) * kernels.operations(dtype)
            assert len(done) % threads == 0
            assert counted >= threads << 26
    finally:
        npconv.set_num_threads(None)
