"""The card of an exported model: what it is, what it was trained on, and what was checked, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping

import heart2heart
from heart2heart.schema.model_folder import Parity
from heart2heart.schema.split import Certificate
from heart2heart.schema.validation import ValidationCertificate
from heart2heart.training.run import Run

LICENCE_NOT_STATED = """The licence of these weights is not stated. Ask whoever trained them before you use them.

heart2heart, which wrote this folder, is under the Apache License 2.0; that does not cover the weights.
"""


def model_card(
    run: Run,
    name: str,
    certificate: Certificate | None,
    validations: Mapping[str, ValidationCertificate],
    parity: Mapping[str, Parity],
    licence: str | None,
) -> str:
    """Return the card.

    Args:
        run: The run.
        name: Name of the model.
        certificate: Certificate of its training split; None: not at hand.
        validations: Certificates of validations by name.
        parity: Comparison with the run by format.
        licence: Licence of the weights; None: not stated.
    """
    info, record, size = run.info(), run.directory.record, run.geometry.size
    frames = f"gray frames, uint8 `(n, {size}, {size})`, of the geometry {run.geometry}"
    weights = f"weights of step {info.selected_step} ({info.selection})"
    lines = [
        f"# {name}",
        f"{info.method}. Classes: {', '.join(run.classes)}. Research only, not a medical device.",
        f"Input: {frames}. Output: logits, float32.",
        f"Network: {info.network}, {info.parameters} parameters, {weights}.",
        f"Training split: sha256 {record.split_sha256}. Exported by heart2heart {heart2heart.__version__}.",
    ]
    if certificate is None:
        lines.append("Leakage certificate of the training split: not at hand when the model was exported.")
    else:
        counts = ", ".join(f"{check.name}: {check.status}" for check in certificate.checks)
        lines.append(f"Leakage certificate of the training split: passed ({counts}).")
    if record.adaptation is not None:
        count = len(record.adaptation.patients)
        lines.append(f"Adapted to {record.adaptation.site} with {count} patients: {record.adaptation.outcome}.")
    for each, validation in validations.items():
        failed = [check.name for check in validation.checks if check.status == "fail"]
        state = f"failed: {', '.join(failed)}" if failed else "passed"
        lines.append(f"Validation {each} at {', '.join(validation.sites)}: {state}. {validation.sentence()}")
    for form, result in parity.items():
        lines.append(f"Export {form}: {result.sentence()}.")
    lines.append(f"Licence of the weights: {licence or 'not stated'}.")
    lines.append("Accuracy: that of a report on named hospitals; a model carries over only where it was measured.")
    return "\n\n".join(lines) + "\n"
