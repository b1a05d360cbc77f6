"""Why a row of npconv is behind a peer: what a call costs before it computes, or bytes moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .contest import ContenderTime

_OWN = "npconv"  # as the names of its contenders begin


def reasons(
    rows: Sequence[ContenderTime],
    nbytes: int,
    alike: Callable[[str, str], bool],
    floors: Callable[[list[str]], list[float]],
) -> dict[str, str]:
    """Return why each of npconv's rows is behind, by contender, for those that are.

    nbytes: of all that a call has to read and write.  alike: whether a contender is to be held
    against a peer.  floors: the seconds that calls with next to nothing to do take, of such
    contenders; measured where it matters.
    """
    found = {}
    for own in rows:
        if not own.samples or not own.contender.startswith(_OWN):
            continue
        ahead = [
            peer
            for peer in rows
            if peer.samples
            and not peer.contender.startswith(_OWN)
            and alike(own.contender, peer.contender)
            and peer.seconds < own.seconds
        ]
        if ahead:
            peer = min(ahead, key=lambda row: row.seconds)
            mine, theirs = floors([own.contender, peer.contender])
            found[own.contender] = _why(own, peer, nbytes, mine, theirs)
    return found


def _why(own: ContenderTime, peer: ContenderTime, nbytes: int, mine: float, theirs: float) -> str:
    """Compare what is left of two times without their floors."""
    speed = f"{peer.seconds / own.seconds:.2f} of {peer.contender}"
    computing, others = own.seconds - mine, peer.seconds - theirs
    if computing <= max(others, 0):
        return f"{speed}: a call takes {1e6 * mine:.1f} us to begin, the peer's {1e6 * theirs:.1f}"
    rates = [f"{nbytes / seconds / 1e9:.1f}" for seconds in (computing, others) if seconds > 0]
    return f"{speed}: {nbytes / 1e6:.3g} MB at {', '.join(rates)} GB/s"
