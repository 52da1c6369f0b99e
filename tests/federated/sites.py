"""Three sites on one machine, each with a table of predictions and its file of settings."""

from __future__ import annotations

from pathlib import Path


def table(site: str, period: int, *, patients: int = 40) -> str:
    """Return a table of two cases a patient; `period` sets which cases are right."""
    rows = [
        f"{index},p{index // 2},{site},{'ab'[index % 2]},0.{1 + index % period},0.{9 - index % period}"
        for index in range(2 * patients)
    ]
    return "\n".join(["case,patient,site,truth,a,b", *rows]) + "\n"


def write_site(folder: Path, site: str, period: int, *, patients: int = 40) -> Path:
    """Write the table and the settings of a site, and return the path of the settings."""
    (folder / f"{site}.csv").write_text(table(site, period, patients=patients))
    settings = folder / f"{site}.yaml"
    settings.write_text(f"model: {site}.csv\nsite: {site}\ntask: severity\nname: Model\n")
    return settings
