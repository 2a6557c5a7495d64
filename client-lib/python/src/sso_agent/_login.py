"""The steps of a sign-in, as they are told."""

from __future__ import annotations

import sys
import webbrowser

from ._records import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def listener(on_step: Callable[[Step], object] | None) -> Callable[[Mapping[str, Any]], object]:
    """Makes steps of what the agent tells."""
    tell = _open if on_step is None else on_step
    return lambda progress: tell(Step(progress))


def _open(step: Step) -> None:
    if step.url is None:
        return
    code = f" and enter {step.user_code}" if step.user_code else ""
    print(f"To sign in, visit {step.url}{code}", file=sys.stderr)
    webbrowser.open(step.url)
