"""Names of classes, attributes and variables, as people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from parity import load_net

import k2t
from k2t.lower.names import class_name, is_automatic, kind_name
from k2t.program import Module


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("vgg16", "VGG16"),
        ("resnet50v2", "ResNet50V2"),
        ("efficientnetb0", "EfficientNetB0"),
        ("mobilenetv2_1.00_224", "MobileNetV2"),
        ("NASNet", "NASNet"),
        ("text_cnn", "TextCNN"),
        ("unet_3", "UNet3"),
        ("my-model 2", "MyModel2"),
        ("lstmish", "Lstmish"),
    ],
)
def test_classes_are_spelled_as_people_spell_them(name: str, written: str) -> None:
    assert class_name(name) == written


@pytest.mark.parametrize("name", ["conv2d", "conv2d_17", "batch_normalization_3", "leaky_re_lu", "tf.nn.relu_1", ""])
def test_names_that_keras_made_up_are_known(name: str) -> None:
    assert is_automatic(name)


@pytest.mark.parametrize("name", ["conv3", "dense_block", "add_noise", "encoder", "lstm_encoder", "fc1"])
def test_names_that_people_gave_are_kept(name: str) -> None:
    assert not is_automatic(name)


@pytest.mark.parametrize(
    ("call", "role", "name"),
    [
        ("LoopLSTM", "forward", "lstm_forward"),
        ("LockedDropout", "forward_dropout", "forward_dropout"),
        ("nn.Conv2d", "depthwise", "depthwise"),
    ],
)
def test_a_module_without_a_name_is_called_what_it_is_and_does(call: str, role: str, name: str) -> None:
    assert kind_name(Module(call, role=role)) == name


def test_layers_without_a_name_are_numbered_by_kind_and_outputs_are_named(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    x = keras.Input((8, 8, 3), name="image")
    y = layers.BatchNormalization()(layers.Conv2D(4, 3)(x))
    y = layers.SeparableConv2D(4, 3)(layers.Dropout(0.1)(y))
    y = layers.Dense(5)(layers.Dense(6, name="My_Head")(layers.Flatten()(y)))
    model = keras.Model(x, [layers.Dense(2, name="boxes")(y), layers.Dense(3, name="class")(y)])
    model.save(tmp_path / "net.keras")
    result = k2t.convert(tmp_path / "net.keras")
    result.write(tmp_path / "net.py")
    names = [name for name, _ in load_net(tmp_path / "net.py").load().named_children()]
    assert names == ["conv", "bn", "dropout", "depthwise", "pointwise", "my_head", "fc", "boxes", "class_"]
    assert '"""(N, 3, 8, 8) -> boxes (N, 2), class (N, 3)."""' in result.source
    assert "return boxes, class_" in result.source


def test_a_class_is_not_named_like_a_helper_that_it_constructs(tmp_path: Path) -> None:
    code = (
        "from keras import layers, Sequential\nmodel = Sequential([layers.ConvLSTM2D(2, 3, input_shape=(4, 8, 8, 1))])"
    )
    path = tmp_path / "conv_lstm.py"
    path.write_text(code, "utf-8")
    assert k2t.convert(path).class_name == "ConvLSTM1"


def test_many_inputs_do_not_make_a_long_line(keras: Any, tmp_path: Path) -> None:
    inputs = [keras.Input((number + 2,), name=f"measurement_of_sensor_{number}") for number in range(6)]
    keras.Model(inputs, keras.layers.Concatenate()(inputs)).save(tmp_path / "net.keras")
    source = k2t.convert(tmp_path / "net.keras").source
    assert max(map(len, source.splitlines())) <= 100
    assert "        measurement_of_sensor_5 (N, 7)\n" in source


def test_layers_drop_the_name_of_the_model_and_a_last_sigmoid_stays_out_of_blocks(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers

    def level(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return x

    x = image = keras.Input((32, 32, 3))
    skips = []
    for filters in (4, 8, 16):
        skips.append(level(x, filters))
        x = layers.MaxPooling2D()(skips[-1])
    x = level(x, 32)
    for filters in (16, 8, 4):
        x = layers.Conv2DTranspose(filters, 2, strides=2)(x)
        x = level(layers.Concatenate()([x, skips.pop()]), filters)
    mask = layers.Conv2D(1, 1, activation="sigmoid", name="tiny_unet_mask")(x)
    keras.Model(image, mask, name="tiny_unet").save(tmp_path / "net.keras")
    result = k2t.convert(tmp_path / "net.keras")
    result.write(tmp_path / "net.py")
    names = [name for name, _ in load_net(tmp_path / "net.py").load().named_children()]
    assert names[0] == "conv_block1"
    assert names[-1] == "mask"
    assert "def logits" in result.source
    assert "torch.cat([x, skip2], dim=1)" in result.source


def test_parts_of_a_concatenation_are_numbered_and_so_are_masks(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("""
from keras import Input, Model, layers

words, others = Input((6,)), Input((6,))
first, second = (layers.Embedding(9, 4, mask_zero=True)(x) for x in (words, others))
x = layers.Concatenate()([layers.LSTM(3)(x) for x in (first, second, first)])
model = Model([words, others], x)
""")
    source = k2t.convert(f"{tmp_path / 'model.py'}:model", flat=True).source
    assert "torch.cat([branch1, branch2, branch3], dim=1)" in source
    assert "mask1 = " in source
    assert "skip" not in source
