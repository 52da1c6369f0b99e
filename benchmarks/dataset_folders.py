"""Folders laid out as public data sets, SYNTHETIC throughout: a sector of speckle, for `benchmarks.datasets`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Pictures = npt.NDArray[np.uint8]
VIEWS = ("PLAX", "PSAX", "A4C", "A2C")
SPLIT_HEAD = "query_key,view_label,diagnosis_label,view_classifier_split,diagnosis_classifier_split,SourceFolder"


def sector(count: int, height: int, width: int, seed: int) -> Pictures:
    """Return uint8 `(count, height, width)`: smoothed speckle inside a sector, black around it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    inside = (np.abs(x - width / 2) < 0.1 * width + 0.55 * y) & (np.hypot(x - width / 2, y) < 0.97 * height)
    grain = rng.rayleigh(40, (count, height + 2, width + 2)).astype(np.float32)
    speckle = (grain[:, :-2, 1:-1] + grain[:, 1:-1, :-2] + 2 * grain[:, 1:-1, 1:-1] + grain[:, 2:, 1:-1]) / 5
    return np.where(inside, np.clip(speckle, 0, 255), 0).astype(np.uint8)


def write_tmed2(root: Path, frames: int) -> int:
    """Write TMED-2's layout with `frames` PNG files, a tenth of them labeled; return the number of frames."""
    from PIL import Image

    top, rows, per_image = root / "approved_users_only", [], []
    labeled, pool = top / "view_and_diagnosis_labeled_set" / "labeled", top / "unlabeled_set"
    for folder in (labeled, pool, top / "DEV56"):
        folder.mkdir(parents=True)
    pictures = sector(256, 112, 112, 0)
    for index in range(frames):
        patient, frame = divmod(index, 50)
        name = f"{patient}s1_{frame}.png"
        is_labeled = index < frames // 10
        # Each picture is another: rolled along the rows.
        picture = np.roll(pictures[index % 256], index // 256, axis=0)
        Image.fromarray(picture).save((labeled if is_labeled else pool) / name)
        if is_labeled:
            view = VIEWS[index % 4]
            part = ("train", "train", "val", "test")[patient % 4]
            rows.append(f"{name},{view},no_AS,{part},{part},view_and_diagnosis_labeled_set/labeled")
            per_image.append(f"{name},{view},no_AS")
    (top / "labels_per_image.csv").write_text("\n".join(["query_key,view_label,diagnosis_label", *per_image]) + "\n")
    (top / "DEV56" / "TMED2_fold0_labeledpart.csv").write_text("\n".join([SPLIT_HEAD, *rows]) + "\n")
    return frames


def write_camus(root: Path, patients: int) -> int:
    """Write CAMUS of today, 640 x 512 pixels that are not square and half sequences; return the number of frames."""
    import SimpleITK

    sitk: Any = SimpleITK
    pictures = sector(20, 640, 512, 1)
    for patient in range(1, patients + 1):
        name = f"patient{patient:04d}"
        folder = root / "database_nifti" / name
        folder.mkdir(parents=True)
        for chamber_index, chamber in enumerate(("2CH", "4CH")):
            moved = np.roll(pictures, 3 * patient + chamber_index, axis=1)
            for kind, pixels in (("ED", moved[0]), ("ES", moved[-1]), ("half_sequence", moved)):
                image = sitk.GetImageFromArray(pixels)
                image.SetSpacing((0.308, 0.154, 1.0)[: pixels.ndim])
                sitk.WriteImage(image, str(folder / f"{name}_{chamber}_{kind}.nii.gz"), True)
            info = f"ED: 1\nES: {len(moved)}\nSex: F\nAge: 56\nFrameRate: 50.0\n"
            (folder / f"Info_{chamber}.cfg").write_text(info, encoding="utf-8")
    return patients * 2 * (2 + len(pictures))


def write_echonet(root: Path, videos: int, frames: int = 150) -> int:
    """Write EchoNet-Dynamic: motion JPEG of 112 x 112 in AVI; return the number of frames."""
    import av

    (root / "Videos").mkdir(parents=True)
    pictures = sector(frames, 112, 112, 2)
    rows = ["FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split"]
    for index in range(videos):
        name = f"0X{index:08X}"
        with av.open(str(root / "Videos" / f"{name}.avi"), "w") as container:
            stream = container.add_stream("mjpeg", rate=50)
            stream.height = stream.width = 112
            stream.pix_fmt = "yuvj420p"
            for pixels in np.roll(pictures, index, axis=1):
                picture = av.VideoFrame.from_ndarray(np.repeat(pixels[:, :, None], 3, axis=2), format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        rows.append(f"{name},60,30,75,112,112,50,{frames},{('TRAIN', 'VAL', 'TEST')[index % 3]}")
    (root / "FileList.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return videos * frames
