"""Rules: one function for each Keras layer, one place to touch to support one more.

Every module of this folder is imported, so a rule is found by being written.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__, __name__ + "."):
    if not _module.ispkg:  # the functions are imported when a model has one
        importlib.import_module(_module.name)
