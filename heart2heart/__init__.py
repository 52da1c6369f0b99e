"""heart2heart: from echo DICOM to a view classifier that can be trusted at another hospital.

`import heart2heart as h2h` is fast: each function is loaded when it is first used.

Examples:
    >>> import heart2heart as h2h
    >>> store = h2h.open_store("store")
    >>> split = h2h.make_split(store, "labels.db", "my_split", source=["A"])
    >>> run = h2h.train("demo/labels_only", "my_run", stores="store", split=split.path, overrides={"steps": 4})
    >>> metrics = h2h.evaluate(run, "store", "my_evaluation", replicates=200)
    >>> h2h.report("my_evaluation", "my_report.html", replicates=200).path.name
    'my_report.html'
"""

from importlib.metadata import version

__version__ = version("heart2heart")

__all__ = [
    "LabelStore",
    "__version__",
    "adapt",
    "certify_splits",
    "count_labels",
    "deidentify_files",
    "evaluate",
    "export_labels",
    "import_labels",
    "ingest_files",
    "load_clip",
    "load_model",
    "load_split",
    "load_train_config",
    "make_queue",
    "make_split",
    "make_splits",
    "open_store",
    "pool",
    "predict_files",
    "read_metrics",
    "report",
    "simulate",
    "summary_table",
    "train",
    "validate",
    "verify_deidentification",
]


def __getattr__(name: str) -> object:
    """Load a function of `heart2heart.api` on its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module("heart2heart.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the functions, for completion in a notebook."""
    return __all__
