"""Models on text: vocabularies learned from data travel, whole models agree, hashes agree for every length."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest

import k2t
from k2t.emit.helpers.hashing import SipHash, farmhash64
from k2t.verify.api import record

REVIEWS = ["The cat sat.", "the dog ran off, off!", ""]
COUNTRIES = ["de", "fr", "it"]
BUCKETS = 2**62


def words(count: int) -> list[str]:
    chosen = random.Random(0)
    return ["".join(chosen.choice("abcdefgh éü漢") for _ in range(length)) for length in range(count)]


def test_farmhash_is_that_of_tensorflow_for_every_length() -> None:
    import tensorflow as tf

    given = words(200)
    wanted = tf.strings.to_hash_bucket_fast(given, BUCKETS).numpy()
    assert [farmhash64(word) % BUCKETS for word in given] == list(wanted)


@pytest.mark.parametrize("key", [(1, 2), (133, 137), (-5, 7)])
def test_siphash_is_that_of_tensorflow_for_every_length(key: tuple[int, int]) -> None:
    import tensorflow as tf

    given = words(50)
    wanted = tf.strings.to_hash_bucket_strong(given, BUCKETS, key).numpy()
    assert [SipHash(*key)(word) % BUCKETS for word in given] == list(wanted)


def text_model(keras: Any) -> Any:
    layers = keras.layers
    review, country = keras.Input((), dtype="string", name="review"), keras.Input((1,), dtype="string", name="country")
    vectorize = layers.TextVectorization(output_sequence_length=5, ngrams=2, name="vectorize")
    vectorize.adapt(REVIEWS)
    lookup = layers.StringLookup(output_mode="tf_idf", name="lookup")
    lookup.adapt([[name] for name in COUNTRIES])
    nested = keras.Input((1,), dtype="string")
    index = layers.StringLookup(name="index")
    index.adapt([[name] for name in COUNTRIES])
    inner = keras.Model(nested, layers.Embedding(9, 2)(index(nested)), name="inner")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(30, 3)(vectorize(review)))
    crossed = layers.HashedCrossing(8, output_mode="one_hot")([country, country])
    parts = [x, lookup(country), layers.Flatten()(inner(country)), crossed]
    return keras.Model([review, country], layers.Dense(2)(layers.Concatenate()(parts)))


def test_learned_vocabularies_travel(keras: Any, float64: None, tmp_path: Path) -> None:
    model = text_model(keras)
    parity.randomize(model)
    model.save(tmp_path / "model.keras")
    result = k2t.convert(tmp_path / "model.keras")
    result.write(tmp_path / "net.py")
    assert "def forward(self, review: list[str], country: list[list[str]]) -> Tensor:" in result.source
    net = parity.load_net(tmp_path / "net.py").load().double()
    given = [np.array(REVIEWS, object), np.array([["fr"], ["xx"], ["de"]], object)]
    parity.assert_close(parity.run(net, result, given)[0], parity.reference(model, given)[0])


def test_a_file_without_the_vocabulary_is_refused_with_the_way_out(keras: Any, tmp_path: Path) -> None:
    text_model(keras).save(tmp_path / "model.h5")
    with pytest.raises(k2t.UnsupportedError, match="save the model as"):
        k2t.convert(tmp_path / "model.h5")


def test_other_layers_refuse_strings(keras: Any, tmp_path: Path) -> None:
    text = keras.Input((1,), dtype="string")
    keras.Model(text, keras.layers.Identity()(text)).save(tmp_path / "model.keras")
    with pytest.raises(k2t.UnsupportedError, match="takes strings"):
        k2t.convert(tmp_path / "model.keras")


def test_models_on_text_are_verified_and_recorded(keras: Any, tmp_path: Path) -> None:
    model = text_model(keras)
    model.save(tmp_path / "model.keras")
    k2t.convert(tmp_path / "model.keras").write(tmp_path / "net.py")
    assert k2t.verify(tmp_path / "net.py", tmp_path / "model.keras").ok
    record(tmp_path / "model.keras", tmp_path / "reference.safetensors")
    assert k2t.verify(tmp_path / "net.py", tmp_path / "reference.safetensors").ok
