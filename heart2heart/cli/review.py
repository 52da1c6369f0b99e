"""Verb of the review of suspected text: review."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's verb to `app`."""
    app.command("review")(review)


def review(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="Frame store.")],
    by: Annotated[str | None, typer.Option(help="Your name, as the decisions record it.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port of the page; 0 takes a free one.")] = 8081,
    show: Annotated[bool, typer.Option("--list", help="List the clips and their states; no picture is shown.")] = False,
    clear: Annotated[
        list[str] | None, typer.Option(metavar="CLIP", help="Clip without an identity in its pictures; repeatable.")
    ] = None,
    hide: Annotated[
        list[str] | None,
        typer.Option(metavar="CLIP", help="Clip that is never shown and takes part in nothing; repeatable."),
    ] = None,
    undo: Annotated[
        list[str] | None, typer.Option(metavar="CLIP", help="Take your own last decision back; repeatable.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Reason of the decision, without an identity.")] = None,
) -> None:
    """Review the clips in which text is suspected: serve a page on this machine where a person clears or hides each.

    No picture of such a clip is shown anywhere else until a person clears it. The page ends with Ctrl-C.

    Example: heart2heart review store --by "Reader 1"
    """
    import sys

    from heart2heart.api.review import list_reviews, review_clips, review_sentence, serve_review
    from heart2heart.cli.output import text_table
    from heart2heart.errors import ConfigError

    decisions = {"cleared": clear or [], "hidden": hide or [], "undone": undo or []}
    if any(decisions.values()):
        if by is None or reason is None:
            raise ConfigError("a decision needs a name and a reason", remedy="Give --by and --reason")
        for decision, clips in decisions.items():
            if clips:
                review_clips(store, clips, decision, by=by, reason=reason)
    elif not show:
        if by is None:
            raise ConfigError("the page needs your name", remedy="Give --by, or --list for the list alone")
        print(review_sentence(store) or f"{store}: no clip waits for review", file=sys.stderr)
        serve_review(
            store, by=by, port=port, ready=lambda page: print(f"Review at {page}", file=sys.stderr, flush=True)
        )
        return
    if show:
        rows = [
            (each.clip, each.site, each.mode, each.frames, each.state, "yes" if each.quarantined else "no")
            for each in list_reviews(store)
        ]
        print(text_table(("clip", "hospital", "mode", "frames", "state", "quarantine"), rows))
    print(review_sentence(store) or f"{store}: no clip waits for review")
