from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import parity  # sets the backend before Keras is imported
import pytest

from k2t.rules.base import RULES

# Files that tests write twice in a second, with the same length, must not be taken from the cache of bytecode.
sys.dont_write_bytecode = True


@pytest.fixture(autouse=True)
def fast_sessions() -> None:
    """New sessions of Keras do not search the libraries for garbage."""
    parity.spare_libraries()


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras 3 on TensorFlow."""
    import keras

    return keras


@pytest.fixture
def float64(keras: Any) -> Iterator[None]:
    """Layers made in the test compute in float64."""
    keras.backend.clear_session()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")
    keras.backend.clear_session()  # it remembers the dtype


@pytest.fixture
def keras_2() -> Iterator[Any]:
    """tf-keras in float64."""
    import tf_keras

    tf_keras.backend.clear_session()
    tf_keras.backend.set_floatx("float64")
    yield tf_keras
    tf_keras.backend.set_floatx("float32")


@pytest.fixture(autouse=True)
def own_rules() -> Iterator[None]:
    """Rules that a test registers are gone after it."""
    before = dict(RULES)
    yield
    RULES.clear()
    RULES.update(before)
