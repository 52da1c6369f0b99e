"""Types of the front door; tests/test_front_door.py compares it with `heart2heart.__all__`."""

from heart2heart.api import (
    LabelStore as LabelStore,
)
from heart2heart.api import (
    adapt as adapt,
)
from heart2heart.api import (
    certify_splits as certify_splits,
)
from heart2heart.api import (
    count_labels as count_labels,
)
from heart2heart.api import (
    deidentify_files as deidentify_files,
)
from heart2heart.api import (
    evaluate as evaluate,
)
from heart2heart.api import (
    export_labels as export_labels,
)
from heart2heart.api import (
    import_labels as import_labels,
)
from heart2heart.api import (
    ingest_files as ingest_files,
)
from heart2heart.api import (
    load_clip as load_clip,
)
from heart2heart.api import (
    load_model as load_model,
)
from heart2heart.api import (
    load_split as load_split,
)
from heart2heart.api import (
    load_train_config as load_train_config,
)
from heart2heart.api import (
    make_queue as make_queue,
)
from heart2heart.api import (
    make_split as make_split,
)
from heart2heart.api import (
    make_splits as make_splits,
)
from heart2heart.api import (
    open_store as open_store,
)
from heart2heart.api import (
    pool as pool,
)
from heart2heart.api import (
    predict_files as predict_files,
)
from heart2heart.api import (
    read_metrics as read_metrics,
)
from heart2heart.api import (
    report as report,
)
from heart2heart.api import (
    simulate as simulate,
)
from heart2heart.api import (
    summary_table as summary_table,
)
from heart2heart.api import (
    train as train,
)
from heart2heart.api import (
    validate as validate,
)
from heart2heart.api import (
    verify_deidentification as verify_deidentification,
)

__all__: list[str]
__version__: str
