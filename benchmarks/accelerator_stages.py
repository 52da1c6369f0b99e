"""The stages of `benchmarks.accelerator` that measure speed and agreement; frames are noise."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from benchmarks import augmentation, train_step, training
from benchmarks.host_synchronisation import synchronisations
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.config import TrainConfig
from heart2heart.training.gradient_rules import GRADIENT_RULES
from heart2heart.training.model_access import place_network
from heart2heart.training.networks.build import build_network
from heart2heart.training.train_step import AugmentedBatch, Trainer

if TYPE_CHECKING:
    from benchmarks.accelerator import Workload

Line = dict[str, Any]
CLASSES = train_step.CLASSES
PAPER_STEPS = 25_000
BOTH = {"mixing": True, "gradient": "fix_a_step"}

TOLERANCES = {"float32": 1e-3, "bfloat16": 2e-1}
"""Largest relative error of the weights' change in one step, against float64 on the CPU."""


def stand_in_for_monai() -> None:
    """Give the WideResNet's three helpers of MONAI from torch alone, where MONAI is not installed."""
    if find_spec("monai") is not None:
        return

    def convolution(_: int, inside: int, outside: int, *, strides: int, kernel_size: int, **options: Any) -> nn.Module:
        same = kernel_size // 2
        layer = nn.Conv2d(inside, outside, kernel_size, strides, same, bias=options["bias"])
        return nn.Sequential(OrderedDict(conv=layer))

    def norm_layer(name: tuple[str, dict[str, Any]], *, spatial_dims: int, channels: int) -> nn.Module:
        assert spatial_dims == 2
        kind, options = name
        if kind == "batch":
            return nn.BatchNorm2d(channels, **options)
        return nn.GroupNorm(num_channels=channels, **options)

    def act_layer(name: tuple[str, dict[str, Any]]) -> nn.Module:
        kind, options = name
        layers: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "leakyrelu": nn.LeakyReLU}
        return layers[kind](**options)

    convolutions, utils = types.ModuleType("convolutions"), types.ModuleType("utils")
    vars(convolutions).update(Convolution=convolution)
    vars(utils).update(get_norm_layer=norm_layer, get_act_layer=act_layer)
    for name in ("monai", "monai.networks", "monai.networks.blocks", "monai.networks.layers"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["monai.networks.blocks.convolutions"] = convolutions
    sys.modules["monai.networks.layers.utils"] = utils


def check_correctness(workload: Workload, device: str) -> Iterator[Line]:
    """Yield how far one step of FixMatch with Fix-A-Step on the device lies from one in float64 on the CPU."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False  # float32 means float32 here
    exact = weight_change(workload, "cpu", "float32", torch.float64)
    for precision, tolerance in TOLERANCES.items():
        change = weight_change(workload, device, precision, torch.float32)
        error = float(torch.linalg.vector_norm(change - exact) / torch.linalg.vector_norm(exact))
        yield {
            "stage": "correctness", "precision": precision, "relative_error": error, "tolerance": tolerance,
            "ok": error <= tolerance,
        }  # fmt: skip


def weight_change(workload: Workload, device: str, precision: str, dtype: torch.dtype) -> Tensor:
    """Return the change of all weights in one step from fixed weights, float64 on the CPU.

    The mixing is drawn on the CPU, and every guess passes the threshold, so that all devices take the same step.
    """
    labeled, unlabeled, size = min(workload.labeled, 16), min(workload.unlabeled, 32), min(workload.size, 64)
    content = {
        "data": {"stores": ["none"], "split": "none"},
        "method": {"name": "fixmatch", "params": {"threshold": 0.0}},
        "fix_a_step": BOTH,
        "precision": precision,
    }
    config = TrainConfig.parse(content, where="benchmark")
    torch.manual_seed(0)
    options: Line = {"variant": workload.variant, "depth": workload.depth, "widen": workload.widen}
    built = build_network("WideResNet", classes=CLASSES, size=size, **options).to(dtype)
    network = place_network(built, torch.device(device))
    mixing = torch.Generator("cpu").manual_seed(0)
    trainer = Trainer(network, config, classes=CLASSES, weights=None, generator=mixing)
    before = _flat_weights(network)
    chance = torch.Generator("cpu").manual_seed(1)
    levels = torch.arange(labeled + 2 * unlabeled) % CLASSES / CLASSES - 0.4
    frames = levels[:, None, None, None] + 0.3 * torch.randn(len(levels), 1, size, size, generator=chance)
    moved = frames.to(device, dtype)
    weak, strong = moved[labeled : labeled + unlabeled], moved[labeled + unlabeled :]
    targets = torch.eye(CLASSES)[torch.arange(labeled) % CLASSES].to(device, dtype)
    index = torch.arange(unlabeled, device=device)
    batch = AugmentedBatch(moved[:labeled], targets, (weak, strong), index, (weak[:labeled], strong[:labeled]))
    trainer.step(batch, 0)
    return _flat_weights(network) - before


def _flat_weights(network: nn.Module) -> Tensor:
    return torch.cat([each.detach().double().cpu().flatten() for each in network.parameters()])


def time_step(workload: Workload, device: str) -> Iterator[Line]:
    """Yield the limits of the device, then images a second of the step alone, in both precisions."""
    yield {"stage": "step", "way": "limits", **device_limits(device)}
    images = workload.labeled + workload.unlabeled
    floor = 1.0 / training.limit_of(workload.variant, workload.size)
    for precision in ("bfloat16", "float32"):
        for name, seconds in train_step.measure(workload.namespace(device), precision=precision).items():
            yield {
                "stage": "step", "way": f"{name}, {precision}", "ms": 1e3 * seconds,
                "images_per_second": images / seconds, "share_of_limit": images / seconds * floor,
            }  # fmt: skip


def device_limits(device: str) -> dict[str, float]:
    """Return what the device reaches: a copy in TB/s (read and written), a bfloat16 product in TFLOP/s."""
    large = device.startswith("cuda")
    source = torch.randn(1 << (30 if large else 20), device=device)
    target, side = torch.empty_like(source), 8192 if large else 256
    factor = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    copy = _median_seconds(lambda: target.copy_(source), device)
    product = _median_seconds(lambda: factor @ factor, device)
    return {"copy_tb_s": 2 * source.nbytes / copy / 1e12, "product_tflop_s": 2 * side**3 / product / 1e12}


def time_loop(workload: Workload, device: str) -> Iterator[Line]:
    """Yield the whole loop over the pool, the share of the data, inference, and the hours of the paper's fold."""
    arguments = workload.namespace(device)
    where, images = torch.device(device), workload.labeled + workload.unlabeled
    for name, changes in (("FixMatch", {}), ("FixMatch + Fix-A-Step", {"fix_a_step": BOTH})):
        seconds = training.whole_loop(arguments, where, changes)
        yield {
            "stage": "loop", "way": name, "pool": workload.pool, "ms": 1e3 * seconds["whole"],
            "images_per_second": images / seconds["whole"], "data_share": seconds["data"] / seconds["whole"],
            "minutes_of_a_fold": PAPER_STEPS * seconds["whole"] / 60,
        }  # fmt: skip
    yield {"stage": "loop", "way": "inference", "images_per_second": training.inference(arguments, where)}


def time_acoustic(workload: Workload, device: str) -> Iterator[Line]:
    """Yield the cost of each policy, and its share of a step on as many frames, beside its peers."""
    frames = augmentation.fan_frames(workload.unlabeled, workload.size).to(device)
    arguments = workload.namespace(device)
    step = augmentation.network_step(arguments, torch.device(device))
    rows = augmentation.policies(frames) | augmentation.peers(frames) | {augmentation.STEP: step}
    measured = augmentation.measure(rows, workload.rounds, torch.device(device))
    for name, ms in measured.items():
        yield {"stage": "acoustic", "way": name, "ms": ms, "share_of_step": ms / measured[augmentation.STEP]}


def count_waits(workload: Workload, device: str) -> Iterator[Line]:
    """Yield how often the host waits within a step: every method with Fix-A-Step's rule, every rule with FixMatch."""
    assert workload.rounds
    pairs = [(method, "fix_a_step" if ALGORITHMS[method].views else "sum") for method in ALGORITHMS]
    pairs += [("fixmatch", rule) for rule in GRADIENT_RULES if rule != "fix_a_step"]
    for method, rule in pairs:
        counts = synchronisations(method, rule, torch.device(device))
        yield {"stage": "waits", "method": method, "rule": rule, "waits": sum(counts.values()), "events": dict(counts)}


def time_peer(workload: Workload, device: str) -> Iterator[Line]:
    """Yield images a second of semilearn's whole FixMatch loop, where it is installed, and how much faster ours is."""
    images = workload.labeled + workload.unlabeled
    same = workload.namespace(device)
    same.variant, same.pool = "canonical", 2000
    whole = training.whole_loop(same, torch.device(device))["whole"]
    rate = images / whole
    yield {"stage": "peer", "way": "ours, the same network", "images_per_second": rate, "ours_over": 1.0}
    if find_spec("semilearn") is None:
        yield {"stage": "peer", "way": "semilearn", "failed": "not installed"}
        return
    options = {name: getattr(workload, name) for name in ("size", "labeled", "unlabeled", "depth", "widen")}
    options |= {"steps": workload.rounds, "device": device, "workers": 0 if device == "cpu" else 12}
    script = str(Path(__file__).with_name("peer_semilearn.py"))
    for name, more in (("semilearn, one joint batch", []), ("semilearn, batches apart", ["--apart"])):
        command = [sys.executable, script, *(f"--{key}={value}" for key, value in options.items()), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        seconds = json.loads(done.stdout.splitlines()[-1])["seconds_per_step"]
        other = images / seconds
        yield {"stage": "peer", "way": name, "images_per_second": other, "ours_over": rate / other}


def profile_step(workload: Workload, device: str) -> Iterator[Line]:
    """Yield the share of each operator in the time of one step, the largest first, by torch's profiler."""
    trainer, batch = _trainer_and_batch(workload, device, "off")
    for _ in range(3):
        trainer.step(batch, 9)
    _wait(device)
    large = device.startswith("cuda")
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if large else [])]) as seen:
        trainer.step(batch, 9)
        _wait(device)
    times = {row.key: row.self_device_time_total if large else row.self_cpu_time_total for row in seen.key_averages()}
    operators = {name: value for name, value in times.items() if name.startswith("aten::")}
    whole = sum(operators.values())
    for name, value in sorted(operators.items(), key=lambda item: -item[1])[:12]:
        yield {"stage": "profile", "operator": name, "ms": value / 1e3, "share": value / whole}


