"""Verification, against modules and files written by hand."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import corpus
import h5py
import numpy as np
import pytest
import torch
from parity import load_net
from safetensors.numpy import save_file

import k2t
from k2t.errors import K2TError, ReadError
from k2t.verify import Parity, Row, record, report, table, verify
from k2t.verify.inputs import InputSpec, generate
from k2t.verify.loading import keras_reference
from k2t.verify.parity import compare, difference
from k2t.verify.safety import refuse_code
from k2t.verify.training import compare_training

FIXTURES = Path(__file__).parents[1] / "fixtures" / "eras"
ERAS = [
    FIXTURES / era / f"{name}.h5"
    for era, names in {
        "keras1/tensorflow": "convolution1d convolution2d_atrous convlstm2d deconvolution2d nested locally_connected",
        "keras1/theano": "batch_normalization bidirectional_concat convolution2d gru lstm merge_modes nested",
        "keras22/tensorflow": "conv2d_same gru masking shared upsampling_bilinear",
        "keras22/theano": "conv2d gru lstm",
    }.items()
    for name in names.split()
]
CORPUS = corpus.FOLDER

NET = '''
from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_model
from torch import Tensor, nn
from torch.nn import functional as F


class Stem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        return self.bn(x)


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem()
        self.scores = nn.Linear(4, 5)

    def logits(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        x = self.stem(x)
        x = x.mean((2, 3))
        return self.scores(x)

    def forward(self, x: Tensor) -> Tensor:
        return F.softmax(self.logits(x), -1)


def load(weights: str | Path = Path(__file__).with_suffix(".safetensors"), device: str = "cpu") -> Tiny:
    model = Tiny()
    load_model(model, weights)
    return model.to(device).eval()
'''

NCHW = [0, 3, 1, 2]
LAYERS = [
    {"layer": "conv", "module": "stem", "statement": 0, "variable": "x", "permute": NCHW},
    {"layer": "bn", "module": "stem.bn", "statement": None, "variable": "", "permute": NCHW},
    {"layer": "stem", "module": "", "statement": 1, "variable": "x", "permute": NCHW},
    {"layer": "pool", "module": "", "statement": 2, "variable": "x", "permute": None},
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(net.py, model.keras): a nested model with a convolution, and a softmax after it."""
    import keras

    folder = tmp_path_factory.mktemp("tiny")
    layers = keras.layers
    inner = layers.Input((None, None, 3), name="patch")
    stem = keras.Model(
        inner,
        layers.BatchNormalization(name="bn")(
            layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(inner)
        ),
        name="stem",
    )
    image = layers.Input((None, None, 3), name="image")
    pooled = layers.GlobalAveragePooling2D(name="pool")(stem(image))
    model = keras.Model(image, layers.Dense(5, activation="softmax", name="scores")(pooled), name="tiny")
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.2, 1.0, w.shape).astype("float32") for w in model.get_weights()])
    model.save(folder / "model.keras")
    write_net(folder / "net.py", stem, model)
    return folder / "net.py", folder / "model.keras"


def write_net(path: Path, stem: Any, model: Any) -> None:
    kernel, bias = stem.get_layer("conv").get_weights()
    gamma, beta, mean, variance = stem.get_layer("bn").get_weights()
    dense, dense_bias = model.get_layer("scores").get_weights()
    tensors = {
        "stem.conv.weight": kernel.transpose(3, 2, 0, 1),
        "stem.conv.bias": bias,
        "stem.bn.weight": gamma,
        "stem.bn.bias": beta,
        "stem.bn.running_mean": mean,
        "stem.bn.running_var": variance,
        "stem.bn.num_batches_tracked": np.zeros((), np.int64),
        "scores.weight": dense.T,
        "scores.bias": dense_bias,
    }
    names = {
        key: ["stem/conv/kernel" if "conv" in key else "stem/bn/any" if "bn" in key else "scores/any"]
        for key in tensors
    }
    names["stem.bn.num_batches_tracked"] = []
    metadata = {
        "k2t.inputs": json.dumps([{"name": "image", "dtype": "float32", "permute": NCHW}]),
        "k2t.outputs": json.dumps([{"name": "scores", "dtype": "float32", "permute": None}]),
        "k2t.layers": json.dumps(LAYERS),
        "k2t.weights": json.dumps(names),
    }
    path.write_text(NET)
    save_file(
        {key: np.ascontiguousarray(array) for key, array in tensors.items()}, path.with_suffix(".safetensors"), metadata
    )


