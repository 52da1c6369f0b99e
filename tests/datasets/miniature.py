"""Public data sets in miniature, byte-true in layout and format. Every picture is noise: synthetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.dicom.build import speckle_frames, write

BOTH, VIEWS, POOL = "view_and_diagnosis_labeled_set", "view_labeled_set", "unlabeled_set"
SPLIT_HEAD = "query_key,view_label,diagnosis_label,view_classifier_split,diagnosis_classifier_split,SourceFolder"


def noise(seed: int, *shape: int) -> npt.NDArray[np.uint8]:
    """Return uint8 noise of a shape."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def png(path: Path, pixels: npt.NDArray[np.uint8]) -> Path:
    """Write one PNG, gray or of colours."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def table(path: Path, head: str, rows: Sequence[str]) -> Path:
    """Write one CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def tmed2(root: Path) -> Path:
    """Write TMED-2: six labeled studies, one view-only frame, two pools, one split whole (DEV56/fold0).

    The traps: 2s1_0.png lies in `labeled` and in `unlabeled`; 3s1_4.png is of class 4; 4s1_0.png is listed and missing;
    the unlabeled part holds a frame of a test patient.
    """
    top = root / "approved_users_only"
    rows, per_image = [], []
    splits = {1: "train", 2: "train", 3: "val", 4: "test"}
    for patient, split in splits.items():
        for view_index, view in enumerate(("PLAX", "PSAX", "A4C", "A2C")):
            name = f"{patient}s1_{view_index}.png"
            rows.append(f"{name},{view},no_AS,{split},{split},{BOTH}/labeled")
            per_image.append(f"{name},{view},no_AS")
            if name != "4s1_0.png":
                png(top / BOTH / "labeled" / name, noise(10 * patient + view_index, 112, 112))
    rows.append(f"3s1_4.png,A4CorA2CorOther,no_AS,val,val,{BOTH}/labeled")
    per_image += ["3s1_4.png,A4CorA2CorOther,no_AS", "7s2_0.png,A4C,Not_Provided", "2s1_0.png,Not_Provided,no_AS"]
    png(top / BOTH / "labeled" / "3s1_4.png", noise(39, 112, 112))
    png(top / VIEWS / "labeled" / "7s2_0.png", noise(70, 112, 112))
    png(top / BOTH / "unlabeled" / "2s1_0.png", noise(90, 112, 112))
    png(top / BOTH / "unlabeled" / "4s1_9.png", noise(91, 112, 112))
    for index in range(3):
        png(top / POOL / POOL / f"{100 + index}s1_0.png", noise(100 + index, 112, 112))
    table(top / "labels_per_image.csv", "query_key,view_label,diagnosis_label", per_image)
    table(top / "DEV56" / "TMED2_fold0_labeledpart.csv", SPLIT_HEAD, rows)
    pool = [f"{name},Not_Provided,no_AS,unlabeled,train,{BOTH}/unlabeled" for name in ("2s1_0.png", "4s1_9.png")]
    table(top / "DEV56" / "TMED2_fold0_unlabeledpart.csv", SPLIT_HEAD, pool)
    return root


def cameo(root: Path) -> Path:
    """Write CAMEO: two training patients and a test patient, a view that nobody knows, and a frame out of place."""
    for patient in ("001", "002", "005"):
        for index, view in enumerate(("PLAX", "PSAX-Mitral", "A4C", "A2C", "S4C")):
            png(root / "CAMEO" / patient / view / f"{view}_1.png", noise(100 * int(patient) + index, 60, 80))
    png(root / "CAMEO" / "002" / "Suprasternal" / "x.png", noise(9, 60, 80))
    png(root / "CAMEO" / "002" / "x.png", noise(10, 60, 80))
    return root


HASHES = ("ab12" + "0" * 60, "cd34" + "1" * 60)


def unity(root: Path) -> Path:
    """Write Unity: two clips; the first's second frame without the prefix, the index in both spellings."""
    first, second = HASHES
    folder = root / "png-cache" / "01"
    png(folder / "ab" / "12" / f"01-{first}-0003.png", noise(1, 60, 80))
    png(folder / "ab" / "12" / f"{first}-0007.png", noise(2, 60, 80))
    png(folder / "cd" / "34" / f"01-{second}-0000.png", noise(3, 90, 70))
    rows = [
        f"01-{first}-0003.png,plax",
        f"png-cache/01/ab/12/{first}-0007.png,PLAX",
        f"01-{second}-0000.png,a4c",
        f"01-{second}-0001.png,a4c",
    ]
    table(root / "view_index.csv", "file,view", rows)
    return root


def volume(path: Path, pixels: npt.NDArray[Any], spacing: tuple[float, float]) -> Path:
    """Write NIfTI or MetaImage by SimpleITK; spacing is along the columns, then down the rows."""
    import SimpleITK

    sitk: Any = SimpleITK
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing((*spacing, 1.0)[: pixels.ndim])
    sitk.WriteImage(image, str(path))
    return path


INFO = "ED: 1\nES: 4\nNbFrame: 4\nSex: F\nAge: 56\nImageQuality: Good\nEF: 61\nFrameRate: 50.0\n"
SPACING = (0.308, 0.154)  # along the columns, down the rows: a pixel is twice as wide as high