def time_graph(workload: Workload, device: str) -> Iterator[Line]:
    """Yield the step replayed as one CUDA graph, beside the same step launched kernel by kernel."""
    trainer, batch = _trainer_and_batch(workload, device, "off")
    seconds = {"launched": _median_seconds(lambda: trainer.step(batch, 9), device, workload.rounds)}
    if device.startswith("cuda"):
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(trainer.generator)
        with torch.cuda.graph(graph):
            trainer.step(batch, 9)
        seconds["one CUDA graph"] = _median_seconds(graph.replay, device, workload.rounds)
    yield from _against(seconds, "graph", workload)


def time_compiled(workload: Workload, device: str) -> Iterator[Line]:
    """Yield the compiled step, and the seconds that compiling takes."""
    seconds = {}
    for name, setting in (("as it is", "off"), ("compiled", "on")):
        trainer, batch = _trainer_and_batch(workload, device, setting)
        start = time.perf_counter()
        for index in range(2):
            trainer.step(batch, index)
        _wait(device)
        yield {"stage": "compile", "way": f"{name}: first two steps", "ms": 1e3 * (time.perf_counter() - start)}
        if trainer.notes:
            yield {"stage": "compile", "way": name, "failed": trainer.notes[0]}
            continue
        seconds[name] = _median_seconds(partial(trainer.step, batch, 9), device, workload.rounds)
    yield from _against(seconds, "compile", workload)


