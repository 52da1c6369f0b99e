"""What a run's record says of the weights that its network began from."""

from __future__ import annotations

from heart2heart.config import Config


class InitRecord(Config):
    """The weights that a network was initialised with."""

    file: str
    """Name of the file, or of the run's folder, without the folders above it."""
    sha256: str
    """Hash of the file; of a run, that of its selected weights."""
    licence: str | None = None
    """Licence of the weights, as the configuration or a licence file beside them states it; null: not stated."""
    loaded: int
    """Number of the network's tensors that were taken from the file: all but those of `fresh`."""
    fresh: tuple[str, ...]
    """Tensors of the network that the file lacks, or whose layer has another shape in it; initialised at random."""
    unused: tuple[str, ...]
    """Tensors of the file that the network lacks, or that belong to a layer left fresh."""
    loaded_share: float
    """Share of the network's parameters that were taken from the file, 0 to 1."""
    stem: str | None = None
    """How a stem of three colours became one of grey; null: it was not changed."""

    def sentence(self) -> str:
        """Return source, shares and licence in one sentence, for a reader."""
        layers = sorted({name.rpartition(".")[0] or name for name in self.fresh})
        shown = ", ".join(layers[:4]) + (f" and {len(layers) - 4} more" if len(layers) > 4 else "")
        total = self.loaded + len(self.fresh)
        parts = [
            f"initialised with {self.file} (sha256 {self.sha256[:12]})",
            f"loaded: {self.loaded} of {total} tensors, {self.loaded_share:.2%} of the parameters",
            f"fresh: {shown or 'none'}",
            f"{len(self.unused)} of the file not used",
            *([self.stem] if self.stem else []),
            f"licence: {self.licence or 'not stated'}",
        ]
        return "; ".join(parts)
