"""The operations of `keras.ops`, and those of TensorFlow and the Keras backend in their names."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__, __name__ + "."):
    importlib.import_module(_module.name)
