# GPL-3.0-or-later
"""The controller's side of `journal`: tells the module which process the playbook is."""

from __future__ import annotations

import multiprocessing
import os
from typing import Any

from ansible.plugins.action import ActionBase


def playbook() -> int:
    """The process that lives as long as the playbook does; Ansible forks one for each task."""
    parent = multiprocessing.parent_process()
    return os.getpid() if parent is None or parent.pid is None else parent.pid


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The module's own result."""
        del tmp
        result: dict[str, Any] = super().run(None, task_vars)
        arguments = {"pid": playbook(), **self._task.args}
        name = "drover.platform.journal"
        return {**result, **self._execute_module(name, module_args=arguments, task_vars=task_vars)}
