"""The front door: what `import npconv` brings, what it leaves for later, and what is public."""

import inspect
import subprocess
import sys

import pytest

import npconv

ROOMS = ["images", "ndimage", "signal", "wisdom"]
HEAVY = ["numba", "llvmlite", "scipy", "matplotlib", "rich", "PIL", "typer", "sklearn", "numpy.fft"]


def run(code):
    """Run code in a fresh interpreter and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_heavy():
    seen = run(f"import sys, npconv; print([name for name in {HEAVY} if name in sys.modules])")
    assert seen == "[]"


def test_the_first_conv_loads_no_optional_package():
    seen = run(
        "import sys, numpy as np, npconv\n"
        "npconv.conv(np.ones((9, 9)), np.ones((3, 3)), layout='HW')\n"
        "print([name for name in ('scipy', 'matplotlib', 'sklearn') if name in sys.modules])\n"
        "print('numba' in sys.modules)"
    )
    # Numba, once kernels are compiled, loads SciPy where it finds it.
    assert seen in ("[]\nFalse", "[]\nTrue", "['scipy']\nTrue")


@pytest.mark.parametrize("missing", [("numba", "llvmlite"), ("scipy",), ("matplotlib", "sklearn")])
def test_conv_and_the_drop_ins_work_without(missing):
    out = run(
        f"import sys; sys.modules.update(dict.fromkeys({missing}))\n"
        "import numpy as np, npconv\n"
        "from npconv import images, ndimage, signal\n"
        "x, weight = np.arange(36).reshape(6, 6), np.arange(9).reshape(3, 3)\n"
        "print(npconv.conv(x, weight, stride=2, layout='HW').tolist())\n"
        "print(signal.correlate2d(x, weight, mode='valid')[0, 0])\n"
        "print(ndimage.correlate(x, weight)[1, 1])"
    )
    assert out == "[[366, 438], [798, 870]]\n366\n366"


def test_star_import_gives_exactly_the_public_names():
    code = "names = {}; exec('from npconv import *', names); del names['__builtins__']"
    assert run(f"{code}; print(sorted(names))") == str(sorted(npconv.__all__))


def test_dir_lists_the_public_names():
    assert {*npconv.__all__, *ROOMS} <= set(dir(npconv))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'convolute'"):
        npconv.convolute  # noqa: B018


def public_objects():
    """Every public function, class and module, and the public members of the classes."""
    for name in sorted({*npconv.__all__, *ROOMS}):
        value = getattr(npconv, name)
        yield f"npconv.{name}", value
        if inspect.ismodule(value):
            for member in value.__all__:
                yield f"npconv.{name}.{member}", getattr(value, member)
        elif inspect.isclass(value):
            for member, item in vars(value).items():
                if not member.startswith("_") and (
                    inspect.isfunction(item) or inspect.isclass(item)
                ):
                    yield f"npconv.{name}.{member}", item


def test_every_public_name_has_a_docstring():
    bare = [
        name
        for name, value in public_objects()
        if (inspect.ismodule(value) or inspect.isclass(value) or inspect.isroutine(value))
        and not (value.__doc__ or "").strip()
    ]
    assert bare == []


def test_every_public_function_shows_an_example():
    bare = [
        name
        for name, value in public_objects()
        if inspect.isfunction(value) and name.count(".") == 1 and ">>>" not in (value.__doc__ or "")
    ]
    assert bare == []
