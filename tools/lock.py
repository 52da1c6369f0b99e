"""Write hash-locked requirements and a CycloneDX SBOM of a release: `make lock`.

Command: python -m tools.lock --out dist .[codecs,curate]
pip resolves the requirements under `constraints.txt` for the Python and platform in use, without installing anything.
`requirements.lock` pins each distribution by version and sha256, so that `pip install --require-hashes --requirement
requirements.lock` takes these files or none. `sbom.cdx.json` lists the same files with licences and dependencies.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.utils import write_text
from pipelines.command_line import run

Report = Mapping[str, Any]
"""What `pip install --report` writes: the environment, and one entry for each distribution it would install."""

_LICENCE_LENGTH = 100  # some distributions give the whole text of their licence as its name


def resolve(requirements: Sequence[str], constraints: Path | None) -> Report:
    """Resolve requirements with pip and return its report; nothing is installed.

    Args:
        requirements: Requirements as pip takes them: names, wheels, or a folder with extras such as `.[curate]`.
        constraints: File of versions to keep to, also while the package itself is built.

    Raises:
        ConfigError: pip cannot resolve them; pip has said why on standard error.
    """
    environment = dict(os.environ)
    pins: list[str] = []
    if constraints is not None:
        environment["PIP_CONSTRAINT"] = str(constraints)
        pins = ["--constraint", str(constraints)]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--quiet", "--disable-pip-version-check", "--dry-run", "--ignore-installed", "--report", str(report)]
        command = [sys.executable, "-m", "pip", "install", *options, *pins, *requirements]
        if subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode:
            raise ConfigError("pip cannot resolve these requirements", where=" ".join(requirements))
        content: Report = json.loads(report.read_text(encoding="utf-8"))
    return content


def lock_text(report: Report) -> str:
    """Return the hash-locked requirements of a report, sorted by name.

    The project itself, resolved from a folder, has no hash and is left out: install its wheel with `--no-deps`.

    Raises:
        MissingInputError: a distribution without sha256.
    """
    environment = report["environment"]
    where = (
        f"Python {environment['python_full_version']}, {environment['sys_platform']} {environment['platform_machine']}"
    )
    lines = [
        f"# Resolved for {where}; other platforms need their own lock.",
        "# Install: pip install --require-hashes --requirement requirements.lock",
    ]
    for item in _archives(report):
        lines += [f"{item['metadata']['name']}=={item['metadata']['version']} \\", f"    --hash=sha256:{_sha256(item)}"]
    return "\n".join(lines) + "\n"


def sbom_text(report: Report, *, when: datetime) -> str:
    """Return the CycloneDX 1.6 SBOM of a report as JSON, checked against the standard's schema.

    Args:
        report: Report of pip.
        when: Time that the SBOM states.

    Raises:
        ConfigError: the SBOM breaks the schema.
    """
    components = {canonicalize_name(item["metadata"]["name"]): _component(item) for item in report["install"]}
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, lock_text(report)))
    bom.metadata.timestamp = when
    for item in report["install"]:
        component = components[canonicalize_name(item["metadata"]["name"])]
        if component.type is ComponentType.APPLICATION:
            bom.metadata.component = component
        else:
            bom.components.add(component)
        needed = (components[other] for other in _dependencies(item) if other in components)
        bom.register_dependency(component, needed)
    text = str(JsonV1Dot6(bom).output_as_string(indent=2))
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        raise ConfigError("the SBOM breaks the CycloneDX schema", remedy=f"Report this fault: {fault}")
    return text + "\n"


def _archives(report: Report) -> list[Any]:
    archives = [item for item in report["install"] if "archive_info" in item["download_info"]]
    return sorted(archives, key=lambda item: canonicalize_name(item["metadata"]["name"]))


def _sha256(item: Any) -> str:
    digest = item["download_info"]["archive_info"].get("hashes", {}).get("sha256")
    if digest is None:
        remedy = "Take it from an index that publishes hashes"
        raise MissingInputError("pip knows no sha256 of this file", where=item["metadata"]["name"], remedy=remedy)
    return str(digest)


def _component(item: Any) -> Component:
    metadata = item["metadata"]
    name, version = metadata["name"], metadata["version"]
    url = PackageURL("pypi", None, canonicalize_name(name), version)
    is_project = "archive_info" not in item["download_info"]  # a folder, not a file of an index
    return Component(
        type=ComponentType.APPLICATION if is_project else ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=str(url),
        purl=url,
        description=metadata.get("summary"),
        hashes=[] if is_project else [HashType(alg=HashAlgorithm.SHA_256, content=_sha256(item))],
        licenses=_licences(metadata),
    )


def _licences(metadata: Any) -> list[License]:
    """Return the licence as the distribution declares it: expression, else classifiers, else a short licence field."""
    if expression := metadata.get("license_expression"):
        return [LicenseExpression(expression)]
    classifiers = [line for line in metadata.get("classifier", ()) if line.startswith("License :: ")]
    if classifiers:
        return [DisjunctiveLicense(name=name) for name in sorted({line.rsplit(" :: ", 1)[-1] for line in classifiers})]
    licence = str(metadata.get("license") or "").strip()
    is_name = 0 < len(licence) <= _LICENCE_LENGTH and "\n" not in licence
    return [DisjunctiveLicense(name=licence)] if is_name else []


def _dependencies(item: Any) -> list[NormalizedName]:
    """Return the canonical names that a distribution requires here, with the extras that were asked for."""
    names = []
    for text in item["metadata"].get("requires_dist", ()):
        requirement = Requirement(text)
        extras = ["", *item.get("requested_extras", ())]
        environment = {str(key): str(value) for key, value in default_environment().items()}
        if requirement.marker is None or any(
            requirement.marker.evaluate(environment | {"extra": extra}) for extra in extras
        ):
            names.append(canonicalize_name(requirement.name))
    return sorted(set(names))


def main(
    requirements: Annotated[list[str], typer.Argument(help="Requirements as pip takes them.")],
    out: Annotated[Path, typer.Option(help="Folder for both files; made if missing.")] = Path("dist"),
    constraints: Annotated[Path | None, typer.Option(help="File of versions to keep to.")] = None,
) -> None:
    """Write requirements.lock and sbom.cdx.json."""
    report = resolve(requirements, constraints)
    lock, sbom = lock_text(report), sbom_text(report, when=datetime.now(UTC))
    write_text(out / "requirements.lock", lock)
    write_text(out / "sbom.cdx.json", sbom)
    print(f"{len(_archives(report))} distributions locked\n{out / 'requirements.lock'}\n{out / 'sbom.cdx.json'}")


if __name__ == "__main__":
    run(main)
