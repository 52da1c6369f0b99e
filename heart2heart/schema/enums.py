"""Closed vocabularies of the files on disk: each column or field takes only these words.

Members are strings: they are written, compared and sorted as their values. Status codes and flags have their own table
in `heart2heart.schema.status`; views have theirs in `heart2heart.schema.views`.
"""

from __future__ import annotations

from enum import StrEnum


class ClipMode(StrEnum):
    """Ultrasound mode of a clip: column `mode` of the tables of clips and frames."""

    B_MODE = "b_mode"
    """Gray two-dimensional pictures."""
    COLOUR = "colour"
    """Two-dimensional pictures with colour Doppler."""
    TISSUE_DOPPLER = "tissue_doppler"
    """Two-dimensional pictures in which colour codes the motion of the tissue."""
    M_MODE = "m_mode"
    """Motion along one line over time."""
    SPECTRAL = "spectral"
    """Spectral Doppler: velocities over time."""
    OTHER = "other"
    """Another picture, or a mode that the file does not show."""


POOL_MODES = (ClipMode.B_MODE, ClipMode.COLOUR)
"""Modes that a training pool takes by default."""

WITHOUT_POOL = ("labels_only", "supervised_mixup", "supervised_strong")
"""Training algorithms that read no unlabeled frame."""


class SplitRole(StrEnum):
    """Role of a frame in a split: column `role` of the split's members."""

    TRAIN = "train"
    """A labeled frame that the model is trained with."""
    VALIDATION = "validation"
    """A labeled frame of the source that chooses the weights."""
    TEST = "test"
    """A labeled frame that the model is tested on."""
    UNLABELED = "unlabeled"
    """A frame of the unlabeled training pool."""
    ADAPTATION = "adaptation"
    """A frame of a held-out site that may adapt a finished model there; its patient is never scored."""
    EXCLUDED = "excluded"
    """A frame that is not read: an unlabeled one of a validation or test patient or of a held-out site, or one of a
    mode or view that the split leaves out."""


class PredictionRole(StrEnum):
    """Role of a row: column `role` of the predictions."""

    VALIDATION = "validation"
    """A validation frame of the source."""
    TEST = "test"
    """A test frame."""
    SECTOR_MASKED = "sector_masked"
    """A test frame whose scan is blacked out, for a shortcut probe."""
    BACKGROUND_SWAPPED = "background_swapped"
    """A test frame in which everything but the scan comes from another frame, for a shortcut probe."""
    PERTURBED = "perturbed"
    """A test frame with an acoustic perturbation, for the stress test; columns `perturbation` and `level` say which."""


ALTERATIONS = (PredictionRole.SECTOR_MASKED, PredictionRole.BACKGROUND_SWAPPED)
"""Roles of altered test frames. Such a row repeats a test row with other logits."""


class CheckStatus(StrEnum):
    """Result of one check of the leakage certificate."""

    PASS = "pass"
    """The check found no fault."""
    WARN = "warn"
    """The check found something that a reader should know. The split can be used."""
    FAIL = "fail"
    """The check found a fault. Training and evaluation refuse the split."""


class EventKind(StrEnum):
    """Kind of a label event: column `kind`."""

    LABEL = "label"
    """A rater's reading."""
    ADJUDICATION = "adjudication"
    """The decision on a disagreement."""
    RETRACTION = "retraction"
    """The withdrawal of an earlier event of the same rater."""
    GOLD = "gold"
    """A rater's reading of a gold clip, whose label was known before. It measures the rater, and is no label."""


class ClipEventKind(StrEnum):
    """Kind of an event of a clip that is no reading of its view."""

    QUALITY = "quality"
    """Image quality, by one rater: an `ImageQuality`."""
    MARKS = "marks"
    """Frames of end diastole and end systole, by one rater."""
    NOTE = "note"
    """A rater's own words about a clip; never exported unless asked for."""
    HANDOVER = "handover"
    """The clip goes to a colleague."""
    HANDOVER_DONE = "handover_done"
    """The colleague is done with a clip that was handed over."""
    GOAL = "goal"
    """A rater's daily goal; of no clip."""
    GOLD = "gold"
    """The known label of a gold clip, frozen; empty: the clip is gold no longer."""
    EXAMPLE = "example"
    """The clip is an example of a view; empty: it is one no longer."""


class ImageQuality(StrEnum):
    """Image quality of a clip, best first."""

    GOOD = "good"
    """All structures of the view are seen in full."""
    FAIR = "fair"
    """The view is clear; some borders are not."""
    POOR = "poor"
    """The view is barely recognised; nothing can be measured."""
    UNUSABLE = "unusable"
    """Nothing can be read."""


class LabelAnswer(StrEnum):
    """Answer of a label event: column `answer`."""

    VIEW = "view"
    """The picture shows the view in column `view`."""
    UNUSABLE = "unusable"
    """Nobody could recognise a view in the picture."""
    UNSURE = "unsure"
    """This rater does not recognise the view."""
    NONE = ""
    """No answer: the event is a retraction."""


class VerdictKind(StrEnum):
    """What the interval of a difference shows."""

    BETTER = "better"
    """The interval excludes zero, in favour."""
    WORSE = "worse"
    """The interval excludes zero, against."""
    OPEN = "open"
    """The interval includes zero."""
    UNKNOWN = "unknown"
    """There is no interval."""


class AuditAction(StrEnum):
    """What was done with patient data: field `action` of a record of the audit log."""

    START = "start"
    """The log began."""
    INGEST = "ingest"
    """Files became de-identified frames in a store."""
    LINK = "link"
    """Link codes of patients were written."""
    DEIDENTIFY = "deidentify"
    """Clean copies of files were written."""
    VERIFY_DEID = "verify_deid"
    """Outputs were searched for identities."""
    PULL = "pull"
    """Files were fetched from a PACS."""
    RECEIVE = "receive"
    """Files were received by C-STORE."""
    LABEL = "label"
    """Clips were shown to persons, who labeled them."""
    IMPORT_LABELS = "import_labels"
    """Labels were read into a label store."""
    EXPORT_LABELS = "export_labels"
    """Labels were written to a file."""
    REVIEW = "review"
    """Clips with suspected text were shown or decided about."""
    SHOW = "show"
    """Pictures of clips were written into a page."""
    TRAIN = "train"
    """A model was trained or adapted with frames."""
    PREDICT = "predict"
    """A model was applied to clips."""
    SEND = "send"
    """Answers of a model became DICOM objects, which an archive may have received."""
    EVALUATE = "evaluate"
    """Predictions for labeled frames were made or scored."""
    RELEASE = "release"
    """Results left the hospital: counts, or a model."""
    ROTATE_KEY = "rotate_key"
    """Pseudonyms were moved to another key."""
    READ_LOG = "read_log"
    """The audit log was exported."""


class AuditPhase(StrEnum):
    """Phase of an operation: field `phase` of a record of the audit log."""

    BEGAN = "began"
    """The operation began."""
    ENDED = "ended"
    """The operation ended, with success or an error."""
