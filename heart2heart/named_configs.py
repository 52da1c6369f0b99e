"""The configurations that come with heart2heart, found by name: `demo/fixmatch` is `configs/demo/fixmatch.yaml`.

A wheel holds them in `heart2heart/configs`; a checkout in `configs` at the top level of the repository.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from heart2heart.errors import MissingInputError


def configs_folder() -> Path:
    """Return the folder of the packaged configurations, in a wheel or in a checkout.

    Raises:
        MissingInputError: the installation holds no configurations.
    """
    package = Path(str(files("heart2heart")))
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "demo").is_dir():
            return folder
    remedy = "Install heart2heart again, from a wheel or from a complete checkout"
    raise MissingInputError("the configurations are missing from this installation", where=package, remedy=remedy)


def config_names() -> tuple[str, ...]:
    """Return the names of all packaged training configurations, sorted.

    Example:
        >>> "demo/fixmatch" in config_names()
        True
    """
    folder = configs_folder()
    names = (path.relative_to(folder).with_suffix("").as_posix() for path in folder.glob("*/*.yaml"))
    # folds.yaml lists what folds change in the configurations beside it; it cannot be trained.
    return tuple(sorted(name for name in names if not name.endswith("/folds")))


def find_config(name: str | Path) -> Path:
    """Return the file of a configuration that is given by path or by packaged name.

    Args:
        name: Path of a YAML file, or a name such as `demo/fixmatch`. An existing file comes first.

    Raises:
        MissingInputError: neither a file nor a packaged name; the message lists the names.

    Example:
        >>> find_config("demo/fixmatch").name
        'fixmatch.yaml'
    """
    path = Path(name)
    if path.is_file():
        return path
    known = config_names()
    packaged_name = path.as_posix().removesuffix(".yaml")
    if packaged_name in known:
        return configs_folder() / f"{packaged_name}.yaml"
    what = "no configuration file here, and no packaged configuration of this name"
    raise MissingInputError(what, where=path, remedy=f"Packaged names: {', '.join(known)}")


def describe_config(name: str) -> str:
    """Return the first clause of a packaged configuration's description.

    The description is the paragraph of comments after the command, the cost and the expected result.
    """
    lines = find_config(name).read_text(encoding="utf-8").splitlines()
    comments = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    start = comments.index("") + 1 if "" in comments else 0
    # The sentence ends at a colon, or at a full stop before a capital: "et al. (2018)" goes on.
    return re.split(r":(?= |$)|\.(?= [A-Z]|$)", " ".join(comments[start:]), maxsplit=1)[0]
