"""Refuses an encoder whose pretraining read patients whom the split scores, unless the configuration accepts it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import LeakageError
from heart2heart.schema.pretraining import is_pretraining, read_patients
from heart2heart.splits.manifest import SplitManifest
from heart2heart.training.networks.build import NetworkConfig
from heart2heart.training.unscored_frames import SCORED_ROLES


def pretrained_on_scored(settings: NetworkConfig, split: SplitManifest) -> tuple[str, ...]:
    """Return the hospitals whose scored patients were read by the pretraining that `network.init` names.

    Args:
        settings: The section `network` of the configuration.
        split: The split of the run.

    Returns:
        Names of hospitals, sorted; none where the weights are of no pretraining, or it left these patients out.

    Raises:
        LeakageError: it read some, and `network.init_scored` is false.
        RunError, MissingInputError: its list of patients is missing or was changed.
    """
    source = Path(settings.init)
    if not is_pretraining(source):
        return ()
    members = split.members
    scored = members.filter(pc.is_in(members["role"], pa.array(SCORED_ROLES, pa.string())))
    read = pa.array(sorted({patient for _, patient in read_patients(source)}), pa.string())
    both = scored.filter(pc.is_in(scored["patient"], read))
    if not len(both):
        return ()
    sites = tuple(sorted(pc.unique(both["site"]).to_pylist()))
    if not settings.init_scored:
        patients = len(pc.unique(both["patient"]))
        what = f"the pretraining read {patients} patients whom this split scores, of {', '.join(sites)}"
        remedy = "Pretrain with data.split set to this split; or accept it with network.init_scored=true, which is said"
        raise LeakageError(what, where=source, remedy=remedy)
    return sites
