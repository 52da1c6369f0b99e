"""What one site of a federated validation reads: a YAML file that stays at the site."""

from __future__ import annotations

import os
from pathlib import Path

from heart2heart.config import Config
from heart2heart.errors import MissingInputError

SETTINGS_VARIABLE = "HEART2HEART_SITE_SETTINGS"
"""Environment variable with the path of a site's file."""


class SiteSettings(Config):
    """What one site validates; the keys are those of `heart2heart validate`, paths are relative to the file."""

    model: str
    """A run, an exported file, or a table of predictions."""
    site: str
    """The hospital, as in the store or the table."""
    store: tuple[str, ...] = ()
    """Frame stores; none with a table."""
    labels: str | None = None
    """Label store; none with a table."""
    split: str | None = None
    """Training split."""
    train_store: tuple[str, ...] = ()
    """Stores of the training split."""
    leave_out_seen: bool = False
    """Leave out patients whom the model has seen."""
    task: str = "view"
    """What the classes are."""
    name: str | None = None
    """Name of the model of a table."""
    synthetic: bool = False
    """The cases of a table are simulated."""
    margin: str | None = None
    """File of the registered margin."""

    def below(self, folder: Path) -> SiteSettings:
        """Return the settings with paths below a folder."""

        def path(text: str | None) -> str | None:
            return None if text is None else str(folder / text)

        return self.model_copy(
            update={
                "model": str(folder / self.model),
                "store": tuple(str(folder / each) for each in self.store),
                "labels": path(self.labels),
                "split": path(self.split),
                "train_store": tuple(str(folder / each) for each in self.train_store),
                "margin": path(self.margin),
            }
        )


def read_settings(path: str | Path | None) -> SiteSettings:
    """Read the settings of this site.

    Args:
        path: The file. None takes that of the environment variable `HEART2HEART_SITE_SETTINGS`.

    Raises:
        MissingInputError: no file is named, or it is not there.
        ConfigError: not YAML, an unknown key, or a value of the wrong type.
    """
    chosen = path or os.environ.get(SETTINGS_VARIABLE)
    if not chosen:
        remedy = f"Set {SETTINGS_VARIABLE} to the path of the site's YAML file"
        raise MissingInputError("this site has no settings", remedy=remedy)
    file = Path(chosen)
    return SiteSettings.load(file).below(file.absolute().parent)
