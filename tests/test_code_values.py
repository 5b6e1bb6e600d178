"""Values that code computes on the way to a model: libraries, files, texts; each is the width of a Dense layer."""

from __future__ import annotations

from pathlib import Path

import pytest

import k2t

VALUES = {
    "letters of the standard library": ("import string\nunits = len(string.ascii_letters + string.digits)", 62),
    "old names of numpy's types": ("import numpy as np\nunits = int(np.zeros(3).astype(np.float).size)", 3),
    "a file of weights is not there yet": ("import os\nunits = 2 if os.path.exists('model.h5') else 5", 5),
    "an expression in a text": ("size = 3\nunits = eval('size * 2')", 6),
    "the words of a lookup": (
        "words = layers.StringLookup(vocabulary=['a', 'b'], mask_token='')\n"
        "units = words.vocabulary_size() + len(words.get_vocabulary())",
        8,
    ),
    "a named tuple": (
        "from collections import namedtuple\n"
        "Block = namedtuple('Block', 'kernel filters se')\n"
        "Block.__new__.__defaults__ = (None,) * len(Block._fields)\n"
        "block = Block(3, filters=4)._replace(kernel=5)\n"
        "kernel, filters, se = block\n"
        "units = kernel * filters + block._asdict()['kernel'] + (se is None)",
        26,
    ),
    "a builtin of Python 2": ("units = sum(xrange(5))", 10),
    "the type of a list": ("import tensorflow as tf\nunits = tf.cast([[1.5, 2.5]], tf.int8).size", 2),
    "options as Keras's layers read them": (
        "from keras.utils import conv_utils\n"
        "pad = conv_utils.normalize_tuple(2, 3, 'padding')\n"
        "units = sum(pad) + len(conv_utils.normalize_data_format(None))",
        19,
    ),
    "no GPU is asked for": ("import tensorflow as tf\nunits = 3 if tf.config.list_physical_devices('GPU') else 4", 4),
    "the shape of a constant": ("import tensorflow as tf\nunits = tf.zeros((3, 7)).get_shape().as_list()[1]", 7),
    "inputs by the names that Keras 2 gives them": (
        "from tensorflow.keras import Model\n"
        "first, second = Input((5,)), Input((9,))\n"
        "model = Model([first, second], layers.Concatenate()([first, second]))\n"
        "units = model.get_layer('input_2').output.shape[1]",
        9,
    ),
    "layers of cuDNN by position": ("units = layers.CuDNNLSTM(7, 'glorot_uniform').units", 7),
    "parts of applications": (
        "from keras.applications.imagenet_utils import obtain_input_shape\n"
        "units = obtain_input_shape(None, 224, 32, 'channels_last', True)[0]",
        224,
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_what_python_computes(name: str, tmp_path: Path) -> None:
    code, units = VALUES[name]
    model = "model = models.Sequential([Input((4,)), layers.Dense(units)])"
    path = tmp_path / "script.py"
    path.write_text(f"from keras import Input, layers, models\n{code}\n{model}")
    assert f"nn.Linear(4, {units})" in k2t.convert(path, flat=True).source
