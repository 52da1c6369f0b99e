"""The hash of a file is of its picture, whatever compression leaves in its padding."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from heart2heart.datasets.manifest import DatasetFile
from heart2heart.datasets.prepare import FilePreparer
from heart2heart.store.geometry import Geometry
from tests.store.echo_frames import echo_frames


def _hash(path: Path, picture: npt.NDArray[np.uint8]) -> int:
    Image.fromarray(picture).save(path)
    prepare = FilePreparer("site", Geometry("tmed2", 112), "all")
    file = prepare((DatasetFile(key=path.name, path=path, reader="png", patient="p", study="s"), None))
    return int(file.frames[0]["dhash"])


def test_file_preparer_hashes_the_same_box_whether_or_not_padding_was_compressed(tmp_path: Path) -> None:
    moved = 0
    for index, frame in enumerate(echo_frames(6, side=100, seed=1)):
        picture = np.zeros((224, 224), np.uint8)
        picture[:150, :150] = np.asarray(Image.fromarray(frame[40:80, 30:70]).resize((150, 150)))
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=40)
        compressed = np.asarray(Image.open(buffer))
        moved += int(compressed[152:].any() or compressed[:, 152:].any())
        clean = _hash(tmp_path / f"{index}.png", picture)
        assert (clean ^ _hash(tmp_path / f"{index}-compressed.png", compressed)).bit_count() <= 6  # 32 by chance
    assert moved  # compression left traces beyond the picture
