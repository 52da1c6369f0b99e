"""The public data sets that can be read: content, address and licence of each.

Nothing is downloaded and nothing licensed is bundled. Users get a data set from its own site and agree to the terms
there. The terms listed here may have changed since; those on the site apply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.registry import Registry

if TYPE_CHECKING:
    from heart2heart.datasets.manifest import DatasetManifest


@dataclass(frozen=True)
class DatasetInfo:
    """One public data set.

    Attributes:
        name: Short name, which is also the site's in a store.
        title: Name for readers.
        description: Its content, one sentence.
        layout: What the folder must hold.
        url: Address of the data set's site.
        licence: Its terms.
        rater: Name of the rater of its labels.
        scan: Lists the files of a folder that holds the data set, with their labels; a plugin must give it. None for
            the data sets of heart2heart, whose functions are found by name.
    """

    name: str
    title: str
    description: str
    layout: str
    url: str
    licence: str
    rater: str
    scan: Callable[[Path], DatasetManifest] | None = None

    @property
    def help_text(self) -> str:
        """Return the help text of the command line."""
        return (
            f"{self.description} FOLDER holds {self.layout}.\n\n"
            f"Source: {self.url}. Licence: {self.licence}. Nothing is downloaded."
        )


_BUILTIN = {
    dataset.name: dataset
    for dataset in (
        DatasetInfo(
            "tmed2",
            "TMED-2",
            "Add TMED-2 (Tufts, USA): single frames, view labels, official splits DEV479, DEV165, DEV56 by fold.",
            "labels_per_image.csv, DEV479/, DEV165/, DEV56/ and the folders of frames (approved_users_only)",
            "https://tmed.cs.tufts.edu, on application",
            "the TMED licence: academic research, no redistribution",
            "TMED-2",
        ),
        DatasetInfo(
            "unity",
            "Unity Imaging",
            "Add Unity (17 hospitals, UK): single frames, view labels; a clip's hash stands for a patient.",
            "png-cache/ and view_index.csv",
            "https://data.unityimaging.net",
            "CC BY-NC-ND 4.0: no commercial use, no derived data passed on",
            "Unity Imaging",
        ),
        DatasetInfo(
            "camus",
            "CAMUS",
            "Add CAMUS (Saint-Etienne, France): ED and ES frames of A2C and A4C, half sequences if asked, its split.",
            "database_nifti/ and database_split/, training/ and testing/ of the older release, or folders patientNNNN",
            "https://www.creatis.insa-lyon.fr/Challenge/camus",
            "the terms shown at download: research use, citing Leclerc et al., IEEE TMI 2019",
            "CAMUS",
        ),
        DatasetInfo(
            "echonet",
            "EchoNet-Dynamic",
            "Add EchoNet-Dynamic (Stanford, USA): A4C videos and their official split; needs the extra `video`.",
            "FileList.csv and Videos/",
            "https://echonet.github.io/dynamic, after registration",
            "Stanford University Dataset Research Use Agreement: no commercial use, no redistribution",
            "EchoNet-Dynamic",
        ),
        DatasetInfo(
            "cameo",
            "CAMEO",
            "Add CAMEO (100 patients): single frames of nine views, its official split by patient.",
            "CAMEO/ with the patient folders 001/ to 100/, each with a folder for each view",
            "https://doi.org/10.21227/kvaz-eh57 (IEEE DataPort)",
            "the terms shown at download, citing Lee et al., IEEE Data Descriptions 2026",
            "CAMEO",
        ),
        DatasetInfo(
            "mimic",
            "MIMIC-IV-ECHO",
            "Ingest MIMIC-IV-ECHO (Boston, USA): DICOM clips, unlabeled, through the ordinary ingest with a key.",
            "echo-record-list.csv and files/",
            "https://physionet.org/content/mimic-iv-echo, for credentialed users",
            "PhysioNet Credentialed Health Data License and Data Use Agreement",
            "MIMIC-IV-ECHO",
        ),
        DatasetInfo(
            "fashion-mnist",
            "Fashion-MNIST",
            "Add Fashion-MNIST: gray images of 28 x 28 pixels, for studies of methods.",
            "train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k files, plain or .gz",
            "https://github.com/zalandoresearch/fashion-mnist, or the Debian package dataset-fashion-mnist",
            "MIT",
            "Fashion-MNIST",
        ),
        DatasetInfo(
            "cifar10",
            "CIFAR-10",
            "Add CIFAR-10: images of 32 x 32 pixels as gray, for studies of methods.",
            "data_batch_1.bin to data_batch_5.bin and test_batch.bin (the binary version)",
            "https://www.cs.toronto.edu/~kriz/cifar.html",
            "none stated; cite Krizhevsky 2009",
            "CIFAR-10",
        ),
        DatasetInfo(
            "cifar100",
            "CIFAR-100",
            "Add CIFAR-100: images of 32 x 32 pixels as gray with the fine classes, for studies of methods.",
            "train.bin and test.bin (the binary version)",
            "https://www.cs.toronto.edu/~kriz/cifar.html",
            "none stated; cite Krizhevsky 2009",
            "CIFAR-100",
        ),
    )
}

CATALOGUE: Registry[DatasetInfo] = Registry(
    "data set",
    "heart2heart.datasets",
    _BUILTIN,
    "a heart2heart.datasets.catalogue.DatasetInfo with a scan function",
    lambda part: isinstance(part, DatasetInfo) and part.scan is not None,
)
"""Every data set that `heart2heart source` can add; `CATALOGUE.register(name, info)` adds one."""
