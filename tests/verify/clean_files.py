"""Clean outputs of ten kinds, and the identities of an archive with which they have nothing in common."""

from __future__ import annotations

import base64
import datetime
import gzip
import hashlib
import io
import json
import random
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from heart2heart.verify.identities import Identities
from tests.dicom.build import speckle_frames, write

FAMILIES = (
    "Müller", "Schmidt", "Schäfer", "Weiß", "Wenk", "Böhm", "Fuchs", "Vogel", "Jung", "Hahn", "Kühn", "Brandt", "Haas",
    "Schreiber", "Graf", "Dietrich", "Ziegler", "Kuhn", "Pohl", "Engel", "Horn", "Busch", "Bergmann", "Thomas", "Voigt",
    "Sauer", "Arnold", "Wolff", "Pfeiffer", "Smith", "Jones", "Young", "King", "Wright", "Long", "Reed", "Bell", "Cook",
    "Gray", "Price", "Wood", "Ross", "West", "Cole", "Ford", "Stone", "Case", "Page", "Frame", "Marsh", "Wang", "Zhang",
    "Chen", "Yang", "Zhao", "Zhou", "Sun", "Li", "Xu", "Nguyen", "Tran", "Kim", "Park", "Choi", "García", "Núñez",
    "Kowalczyk", "Wiśniewski", "Dvořák", "Ødegård", "Åkesson", "Jiménez", "O'Brien", "McDonald", "van der Berg",
    "Y\u0131lmaz", "Papadopoulos", "Ivanov", "Haddad", "Cohen", "Singh", "Patel", "Silva", "Rossi", "Bianchi", "Moreau",
)  # fmt: skip
GIVEN = ("Anna", "Hans", "Karl", "Rosa", "Mark", "Peter", "Grace", "Rose", "Li", "Wei", "Jürgen", "Zoë", "José", "Emma",
         "Max", "Eva", "Otto", "Ida", "Hannelore", "Friedrich", "Mary", "John", "Aisha", "Noor", "Mehmet")  # fmt: skip
JAPANESE = ("山田", "佐藤", "鈴木", "高橋", "田中", "渡辺", "山本", "中村")
PROSE = [
    line.encode() for path in sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
    for line in path.read_text(encoding="utf-8").splitlines() if len(line) > 60 and "mueller" not in line.casefold()
    and "müller" not in line.casefold()
]  # fmt: skip
"""Lines of our pages, without those whose example is a name."""


def other_identities(count: int, seed: int) -> Identities:
    """Return identities of `count` patients: names, numbers, dates of birth, UIDs and study dates."""
    draw, identities = random.Random(seed), Identities()
    for index in range(count):
        name = f"{draw.choice(FAMILIES)}^{draw.choice(GIVEN)}"
        if index % 10 == 0:
            name += f"={draw.choice(JAPANESE)}^太郎"
        identities.add("name", name)
        number = f"{draw.randrange(10**5, 10**8):010d}"
        identities.add("id", number if index % 2 else f"MRN-{number[3:]}")
        born = datetime.date(1920, 1, 1) + datetime.timedelta(days=draw.randrange(30_000))
        identities.add("date", born.isoformat())
        identities.add("uid", f"1.2.840.99999.{draw.randrange(10**12)}")
        identities.days.add(datetime.date(2019, 1, 1) + datetime.timedelta(days=draw.randrange(1500)))
    identities.judge_recent_births_together()
    return identities


class CleanFiles:
    """Writes clean outputs.

    Args:
        seed: Decides every byte.
    """

    def __init__(self, seed: int) -> None:
        self._draw, self._random = random.Random(seed), np.random.default_rng(seed)

    def write(self, folder: Path, count: int) -> None:
        """Write `count` files, as many of each kind."""
        folder.mkdir(parents=True, exist_ok=True)
        kinds = (self._json, self._csv, self._page, self._array, self._parquet, self._log, self._dicom, self._picture,
                 self._archive, self._labels)  # fmt: skip
        for index in range(count):
            kinds[index % len(kinds)](folder / f"{self._hash()[:12]}")

    def _hash(self) -> str:
        return hashlib.sha256(self._draw.randbytes(8)).hexdigest()

    def _day(self) -> str:
        return (datetime.date(2012, 1, 1) + datetime.timedelta(days=self._draw.randrange(3500))).isoformat()

    def _record(self) -> dict[str, object]:
        draw = self._draw
        return {
            "clip": self._hash()[:24], "site": draw.choice("abc"), "date": self._day(), "frames": draw.randrange(400),
            "accuracy": draw.random(), "loss": round(draw.random(), draw.randrange(3, 9)),
            "seed": draw.randrange(2**31), "rows": draw.randrange(100_000),
            "view": draw.choice(("PLAX", "A4C", "A2C")), "digest": self._hash(),
        }  # fmt: skip

    def _frames(self, count: int, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        level = self._draw.choice((10.0, 30.0, 60.0))
        return np.clip(self._random.gamma(2.0, level, (count, side, side)), 0, 255).astype(np.uint8)

    def _png(self) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(self._frames(1, 64)[0]).save(buffer, "PNG")
        return buffer.getvalue()

    def _json(self, path: Path) -> None:
        path.with_suffix(".json").write_text(json.dumps([self._record() for _ in range(20)]))

    def _csv(self, path: Path) -> None:
        rows = (",".join(map(str, self._record().values())) for _ in range(30))
        path.with_suffix(".csv").write_text("\n".join(rows))

    def _page(self, path: Path) -> None:
        picture = base64.b64encode(self._png()).decode()
        text = b"</p><p>".join(self._draw.choices(PROSE, k=12)).decode()
        path.with_suffix(".html").write_text(f'<p>{text}</p><img src="data:image/png;base64,{picture}">')

    def _array(self, path: Path) -> None:
        np.save(path.with_suffix(".npy"), self._frames(3, 112))

    def _parquet(self, path: Path) -> None:
        pq.write_table(pa.Table.from_pylist([self._record() for _ in range(50)]), path.with_suffix(".parquet"))

    def _log(self, path: Path) -> None:
        path.with_suffix(".gz").write_bytes(gzip.compress(b"\n".join(self._draw.choices(PROSE, k=30))))

    def _dicom(self, path: Path) -> None:
        who = {
            "PatientName": self._hash()[:16],
            "PatientID": self._hash()[:16],
            "StudyDate": self._day().replace("-", ""),
        }
        syntax = self._draw.choice((ExplicitVRLittleEndian, JPEGBaseline8Bit))
        write(path.with_suffix(".dcm"), speckle_frames(2, seed=self._draw.randrange(99)), syntax, **who)

    def _picture(self, path: Path) -> None:
        path.with_suffix(".png").write_bytes(self._png())

    def _archive(self, path: Path) -> None:
        with zipfile.ZipFile(path.with_suffix(".pt"), "w") as packed:
            packed.writestr("data/0", self._random.normal(size=5000).astype(np.float32).tobytes())
            packed.writestr("config.json", json.dumps(self._record()))

    def _labels(self, path: Path) -> None:
        with closing(sqlite3.connect(path.with_suffix(".db"))) as book, book:
            book.execute("CREATE TABLE events (clip TEXT, view TEXT, at TEXT, seed INTEGER)")
            rows = [self._record() for _ in range(20)]
            values = [(row["clip"], row["view"], f"{row['date']}T10:20:30", row["seed"]) for row in rows]
            book.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", values)
