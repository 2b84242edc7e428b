"""What constant load on a host saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Measured:
    """What the load saw, once it has ended."""

    data: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.data[name]
