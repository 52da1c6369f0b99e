"""The lock and the SBOM of a release, on a report as pip writes it and on one real small distribution."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from heart2heart.errors import ConfigError, MissingInputError
from tools.lock import lock_text, resolve, sbom_text

WHEN = datetime(2026, 11, 27, tzinfo=UTC)


def _item(name: str, *, sha256: str | None = None, folder: bool = False, **metadata: Any) -> dict[str, Any]:
    source: dict[str, Any] = {"dir_info": {}} if folder else {"archive_info": {"hashes": {"sha256": sha256}}}
    known = {"name": name, "version": "1.0", **metadata}
    return {"metadata": known, "download_info": source, "requested_extras": ["page"] if folder else []}


def _report() -> dict[str, Any]:
    return {
        "environment": {"python_full_version": "3.11.7", "sys_platform": "linux", "platform_machine": "x86_64"},
        "install": [
            _item(
                "study",
                folder=True,
                requires_dist=[
                    "Zeta>=1",
                    "alpha; extra == 'page'",
                    "absent; extra == 'other'",
                    "old; python_version < '3'",
                ],
            ),
            _item("Zeta", sha256="b" * 64, license_expression="Apache-2.0 OR MIT", requires_dist=["alpha"]),
            _item("alpha", sha256="a" * 64, classifier=["License :: OSI Approved :: MIT License"], license="x" * 500),
        ],
    }


def test_lock_text_pins_every_distribution_but_the_project() -> None:
    lines = lock_text(_report()).splitlines()
    assert lines[2:] == [
        "alpha==1.0 \\", f"    --hash=sha256:{'a' * 64}",
        "Zeta==1.0 \\", f"    --hash=sha256:{'b' * 64}",
    ]  # fmt: skip
    assert "Python 3.11.7, linux x86_64" in lines[0]


def test_lock_text_refuses_a_file_without_hash() -> None:
    report = _report()
    report["install"][1]["download_info"] = {"archive_info": {}}
    with pytest.raises(MissingInputError, match="no sha256 of this file: Zeta"):
        lock_text(report)


def test_sbom_text_lists_files_licences_and_dependencies() -> None:
    sbom = json.loads(sbom_text(_report(), when=WHEN))
    assert sbom["bomFormat"] == "CycloneDX"
    assert sbom["metadata"]["component"]["name"] == "study"
    components = {item["name"]: item for item in sbom["components"]}
    assert components["Zeta"]["hashes"] == [{"alg": "SHA-256", "content": "b" * 64}]
    assert components["Zeta"]["licenses"] == [{"expression": "Apache-2.0 OR MIT"}]
    assert components["alpha"]["licenses"] == [{"license": {"name": "MIT License"}}]
    needed = {item["ref"]: item.get("dependsOn", []) for item in sbom["dependencies"]}
    assert needed["pkg:pypi/study@1.0"] == ["pkg:pypi/alpha@1.0", "pkg:pypi/zeta@1.0"]
    assert needed["pkg:pypi/zeta@1.0"] == ["pkg:pypi/alpha@1.0"]
    assert sbom_text(_report(), when=WHEN) == sbom_text(_report(), when=WHEN)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A distribution without dependencies, so that nothing is asked of an index."""
    path = tmp_path / "tiny_study-1.2-py3-none-any.whl"
    files = {
        "METADATA": "Metadata-Version: 2.4\nName: tiny-study\nVersion: 1.2\nLicense-Expression: Apache-2.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"tiny_study-1.2.dist-info/{name}", text)
    return path


def test_resolve_gives_a_lock_that_pip_accepts(wheel: Path, tmp_path: Path) -> None:
    report = resolve(["--no-index", str(wheel)], None)
    lock = tmp_path / "requirements.lock"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-index",
               "--find-links", str(wheel.parent), "--require-hashes", "--requirement", str(lock)]  # fmt: skip
    lock.write_text(lock_text(report))
    subprocess.run(command, check=True)
    lock.write_text(lock_text(report).replace("sha256:", "sha256:0")[:-2])
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0
    sbom = json.loads(sbom_text(report, when=WHEN))
    assert [item["purl"] for item in sbom["components"]] == ["pkg:pypi/tiny-study@1.2"]


def test_resolve_refuses_what_pip_cannot_find() -> None:
    with pytest.raises(ConfigError, match="pip cannot resolve these requirements: --no-index none-of-this-name"):
        resolve(["--no-index", "none-of-this-name"], None)