def camus(root: Path, numbers: Sequence[int] = (1, 2, 3)) -> Path:
    """Write CAMUS of today: pixels that are not square, half sequences, masks, an official split."""
    for number in numbers:
        name = f"patient{number:04d}"
        folder = root / "database_nifti" / name
        for index, chamber in enumerate(("2CH", "4CH")):
            frames = noise(100 * number + index, 4, 120, 60)
            for phase, picture in (("ED", frames[0]), ("ES", frames[3])):
                volume(folder / f"{name}_{chamber}_{phase}.nii.gz", picture, SPACING)
                volume(folder / f"{name}_{chamber}_{phase}_gt.nii.gz", picture // 64, SPACING)
            volume(folder / f"{name}_{chamber}_half_sequence.nii.gz", frames, SPACING)
            (folder / f"Info_{chamber}.cfg").write_text(INFO, encoding="utf-8")
    for part, number in zip(("training", "validation", "testing"), numbers, strict=False):
        path = root / "database_split" / f"subgroup_{part}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"patient{number:04d}\n", encoding="utf-8")
    return root


def camus_older(root: Path) -> Path:
    """Write CAMUS's older release: patient 1 of training and patient 1 of testing, as .mhd with .raw."""
    for seed, part in enumerate(("training", "testing")):
        folder = root / part / "patient0001"
        for index, chamber in enumerate(("2CH", "4CH")):
            for end, phase in enumerate(("ED", "ES")):
                pixels = noise(1000 * seed + 10 * index + end, 1, 120, 60)
                volume(folder / f"patient0001_{chamber}_{phase}.mhd", pixels, SPACING)
            volume(folder / f"patient0001_{chamber}_sequence.mhd", noise(seed, 4, 120, 60), SPACING)
            (folder / f"Info_{chamber}.cfg").write_text(INFO, encoding="utf-8")
    return root


def avi(path: Path, frames: npt.NDArray[np.uint8]) -> Path:
    """Write gray frames as motion JPEG in AVI by PyAV."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=50)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuvj420p"
        for pixels in frames:
            picture = av.VideoFrame.from_ndarray(np.repeat(pixels[:, :, None], 3, axis=2), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def video(
    path: Path,
    frames: npt.NDArray[np.uint8],
    codec: str,
    *,
    pixel_format: str = "yuv420p",
    times_ms: Sequence[int] = (),
    options: Mapping[str, str] | None = None,
) -> Path:
    """Write RGB frames `(n, height, width, 3)` by PyAV; the container is by the name of the file."""
    from fractions import Fraction

    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=dict(options or {}))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixel_format
        if times_ms:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for index, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            if times_ms:
                picture.pts, picture.time_base = times_ms[index], Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def pictures(root: Path) -> Path:
    """Write a folder of classes: a still A4C and a clip PLAX, both a fan of speckle; a still of noise is kept back."""
    from PIL import Image, ImageFilter

    still = Image.fromarray(speckle_frames(1, seed=1)[0, ..., 0]).filter(ImageFilter.GaussianBlur(1.5))
    png(root / "A4C" / "one.png", np.asarray(still))
    frames = [Image.fromarray(frame) for frame in speckle_frames(5, seed=2)[..., 0]]
    (root / "PLAX").mkdir(parents=True)
    frames[0].save(root / "PLAX" / "two.gif", save_all=True, append_images=frames[1:], duration=40)
    return root


VIDEOS: Mapping[str, str] = {"0X1A": "TRAIN", "0X2B": "VAL", "0X3C": "TEST", "0X4D": "TEST"}


def smooth(count: int) -> npt.NDArray[np.uint8]:
    """Return `count` frames of a slope that grows brighter: what JPEG keeps to within a few levels."""
    slope = np.add.outer(np.arange(112), np.arange(112)) / 2
    return np.stack([np.minimum(255, slope + 10 * index) for index in range(count)]).astype(np.uint8)


def echonet(root: Path) -> Path:
    """Write EchoNet-Dynamic: four videos listed, the last missing."""
    head = "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split"
    table(root / "FileList.csv", head, [f"{name},60.1,30,75,112,112,50,5,{part}" for name, part in VIDEOS.items()])
    for name in list(VIDEOS)[:3]:
        avi(root / "Videos" / f"{name}.avi", smooth(5))
    return root


RECORD_HEAD = "subject_id,study_id,acquisition_datetime,dicom_filepath"


def mimic(root: Path) -> Path:
    """Write two patients with a study each, a file that the list does not name, and three rows without a file."""
    rows = []
    for index, (subject, study) in enumerate((("100", "900"), ("100", "900"), ("200", "901"))):
        name = f"files/p{subject[:2]}/p{subject}/s{study}/{study}_{index:04d}.dcm"
        write(root / name, speckle_frames(3, seed=index), PatientID=subject, SOPInstanceUID=f"1.2.3.{index}")
        rows.append(f"{subject},{study},,{name}")
    write(root / "files" / "stray.dcm", speckle_frames(3, seed=9), PatientID="300", SOPInstanceUID="1.2.3.9")
    rows += ["200,901,,files/p20/p200/s901/901_0099.dcm", "200,901,,../stray.dcm", "200,901,,/etc/hostname"]
    table(root / "echo-record-list.csv", RECORD_HEAD, rows)
    return root
