"""Every model of the corpus has parity, or is refused for a layer that is not Keras's."""

from __future__ import annotations

from pathlib import Path

import corpus
import pytest

# Layers that the authors of these models wrote themselves; the files hold their names only.
FOREIGN = ("SamplingLayer", "L2NormLayer", "CosineDistance", "NestedDenseModel")
# Layers that convert and that no Keras can run: bytes of another Python, and one of a package that is not installed.
WITHOUT_REFERENCE = ("Lambda", "InstanceNormalization")
# Of models of one repository that have the same size to the byte, one; `tests/corpus.py` compares all.
MODELS = [*{(model.name.rpartition("__")[0], model.source.stat().st_size): model for model in corpus.models()}.values()]


@pytest.mark.skipif(not MODELS, reason="the corpus of public models is not beside the project")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_real_model_has_parity(model: corpus.Model, tmp_path: Path) -> None:
    verdict = corpus.judge(model, tmp_path)
    if verdict.outcome == "refused":
        assert any(kind in verdict.reason for kind in FOREIGN), verdict.reason
    elif verdict.outcome == "converted":
        assert any(kind in verdict.reason for kind in WITHOUT_REFERENCE), verdict.reason
    else:
        assert verdict.outcome == "parity", verdict.error
