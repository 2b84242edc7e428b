# GPL-3.0-or-later
"""The controller's side of `drover.platform.install`."""

from __future__ import annotations

from .tree import ActionModule as Tree


class ActionModule(Tree):
    """The same, with another module at the other end."""

    module = "drover.platform.install"
