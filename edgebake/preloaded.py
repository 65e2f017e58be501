"""What the processes of `up` have in common, imported once by the fork server; see ``edgebake.forked``."""

import gc
from importlib import import_module

MODULES = (
    "boto3",
    "botocore.session",
    "cdn.local.app",
    "edgebake.apps",
    "edgebake.cli",
    "edgebake.enduring",
    "edgebake.locations",
    "edgebake.process",
    "edgebake.serving",
    "edgebake.tracing",
    "edgebake.wiring",
    "edgebake.workers",
    "uvloop",
)

for name in MODULES:
    import_module(name)
gc.collect()
gc.freeze()  # a collection in a fork would copy the pages that all of them share
