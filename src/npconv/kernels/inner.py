"""Functions that only kernels call: compiled as a part of these, and never by themselves.

Numba makes machine code of each function that it compiles, with a wrapper for Python and one for C,
and optimizes it together with all that it calls; a kernel of twenty functions then takes ten times
as long as it has to.  What only other functions call needs nothing but to be linked into them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher


def inner(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function where a kernel calls it; Python cannot."""
    if numba.config.DISABLE_JIT:
        return function
    options = {
        "nopython": True,
        "nogil": True,
        "error_model": "numpy",
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
    }
    return Inner(function, targetoptions=options, pipeline_class=_Pipeline)


class Inner(CPUDispatcher):
    """A function that compiled ones may call; Numba keeps each of its types."""

    def add_overload(self, cres: Any) -> None:
        """Keep what was compiled, where Python does not find it."""
        self.overloads[tuple(cres.signature.args)] = cres

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Compile it for types: Numba would do so anew for each constant that it is called with."""
        plain = {name: types.unliteral(one) for name, one in kws.items()}
        return super().get_call_template(tuple(map(types.unliteral, args)), plain)

    def _compile_for_args(self, *args: Any, **kws: Any) -> Any:
        raise TypeError(f"{self.py_func.__name__} can be called by kernels only")


class _Pipeline(Compiler):
    def define_pipelines(self) -> Any:
        codegen = self.state.targetctx.codegen()
        self.state.library = _Part(codegen, self.state.func_id.func_qualname)
        return super().define_pipelines()


class _Part(JITCodeLibrary):
    """A function's code with that of all it calls, as it will be linked into another's."""

    @property
    def codegen(self) -> Any:
        """What would be told of machine code."""
        return _Nothing

    def finalize(self) -> None:
        """Collect the code; what it becomes a part of is optimized."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: no function has machine code."""
        self._ensure_finalized()
        return 0


class _Nothing:
    """Where Numba would set what Python needs of machine code."""

    @staticmethod
    def set_env(name: str, env: Any) -> None:
        """Do nothing."""