def _against(seconds: dict[str, float], stage: str, workload: Workload) -> Iterator[Line]:
    first, images = next(iter(seconds.values())), workload.labeled + workload.unlabeled
    for name, value in seconds.items():
        line = {"ms": 1e3 * value, "images_per_second": images / value, "faster": first / value}
        yield {"stage": stage, "way": name, **line}


def _trainer_and_batch(workload: Workload, device: str, compiled: str) -> tuple[Trainer, AugmentedBatch]:
    arguments = workload.namespace(device)
    trainer = train_step.build_trainer(arguments, {"fix_a_step": BOTH, "compile": compiled})
    return trainer, train_step.noise_views(trainer, arguments, torch.device(device))


def _median_seconds(call: Callable[[], Any], device: str, rounds: int = 10) -> float:
    seconds = []
    for turn in range(-3, rounds):  # the first three warm up
        start = time.perf_counter()
        call()
        _wait(device)
        if turn >= 0:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


STAGES: dict[str, Callable[[Workload, str], Iterator[Line]]] = {
    "correctness": check_correctness,
    "step": time_step,
    "loop": time_loop,
    "acoustic": time_acoustic,
    "waits": count_waits,
    "peer": time_peer,
    "profile": profile_step,
    "graph": time_graph,
    "compile": time_compiled,
}
"""Stage -> what measures it."""
