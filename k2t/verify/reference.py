"""The reference: the Keras that a file was made for, run in-process."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from k2t.errors import K2TError
from k2t.graph import Array
from k2t.verify.exact import float64_kernels
from k2t.verify.inputs import InputSpec, generate, sizes, specs
from k2t.verify.nodes import graph_of, structure
from k2t.verify.parity import Dtype, Trace
from k2t.verify.recorder import Recorder, as_numpy, trace


@dataclass
class Library:
    """Keras 3 or tf-keras (Keras 2), imported."""

    keras: Any
    tree: Any
    legacy: bool

    @property
    def label(self) -> str:
        """Name and version, for the report."""
        return f"{'tf-keras' if self.legacy else 'keras'} {self.keras.__version__}"

    @contextmanager
    def floatx(self, dtype: str) -> Iterator[None]:
        """Everything that no configuration gives a dtype is made in `dtype`."""
        backend, policies = self.keras.backend, self.keras.mixed_precision
        set_policy = getattr(policies, "set_global_policy", None) or policies.set_dtype_policy
        get_policy = getattr(policies, "global_policy", None) or policies.dtype_policy
        before, policy = backend.floatx(), get_policy()
        backend.set_floatx(dtype)
        set_policy(dtype)
        try:
            yield
        finally:
            backend.set_floatx(before)
            # tf-keras derives a policy that was never set from floatx; setting it would fix it for good
            set_policy(None if self.legacy and policy.name == before else policy)


def library(legacy: bool) -> Library:
    """Import the library. TensorFlow is kept on the CPU, where its results do not depend on the machine.

    Raises:
        K2TError: it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with quiet():
        try:
            import tensorflow as tf

            if legacy:
                import tf_keras as keras
            else:
                import keras
        except ImportError as error:
            raise K2TError(f'verification needs {error.name}: pip install "k2t[verify]"') from error
        with suppress(RuntimeError):  # somebody has used TensorFlow before: too late to hide the GPU from it
            tf.config.set_visible_devices([], "GPU")
    return Library(keras, tf.nest if legacy else keras.tree, legacy)


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is written to stderr: TensorFlow's libraries log there while they start, whatever the settings are."""
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


@contextmanager
def named(path: Path, name: str) -> Iterator[str]:
    """The file under another name: the libraries go by the extension, which in the wild is often wrong."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / name
        link.symlink_to(path.resolve())
        yield str(link)


# What TensorFlow says of convolutions that run on a CPU only when XLA compiles them: channels first, transposed with
# dilation.
COMPILED = ("NHWC", "NCHW", "NDHWC", "dilation rates")
# What it says of a function that asks for a value, which only computes step by step.
SYMBOLIC = "Using a symbolic `tf.Tensor` as a Python `bool`"


@dataclass
class KerasReference:
    """A live model that is built once per dtype.

    Attributes:
        build: dtype -> the model with its weights.
        library: what it is built with.
        kinds: path of a call -> class of its layer, known after the first run.
        module, state: empty, since its weights are the module's own file's.
    """

    library: Library
    build: Callable[[str], Any]
    kinds: dict[str, str] = field(default_factory=dict)
    module: dict[str, str] = field(default_factory=dict)
    state: dict[str, Array] = field(default_factory=dict)
    _xla: bool = False
    _eager: bool = False
    _done: tuple[list[Array], Trace] | None = None
    _models: dict[str, tuple[Any, Recorder]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name and version of the library."""
        return self.library.label

    def model(self, dtype: Dtype) -> tuple[Any, Recorder]:
        """The model of that dtype and the recorder that is attached to it."""
        if dtype not in self._models:
            model = self.fresh(dtype)
            recorder = Recorder()
            recorder.attach(model)
            self._models[dtype] = model, recorder
        return self._models[dtype]

    def fresh(self, dtype: Dtype) -> Any:
        """A model of that dtype that nobody else changes.

        Raises:
            K2TError: its calls cannot be told apart, since it is no functional model.
        """
        with self.computing(dtype):
            model = self.build(dtype)
        if graph_of(model) is None:
            raise K2TError(f"the reference {model.name} ({type(model).__name__}) is not a functional model")
        return model

    @contextmanager
    def computing(self, dtype: Dtype) -> Iterator[None]:
        """Within it, the library computes in that dtype throughout."""
        with self.library.floatx(dtype), float64_kernels() if dtype == "float64" else nullcontext():
            yield

    def inputs(self, seed: int, batch: int) -> tuple[list[InputSpec], list[Array]]:
        """Random inputs, with unknown sizes grown until the network accepts them.

        Raises:
            K2TError: it accepts none.
        """
        found = specs(self.model("float64")[0])
        problem: Exception = K2TError("no size was tried")
        for size in sizes(found):
            rng = np.random.default_rng(seed)
            arrays = [generate(spec, size, batch, rng) for spec in found]
            try:
                self._done = arrays, self.run(arrays, "float64")
            except Exception as error:
                problem = error
                continue
            if all(array.size for array in self._done[1].outputs.values()):
                return found, arrays
        raise K2TError(f"the reference runs with no input that was tried: {_first_line(problem)}") from problem

    def run(self, arrays: list[Array], dtype: Dtype) -> Trace:
        """One pass in inference mode."""
        if self._done and self._done[0] is arrays and dtype == "float64":
            return self._done[1]
        model, recorder = self.model(dtype)
        tensors = self.tensors(model, arrays)
        with self.computing(dtype):
            try:
                made = trace(model, recorder, tensors, as_numpy, self.compiler(model))
            except Exception as error:
                if self._eager or self._xla or not any(word in str(error) for word in (*COMPILED, SYMBOLIC)):
                    raise
                self._eager = SYMBOLIC in str(error)
                self._xla = not self._eager
                return self.run(arrays, dtype)
        self.kinds.update(recorder.kinds)
        return made

    def tensors(self, model: Any, arrays: list[Array]) -> Any:
        """The inputs in the dtypes and the nesting that `model` takes."""
        import tensorflow as tf

        cast = [
            tf.constant(array if spec.dtype == "string" else array.astype(spec.dtype))
            for array, spec in zip(arrays, specs(model), strict=True)
        ]
        return self.library.tree.pack_sequence_as(structure(model, "inputs"), cast)

    def compiler(self, model: Any) -> Callable[[Any], Any] | None:
        """`tf.function` where it pays, since long sequences take a minute step by step; else None."""
        import tensorflow as tf

        recurrent = any(hasattr(layer, "return_sequences") for layer in model._flatten_layers())
        if self._eager or not (recurrent or self._xla):
            return None
        return lambda function: tf.function(function, jit_compile=self._xla or None, autograph=False)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