def edited(net: Path, folder: Path, old: str, new: str) -> Path:
    """A copy of the module with one mistake."""
    copy = folder / "net.py"
    text = net.read_text()
    assert old in text
    copy.write_text(text.replace(old, new))
    copy.with_suffix(".safetensors").write_bytes(net.with_suffix(".safetensors").read_bytes())
    return copy


def test_a_right_module_agrees_in_both_dtypes_and_in_every_layer(tiny: tuple[Path, Path]) -> None:
    parity = verify(*tiny)
    assert parity.ok
    assert [row.name for row in parity.layers] == ["stem/conv", "stem/bn", "stem", "pool"]
    assert [(row.name, row.kind) for row in parity.outputs] == [("scores", "output"), ("scores", "logits")]
    assert parity.max_error < 1e-14
    assert all(0 < row.float32 < 1e-5 for row in parity.outputs if row.float32 is not None)
    assert parity.layers[0].shape[-1] == 4


def test_the_first_layer_that_diverges_is_named(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    parity = verify(edited(tiny[0], tmp_path, "eps=0.001", "eps=0.0011"), tiny[1], dtype="float64")
    assert not parity.ok
    assert parity.first_diverging == "stem/bn"
    assert parity.layers[0].ok


def test_a_wrong_shape_is_a_difference_not_a_crash(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    parity = verify(edited(tiny[0], tmp_path, "padding=1", "padding=0"), tiny[1], dtype="float64")
    assert not parity.ok
    assert "shape" in parity.layers[0].problem


def test_an_error_that_the_softmax_hides_shows_in_the_logits(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    parity = verify(edited(tiny[0], tmp_path, "return self.scores(x)", "return self.scores(x) + 1.0"), tiny[1])
    output, logits = parity.outputs
    assert output.ok
    assert not logits.ok
    assert not parity.ok


def test_a_module_that_does_not_run_is_a_clear_error(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(K2TError, match="forward fails"):
        verify(edited(tiny[0], tmp_path, "x.mean((2, 3))", "x.mean((2, 3, 4))"), tiny[1])


def test_a_recording_needs_no_keras(tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = tmp_path / "reference.safetensors"
    record(tiny[1], recording)
    live = verify(*tiny)
    for name in ("tensorflow", "keras", "tf_keras"):
        monkeypatch.setitem(sys.modules, name, None)
    recorded = verify(tiny[0], recording)
    assert recorded.outputs == live.outputs
    assert recorded.layers == live.layers


def test_a_broken_recording_is_refused(tmp_path: Path, tiny: tuple[Path, Path]) -> None:
    path = tmp_path / "reference.safetensors"
    save_file({}, path, {"k2t.recording": "1"})
    with pytest.raises(ReadError, match="broken recording"):
        verify(tiny[0], path)


def test_weights_that_k2t_did_not_write_are_refused(tmp_path: Path, tiny: tuple[Path, Path]) -> None:
    (tmp_path / "net.py").write_text(NET)
    save_file({"a": np.zeros(1)}, tmp_path / "net.safetensors")
    with pytest.raises(ReadError, match="not written by k2t"):
        verify(tmp_path / "net.py", tiny[1])


def test_gradients_agree_and_the_moving_variance_of_plain_torch_does_not(tiny: tuple[Path, Path]) -> None:
    rows = {row.layer: row for row in compare_training(*tiny).rows}
    assert rows["stem/conv"].ok
    assert rows["scores"].ok
    assert rows["scores"].parameters == 25
    assert rows["stem/bn"].gradient < 1e-9
    assert rows["stem/bn"].state > 1e-6  # torch's running variance is unbiased, Keras's is not


def test_a_frozen_parameter_that_keras_trains_is_a_difference(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    frozen = edited(
        tiny[0], tmp_path, "self.scores = nn.Linear(4, 5)", "self.scores = nn.Linear(4, 5).requires_grad_(False)"
    )
    row = next(row for row in compare_training(frozen, tiny[1]).rows if row.layer == "scores")
    assert row.problem == "trains 0 elements, Keras 25"


@pytest.mark.parametrize("name", ["shapes_cnn.h5", "sequence_rnn.keras", "two_inputs.h5"])
def test_converted_models_have_the_gradients_of_keras(name: str, tmp_path: Path) -> None:
    source = FIXTURES.parent / name
    k2t.convert(source).write(tmp_path / "net.py")
    training = compare_training(tmp_path / "net.py", source)
    assert training.parameters > 1000
    assert [row for row in training.rows if row.problem or row.gradient > 1e-9] == []


def test_importing_verification_imports_no_framework() -> None:
    code = "import sys, k2t.verify; print([m for m in ('torch', 'tensorflow', 'keras', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_errors_are_relative_to_the_scale_and_nan_must_be_in_the_same_places() -> None:
    truth = np.array([100.0, np.nan, np.inf])
    assert difference(np.array([101.0, np.nan, np.inf]), truth) == (0.01, "")
    assert "NaN" in difference(np.array([100.0, 1.0, np.inf]), truth)[1]
    assert "NaN" in difference(np.array([100.0, np.nan, -np.inf]), truth)[1]


def test_float32_may_err_four_times_as_much_as_keras() -> None:
    expected = {"float64": np.ones(2), "float32": np.ones(2, np.float32) + np.float32(1e-5)}
    assert compare("a", "output", {"float32": np.full(2, 1 + 3.9e-5)}, expected).ok
    assert not compare("a", "output", {"float32": np.full(2, 1 + 4.1e-5)}, expected).ok


def test_float32_is_judged_on_other_inputs_too_before_it_fails() -> None:
    unlucky, usual = Row("a", "output", (2,), 1e-15, 2e-6, 1e-7), Row("a", "output", (2,), 2e-15, 1e-6, 8e-7)
    assert unlucky.unlucky
    assert not unlucky.ok
    assert unlucky.joined(usual) == Row("a", "output", (2,), 2e-15, 2e-6, 8e-7)
    assert unlucky.joined(usual).ok
    assert not Row("a", "output", (2,), 1e-8, 2e-6, 1e-7).unlucky


def test_a_softmax_inside_of_time_distributed_has_logits(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    steps = layers.TimeDistributed(layers.Dense(3, activation="softmax"))
    path = tmp_path / "steps.keras"
    keras.Sequential([keras.Input((5, 4)), steps]).save(path)
    k2t.convert(path).write(tmp_path / "net.py")
    parity = verify(tmp_path / "net.py", path)
    assert [row.kind for row in parity.outputs] == ["output", "logits"]
    assert parity.ok


def test_a_parity_without_outputs_is_not_ok() -> None:
    assert not Parity("net.py", "model.h5", ()).ok


def test_reports_escape_what_a_layer_is_called(tmp_path: Path) -> None:
    row = Row("<script>alert(1)</script>", "Dense", (1, 2), 1.0, None)
    parity = Parity("net.py", "model.h5", (row,), (row,))
    report(parity, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<script>" not in page
    assert "first to diverge" in page
    assert json.loads(parity.to_json())["first_diverging"] == row.name
    assert table(parity).row_count == 2


def test_infinite_errors_are_valid_json() -> None:
    parity = Parity("net.py", "model.h5", (Row("a", "output", (1,), problem="shape"),))
    assert json.loads(parity.to_json())["max_error"] == "inf"


def test_tokens_stay_below_the_vocabulary_and_masked_steps_are_zero() -> None:
    tokens = generate(InputSpec("ids", (None, 12), "float32", 7, 0.0), (), 4, np.random.default_rng(0))
    assert tokens.dtype == np.float32
    assert tokens.max() < 7
    assert (tokens[0] > 0).all()
    assert [(row == 0).sum() for row in tokens] == [0, 4, 4, 4]
    assert tokens[1, -1] == tokens[2, 0] == 0


def test_an_embedding_behind_other_layers_gives_its_range(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    ids = layers.Input((6,), name="ids")
    inner = keras.Sequential([layers.Input((3, 2)), layers.Reshape((6,)), layers.Embedding(5, 4, mask_zero=True)])
    model = keras.Model(ids, layers.LSTM(3)(inner(layers.Reshape((3, 2))(ids))))
    model.save(tmp_path / "model.keras")
    specs, arrays = keras_reference(tmp_path / "model.keras").inputs(0, 3)
    assert (specs[0].tokens, specs[0].mask_value) == (5, 0.0)
    assert arrays[0].max() < 5


def test_unknown_sizes_grow_until_the_network_runs(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    image = layers.Input((None, None, 1))
    small = layers.MaxPooling2D(4)(image)
    model = keras.Model(image, layers.Add()([image, layers.UpSampling2D(4)(small)]))
    model.save(tmp_path / "model.keras")
    _, arrays = keras_reference(tmp_path / "model.keras").inputs(0, 3)
    assert arrays[0].shape == (3, 32, 64, 1)


def test_a_lambda_is_not_run_unless_the_caller_says_so(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Lambda(lambda x: x * 2, name="double")])
    model.save(tmp_path / "model.keras")
    with pytest.raises(K2TError, match="double \\(Lambda holds code\\)"):
        keras_reference(tmp_path / "model.keras")
    reference = keras_reference(tmp_path / "model.keras", run_source=True)
    _, arrays = reference.inputs(0, 3)
    assert np.array_equal(reference.run(arrays, "float64").outputs["0"], arrays[0].astype("float64") * 2)


def test_a_loss_of_the_users_own_is_not_needed(keras: Any, tmp_path: Path) -> None:
    class Own(keras.losses.Loss):  # type: ignore[misc, name-defined]
        pass

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(loss=Own())
    model.save(tmp_path / "m.keras")
    k2t.convert(tmp_path / "m.keras").write(tmp_path / "net.py")
    assert verify(tmp_path / "net.py", tmp_path / "m.keras", dtype="float64").ok


def test_custom_layers_that_are_missing_are_named(keras: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    legacy_model(path, "Dense")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"Dense"', '"Maxout"')
    with pytest.raises(K2TError, match=r"custom layers that tf-keras .* lacks: Maxout"):
        keras_reference(path).model("float64")


def legacy_model(path: Path, kind: str, **options: Any) -> Any:
    import tf_keras

    layer = getattr(tf_keras.layers, kind)(4, **options, name="layer")
    shape = (7, 8, 3) if kind == "Conv2D" else (6, 3)
    model = tf_keras.Sequential([tf_keras.layers.Input(shape), layer])
    model.save(path)
    return model


def test_files_of_keras_2_mean_what_keras_2_computed(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    model = legacy_model(path, "Dense", activation="hard_sigmoid")
    reference = keras_reference(path)
    _, arrays = reference.inputs(0, 3)
    kernel, bias = (w.astype("float64") for w in model.get_weights())
    wanted = np.clip(0.2 * (arrays[0].astype("float64") @ kernel + bias) + 0.5, 0, 1)
    assert difference(reference.run(arrays, "float64").outputs["0"], wanted)[0] < 1e-15
    assert reference.label.startswith("tf-keras")


def renamed(weights: bytes, changes: dict[str, str]) -> bytes:
    """A file of weights whose paths have other parts."""
    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as file, h5py.File(buffer, "w") as copy:
        for path in [*file["layers"], "vars"]:
            new = path if path == "vars" else f"layers/{path}"
            for old, part in changes.items():
                new = new.replace(old, part)
            file.copy(path if path == "vars" else f"layers/{path}", copy, new)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "changes",
    [{"/": "\\"}, {"dense_1": "dense_2", "layers/": "_layer_checkpoint_dependencies/"}],
    ids=["Windows", "2.12"],
)
def test_archives_whose_paths_have_changed_have_a_reference(
    keras_2: Any, tmp_path: Path, changes: dict[str, str]
) -> None:
    layers = keras_2.layers
    model = keras_2.Sequential([layers.Input((3,)), layers.Dense(3), layers.Dropout(0.5), layers.Dense(3)])
    model.save(tmp_path / "new.keras")
    with (
        zipfile.ZipFile(tmp_path / "new.keras") as new,
        zipfile.ZipFile(tmp_path / "old.keras", "w") as old,
    ):
        for name in new.namelist():
            data = new.read(name)
            old.writestr(name, renamed(data, changes) if name == "model.weights.h5" else data)
    k2t.convert(tmp_path / "old.keras").write(tmp_path / "net.py")
    assert verify(tmp_path / "net.py", tmp_path / "new.keras", dtype="float64").ok
    assert verify(tmp_path / "net.py", tmp_path / "old.keras", dtype="float64").ok


def test_kernels_of_theano_are_turned_round(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    model = legacy_model(path, "Conv2D", kernel_size=3)
    with h5py.File(path, "r+") as file:
        for group in (file, file["model_weights"]):
            group.attrs["backend"] = "theano"
    found = keras_reference(path).model("float64")[0].get_weights()[0]
    assert np.array_equal(found, model.get_weights()[0][::-1, ::-1])


def test_a_gru_without_reset_after_is_that_of_keras_2(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    legacy_model(path, "GRU", reset_after=False)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = (
            file.attrs["model_config"].replace('"reset_after": false, ', "").replace(', "reset_after": false', "")
        )
        assert "reset_after" not in file.attrs["model_config"]
    assert not keras_reference(path).model("float64")[0].layers[-1].reset_after


def test_mixed_precision_is_compared_in_full_precision(keras: Any, tmp_path: Path) -> None:
    dense = keras.layers.Dense(4, dtype="mixed_float16")
    keras.Sequential([keras.layers.Input((3,)), dense]).save(tmp_path / "model.keras")
    reference = keras_reference(tmp_path / "model.keras")
    _, arrays = reference.inputs(0, 3)
    wanted = arrays[0].astype("float64") @ np.asarray(dense.kernel).astype("float64")
    assert difference(reference.run(arrays, "float64").outputs["0"], wanted)[0] < 1e-15
    assert 0 < difference(reference.run(arrays, "float32").outputs["0"], wanted)[0] < 1e-6


def test_a_live_model_is_a_reference(keras: Any) -> None:
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4, activation="sigmoid", name="last")])
    reference = keras_reference(model)
    _, arrays = reference.inputs(0, 3)
    trace = reference.run(arrays, "float64")
    assert difference(1 / (1 + np.exp(-trace.logits["0"])), trace.outputs["0"])[0] < 1e-14


def test_a_shared_layer_has_a_value_for_each_call(keras: Any) -> None:
    first, second = keras.Input((3,)), keras.Input((3,))
    dense = keras.layers.Dense(2, name="dense")
    reference = keras_reference(keras.Model([first, second], [dense(second), dense(first)]))
    _, arrays = reference.inputs(0, 3)
    trace = reference.run(arrays, "float64")
    assert np.array_equal(trace.layers["dense"][0], trace.outputs["0"])
    assert np.array_equal(trace.layers["dense#1"][0], trace.outputs["1"])


@pytest.mark.skipif(not CORPUS.exists(), reason="needs the shared corpus")
@pytest.mark.parametrize(
    "name", ["conv2d_reshape_theano_1.h5", "bidirectional_lstm_theano_1.h5", "embedding_conv1d_tensorflow_1.h5"]
)
def test_models_of_keras_1_have_a_reference(name: str) -> None:
    reference = keras_reference(CORPUS / f"deeplearning4j__dl4j-test-resources__{name}")
    _, arrays = reference.inputs(0, 3)
    wide, narrow = (reference.run(arrays, dtype).outputs["0"] for dtype in ("float64", "float32"))
    assert 0 < difference(narrow, wide)[0] < 1e-5


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ({"class_name": "TFOpLambda", "config": {"name": "op", "function": "io.write_file"}}, "calls tf.io.write_file"),
        ({"class_name": "TFSMLayer", "config": {"name": "op", "filepath": "model"}}, "TFSMLayer holds code"),
        ({"class_name": "Popen", "module": "subprocess", "config": {"name": "op"}}, "subprocess.Popen"),
        (
            {"class_name": "TensorFlowOpLayer", "config": {"name": "op", "node_def": 'op: "WriteFile"'}},
            "may have effects",
        ),
    ],
)
def test_functions_with_effects_are_refused(layer: dict[str, Any], reason: str) -> None:
    with pytest.raises(K2TError, match=reason):
        refuse_code({"layers": [layer]}, "model.h5", lambda name: False)


def test_functions_that_only_compute_and_classes_of_the_caller_are_not_refused() -> None:
    layers = [
        {"class_name": "TFOpLambda", "config": {"name": "op", "function": "math.reduce_mean"}},
        {"class_name": "TFOpLambda", "config": {"name": "op", "function": "__operators__.add"}},
        {"class_name": "TensorFlowOpLayer", "config": {"name": "op", "node_def": 'name: "a"\nop: "RealDiv"'}},
        {"class_name": "Mine", "module": "mine.layers", "registered_name": "Mine>Mine", "config": {}},
        {"class_name": "Dense", "module": "keras.layers", "config": {}},
    ]
    refuse_code({"layers": layers}, "model.h5", lambda name: name == "Mine>Mine")


@pytest.mark.parametrize("file", ERAS, ids=lambda file: str(file.relative_to(FIXTURES)))
def test_the_reference_of_an_old_file_is_what_the_old_release_computed(file: Path) -> None:
    arrays = np.load(file.with_suffix(".npz"))
    reference = keras_reference(file)
    outputs = reference.run([arrays[key] for key in sorted(arrays) if key[0] == "x"], "float64").outputs.values()
    for index, output in enumerate(outputs):
        wanted = arrays[f"y{index}"]
        assert difference(output, wanted)[0] < (1e-9 if wanted.dtype == "float64" else 1e-6)


def test_what_no_library_computes_any_more_is_refused() -> None:
    file = FIXTURES / "keras22" / "theano" / "conv2d_same.h5"
    with pytest.raises(K2TError, match="conv2d_12"):
        keras_reference(file).model("float64")


def test_missing_files_and_weights_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"model\.h5"):
        keras_reference(tmp_path / "model.h5")
    dense = {"class_name": "Dense", "config": {"name": "dense", "units": 2, "batch_input_shape": [None, 3]}}
    (tmp_path / "model.json").write_text(json.dumps({"class_name": "Sequential", "config": [dense]}))
    with pytest.raises(ReadError, match="--weights"):
        keras_reference(tmp_path / "model.json")
    (tmp_path / "text.h5").write_text("not a model")
    with pytest.raises(ReadError, match=r"text\.h5"):
        keras_reference(tmp_path / "text.h5")


def test_dropout_that_works_at_inference_too_is_converted_and_cannot_be_compared(keras: Any, tmp_path: Path) -> None:
    image = keras.Input((400,))
    path = tmp_path / "monte_carlo.keras"
    keras.Model(image, keras.layers.Dropout(0.25)(image, training=True)).save(path)
    k2t.convert(path).write(tmp_path / "net.py")
    model = load_net(tmp_path / "net.py").load()
    drawn = model(torch.ones(50, 400))
    assert {round(value, 4) for value in drawn.unique().tolist()} == {0.0, round(1 / 0.75, 4)}
    assert abs(drawn.mean().item() - 1) < 0.02
    with pytest.raises(K2TError, match="random at inference"):
        verify(tmp_path / "net.py", path)


def test_a_reference_in_hdf5_may_hold_operations_and_attention(keras: Any, tmp_path: Path) -> None:
    tokens = keras.Input((7,), dtype="int32")
    x = keras.layers.Embedding(9, 5, mask_zero=True)(tokens)  # its mask is a call of not_equal
    x = keras.layers.Attention()([x, x])  # score_mode is "dot", which is a function of keras.layers, too
    y = keras.layers.LSTM(4)(x)
    keras.Model(tokens, keras.ops.square(y)).save(tmp_path / "model.h5")
    k2t.convert(tmp_path / "model.h5").write(tmp_path / "net.py")
    assert k2t.verify(tmp_path / "net.py", tmp_path / "model.h5").ok
