# GPL-3.0-or-later
"""What one run may be told beside the inventory."""

from __future__ import annotations

from ..key import boolean, many, text

ONLY = many("Names of the stacks to deploy; left out, all of them.", items=text("A name.", "name"))

CHANGE = {
    "reason": text(
        "Why, for the host's history; with it a change is made outside the deploy windows.", default=""
    ),
    "force": boolean("Whether what was rolled back, or is locked by somebody, is deployed all the same."),
}
