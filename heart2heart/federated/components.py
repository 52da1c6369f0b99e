"""Components of a job of NVIDIA FLARE: the executor of a site, and the processor of the server."""

from __future__ import annotations

from typing import Any

from nvflare.apis.client import Client
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.response_processor import ResponseProcessor

from heart2heart.errors import Heart2HeartError
from heart2heart.federated.release import released_text, write_received
from heart2heart.federated.settings import read_settings

TASK = "release_counts"
"""Name of the one task."""

_COUNTS = "counts"


class CountsExecutor(Executor):
    """Validates at a site and sends the counts of its hospital.

    Args:
        settings: Path of the site's YAML file; None takes that of `HEART2HEART_SITE_SETTINGS`.
    """

    def __init__(self, settings: str | None = None) -> None:
        super().__init__()
        self.settings = settings

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        """Run the task; a failure sends its kind only, since a message may name a patient's pseudonym."""
        del shareable
        if task_name != TASK:
            return make_reply(ReturnCode.TASK_UNKNOWN)
        if abort_signal.triggered:
            return make_reply(ReturnCode.TASK_ABORTED)
        try:
            text = released_text(read_settings(self.settings))
        except Heart2HeartError as error:
            self.log_error(fl_ctx, f"{type(error).__name__}: run `heart2heart validate` here to see the message")
            return make_reply(ReturnCode.EXECUTION_EXCEPTION)
        return Shareable({_COUNTS: text})


class CountsProcessor(ResponseProcessor):
    """Collects the counts of all sites, and writes the pooled report on the server.

    Args:
        out: New folder on the server.
        sites: Number of sites that must answer.
    """

    def __init__(self, out: str, sites: int) -> None:
        super().__init__()
        self.out = out
        self.sites = sites
        self.received: dict[str, str] = {}

    def create_task_data(self, task_name: str, fl_ctx: FLContext) -> Shareable:
        """Return the task: it has no data, since everything that a site reads is at the site."""
        del task_name, fl_ctx
        return Shareable()

    def process_client_response(self, client: Client, task_name: str, response: Any, fl_ctx: FLContext) -> bool:
        """Keep the counts of a site; False where it sent none."""
        del task_name
        text = response.get(_COUNTS) if isinstance(response, Shareable) else None
        if not isinstance(text, str):
            self.log_error(fl_ctx, f"site {client.name} sent no counts")
            return False
        self.received[client.name] = text
        return True

    def final_process(self, fl_ctx: FLContext) -> bool:
        """Pool the counts once every site has answered."""
        if len(self.received) != self.sites:
            self.log_error(fl_ctx, f"{len(self.received)} of {self.sites} sites sent counts; nothing is pooled")
            return False
        try:
            report = write_received(self.received, self.out)
        except Heart2HeartError as error:
            self.log_error(fl_ctx, str(error))
            return False
        self.log_info(fl_ctx, f"pooled {len(self.received)} sites: {report.path}")
        return True
