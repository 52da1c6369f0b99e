"""Order, and what a process that dies, hangs or takes too much memory costs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from heart2heart.errors import ConfigError, NoSpaceError
from heart2heart.ingest.executors import FilePool, run_ordered
from heart2heart.ingest.settings import Limits, parse_memory
from tests.ingest.archive_kit import Deadly, Greedy, Stillborn

SHORT = Limits(seconds=1.0, memory_mib=256)


def codes(names: list[str], workers: int, limits: Limits | None = None) -> list[str]:
    return [outcome.code for outcome in run_ordered(Greedy(), [Path(name) for name in names], workers, limits)]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_run_ordered_gives_outcomes_in_order(workers: int) -> None:
    paths = [Path(f"f{index}") for index in range(25)]
    outcomes = [outcome.code for outcome in run_ordered(Deadly(), paths, workers)]
    assert outcomes == [f"excluded:f{index}" for index in range(25)]
    assert list(run_ordered(Deadly(), [], workers)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_run_ordered_loses_only_the_file_that_kills_a_process(workers: int) -> None:
    outcomes = codes(["a", "deadly1", "b", "c", "deadly2"], workers)
    assert outcomes == ["excluded:a", "failed:crashed", "excluded:b", "excluded:c", "failed:crashed"]


def test_run_ordered_gives_up_only_the_file_that_never_ends() -> None:
    outcomes = codes(["endless", "a", "b", "endless again", "c"], 2, SHORT)
    assert outcomes == ["failed:timeout", "excluded:a", "excluded:b", "failed:timeout", "excluded:c"]


def test_run_ordered_does_not_count_the_wait_for_the_reader() -> None:
    outcomes = run_ordered(Greedy(), [Path(name) for name in "abcdef"], 1, SHORT)
    first = next(outcomes)
    time.sleep(1.5)
    assert [first.code, *(outcome.code for outcome in outcomes)] == [f"excluded:{name}" for name in "abcdef"]


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA bounds memory on Linux only")
def test_run_ordered_gives_up_a_file_that_needs_too_much_memory_and_goes_on() -> None:
    assert codes(["a", "huge", "b"], 1, SHORT) == ["excluded:a", "failed:memory", "excluded:b"]


def test_run_ordered_does_not_blame_files_for_processes_that_cannot_start() -> None:
    with pytest.raises(ConfigError, match="__main__"):
        list(run_ordered(Stillborn(), [Path("a"), Path("b")], 2))


def test_run_ordered_passes_an_error_for_the_user_on() -> None:
    with pytest.raises(NoSpaceError, match="no space left"):
        codes(["a", "full", "b"], 1)


def test_run_ordered_ends_its_processes_with_the_parent() -> None:
    script = (
        "from pathlib import Path\n"
        "from heart2heart.ingest.executors import run_ordered\n"
        "from tests.ingest.archive_kit import Greedy\n"
        "if __name__ == '__main__':\n"
        "    for outcome in run_ordered(Greedy(), [Path('pid'), Path('pause')] * 9, 1):\n"
        "        print(outcome.content, flush=True)\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the worker outlived its parent")


@pytest.mark.parametrize(("seconds", "memory"), [(0.0, 2048), (-1.0, 2048), (1.0, 63)])
def test_limits_that_no_file_can_keep_are_refused(seconds: float, memory: int) -> None:
    with pytest.raises(ConfigError, match="test"):
        Limits.parse({"seconds": seconds, "memory_mib": memory}, where="test")


@pytest.mark.parametrize(
    ("text", "mib"), [("2048MiB", 2048), ("1.5 GiB", 1536), ("2GB", 1907), (" 64 MB", 61), ("0.5GiB", 512)]
)
def test_parse_memory_reads_units(text: str, mib: int) -> None:
    assert parse_memory(text) == mib


@pytest.mark.parametrize("text", ["", "2048", "2 KiB", "-1GiB", "1e3 MiB", "many MiB", "1GiB 2GiB"])
def test_parse_memory_refuses_unknown_units(text: str) -> None:
    with pytest.raises(ConfigError, match="is not an amount of memory"):
        parse_memory(text)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA bounds memory on Linux only")
def test_run_ordered_tells_a_codec_that_lacks_memory_from_one_that_crashes() -> None:
    outcomes = codes(["noisy", "bad_alloc", "a", "abort", "segfault", "b"], 1, Limits(memory_mib=256))
    assert outcomes == [
        "excluded:noisy", "failed:memory", "excluded:a", "failed:crashed", "failed:crashed", "excluded:b",
    ]  # fmt: skip


def test_run_ordered_keeps_the_output_of_codecs_off_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert codes(["noisy"], 1) == ["excluded:noisy"]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("workers", [0, 1])
def test_file_pool_gives_outcomes_in_order_by_the_same_processes_call_after_call(workers: int) -> None:
    pool = FilePool(Greedy(), workers, Limits())
    try:
        for names in ("abcde", "", "f"):
            outcomes = [outcome.code for outcome in pool.outcomes([Path(name) for name in names])]
            assert outcomes == [f"excluded:{name}" for name in names]
        first, second = (next(pool.outcomes([Path("pid")])).content for _ in range(2))
    finally:
        pool.close()
    assert first == second
    assert first is not None
    assert (first == str(os.getpid())) == (workers == 0)
    if workers:  # it has ended
        assert not Path(f"/proc/{first}").exists()


def test_file_pool_works_on_after_a_file_that_kills_a_process() -> None:
    pool = FilePool(Greedy(), 1, Limits())
    try:
        first = [outcome.code for outcome in pool.outcomes([Path("a"), Path("deadly"), Path("b")])]
        second = [outcome.code for outcome in pool.outcomes([Path("c")])]
    finally:
        pool.close()
    assert (first, second) == (["excluded:a", "failed:crashed", "excluded:b"], ["excluded:c"])
