# GPL-3.0-or-later
"""What a module cannot do, for a person."""

from __future__ import annotations


class HostError(Exception):
    """What stands in the way, with the path or name first."""
