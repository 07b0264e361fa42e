"""What a report says of the recurrent network that was tried, taken or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kohort.predict.validate import Judged


def in_words(judged: Sequence[Judged], chosen: int, channels: Sequence[str], weeks: int) -> dict[str, Any]:
    """How the network did beside the model that was taken.

    Returns:
        `{"weeks", "channels", "taken", "log_loss", "epochs", "text"}`; `epochs`: after how many rounds the network of each fold was
        best, 0 = it says what a logistic regression says.
    """
    network = next(j for j in judged if j.candidate.family == "recurrent")
    taken = judged[chosen]
    told = {
        "weeks": weeks,
        "channels": list(channels),
        "taken": taken is network,
        "log_loss": network.loss,
        "epochs": [m.recurrent.epochs for m in network.models if m.recurrent is not None],
    }
    return {**told, "text": _text(judged, taken, network, weeks)}


def _text(judged: Sequence[Judged], taken: Judged, network: Judged, weeks: int) -> str:
    what = f"A recurrent network on {weeks} weeks of each customer was tried"
    if taken is network:
        simpler = min((j for j in judged if j is not network), key=lambda j: j.loss)
        gap, error = simpler.behind
        return (
            f"{what} and taken: its log loss of {network.loss:.4f} is lower than that of the next best, {simpler.candidate.title}, "
            f"by {gap:.4f}, which is more than one standard error ({error:.4f})."
        )
    if network.behind[0] == 0:
        gap, error = taken.behind
        return (
            f"{what} and not taken: its log loss of {network.loss:.4f} is the lowest, but {taken.candidate.title} is behind by "
            f"{gap:.4f} only, within one standard error ({error:.4f}), and simpler."
        )
    best = next(j for j in judged if j.behind[0] == 0)
    also = "" if best is taken else f" ({taken.candidate.title}, which was taken, is within one standard error of it)"
    gap = network.behind[0]
    return f"{what} and not taken: its log loss of {network.loss:.4f} is {gap:.4f} above that of {best.candidate.title}{also}."
