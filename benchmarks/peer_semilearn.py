"""FixMatch as `semilearn` (USB) 0.3.2 trains it, timed: run by `benchmarks.training` in the peer's own environment.

    python -m venv peer && peer/bin/pip install torch==2.13.0 numpy scipy scikit-learn pillow
    peer/bin/pip install --no-deps semilearn==0.3.2 torchvision
    peer/bin/python benchmarks/peer_semilearn.py --size 32 --labeled 16 --unlabeled 112 --depth 10 --widen 1

It needs nothing of heart2heart. What semilearn imports beside FixMatch (trackers, text, sound) is replaced by empty
stand-ins, and torchvision's compiled operators, which it does not use, are left undeclared. The data set,
augmentation, loader, algorithm, optimiser, parameter and EMA hooks are the peer's own; of the hooks that only write
logs none is registered, in the peer's favour. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import json
import sys
import time
import types
import warnings
from collections.abc import Sequence
from typing import Any
from unittest.mock import MagicMock

_ABSENT = ("wandb", "aim", "torchaudio", "transformers", "timm", "skimage", "ruamel", "progress", "tqdm", "pandas")


class _Empty(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives an empty stand-in for every module of a package that is not installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        absent = name.partition(".")[0] in _ABSENT
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if absent else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        stand_in: Any = MagicMock(name=spec.name)
        stand_in.__path__, stand_in.__spec__, stand_in.__name__, stand_in.__version__ = [], spec, spec.name, "99"
        module: types.ModuleType = stand_in
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        return None


def main() -> None:
    """Time the peer and print images a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("size", 32), ("labeled", 16), ("unlabeled", 112), ("depth", 28), ("widen", 2), ("steps", 10)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--workers", type=int, default=0, help="processes of the loader")
    parser.add_argument("--apart", action="store_true", help="use_cat: False; its FixMatch settings have True")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.meta_path.append(_Empty())
    sys.modules["torch.utils.tensorboard"] = MagicMock()
    seconds = measure(arguments)
    images = arguments.labeled + arguments.unlabeled
    print(json.dumps({"seconds_per_step": seconds, "images_per_second": images / seconds}))


def measure(arguments: argparse.Namespace) -> float:
    """Return the median seconds of a whole step: load, augment, forward, backward, update, average.

    On a CPU these are seconds of processor time, as in `benchmarks.training`.
    """
    import torch

    # Operators that this torch cannot load need no description of their shapes either.
    torch.library.register_fake = lambda *_, **__: lambda function: function
    device = torch.device(arguments.device)
    algorithm = _algorithm(arguments, device)
    algorithm.model.train()
    algorithm.call_hook("before_run")
    algorithm.epoch, seconds = 0, []
    loaders = zip(algorithm.loader_dict["train_lb"], algorithm.loader_dict["train_ulb"], strict=False)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    start = clock()
    for index, (labeled, unlabeled) in enumerate(loaders):
        batch = {name: value.to(device) for name, value in {**labeled, **unlabeled}.items() if name in _TAKEN}
        algorithm.out_dict, algorithm.log_dict = algorithm.train_step(**batch)
        algorithm.call_hook("after_train_step")
        algorithm.it += 1
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if index >= 3:  # the first three warm up
            seconds.append(clock() - start)
        start = clock()
    return sorted(seconds)[len(seconds) // 2]


_TAKEN = ("x_lb", "y_lb", "x_ulb_w", "x_ulb_s")


def _algorithm(arguments: argparse.Namespace, device: Any) -> Any:
    import numpy as np
    from semilearn.algorithms.fixmatch.fixmatch import FixMatch
    from semilearn.algorithms.hooks import MaskingHook, PseudoLabelingHook
    from semilearn.core.hooks import EMAHook, ParamUpdateHook
    from semilearn.datasets.augmentation import RandAugment
    from semilearn.datasets.cv_datasets.datasetbase import BasicDataset
    from semilearn.nets.wrn.wrn import WideResNet
    from torchvision import transforms

    size, steps = arguments.size, arguments.steps + 3
    rng = np.random.default_rng(0)
    first = [transforms.RandomCrop(size, padding=size // 8, padding_mode="reflect"), transforms.RandomHorizontalFlip()]
    last = [transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
    weak = transforms.Compose([*first, *last])
    strong = transforms.Compose([*first, RandAugment(2, 10), *last])

    def set_dataset(_: Any) -> dict[str, Any]:
        images = rng.integers(0, 256, (2000, size, size, 3), np.uint8)
        labels = rng.integers(0, 4, 2000)
        return {
            "train_lb": BasicDataset("fixmatch", images[:200], labels[:200], 4, weak, False, strong),
            "train_ulb": BasicDataset("fixmatch", images, labels, 4, weak, True, strong),
            "eval": BasicDataset("fixmatch", images[:8], labels[:8], 4, weak, False, strong),
            "test": None,
        }

    def set_hooks(this: Any) -> None:
        FixMatch.set_hooks(this)
        kept = (ParamUpdateHook, EMAHook, MaskingHook, PseudoLabelingHook)
        this._hooks = [hook for hook in this._hooks if isinstance(hook, kept)]
        this.hooks_dict = {hook.name: hook for hook in this._hooks}

    def network(num_classes: int, **_: Any) -> Any:
        built = WideResNet(1, num_classes, arguments.depth, arguments.widen)
        return built.to(device)

    settings = argparse.Namespace(
        num_classes=4, ema_m=0.999, epoch=1, num_train_iter=steps, num_eval_iter=10**9, num_log_iter=10**9,
        ulb_loss_ratio=1.0, use_cat=not arguments.apart, amp=False, clip_grad=0, save_name="none",
        save_dir="none", resume=False,
        algorithm="fixmatch", gpu=None, rank=0, distributed=False, world_size=1, dataset="none", num_labels=200,
        data_dir="none", include_lb_to_ulb=True, batch_size=arguments.labeled, eval_batch_size=8, net="wrn",
        uratio=arguments.unlabeled // arguments.labeled, train_sampler="RandomSampler", num_workers=arguments.workers,
        use_pretrain=False, pretrain_path="", optim="SGD", lr=0.03, momentum=0.9, weight_decay=5e-4, layer_decay=1.0,
        num_warmup_iter=0, use_wandb=False, use_aim=False, T=0.5, p_cutoff=0.95, hard_label=True, ulb_dest_len=0,
    )  # fmt: skip
    timed: Any = type("Timed", (FixMatch,), {"set_dataset": set_dataset, "set_hooks": set_hooks})
    return timed(settings, network, None, types.SimpleNamespace(info=lambda *_: None))


if __name__ == "__main__":
    main()
