"""Puts stacks onto a host: understands the inventory, sends one tree of files, lets the agent apply it."""

# GPL-3.0-or-later

from __future__ import annotations

import getpass
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..plugin_utils import boundary, paths, placement, release
from ..plugin_utils.model import Model
from ..plugin_utils.release import Release
from ..plugin_utils.words import close_to, listed, quoted

Result = dict[str, Any]


class ActionModule(ActionBase):  # type: ignore[misc]
    """One task for all stacks: its cost does not grow with their number."""

    _supports_check_mode = True
    _supports_diff = True

    @classmethod
    def finalize_task_arg(cls, name: str, value: Any, templar: Any, context: Any) -> Any:
        """Refuses a variable that would never end, before Ansible writes it out."""
        return boundary.finalized(name, value, templar, super().finalize_task_arg, context)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> Result:
        """Validates everything, then two modules: the tree of files, and the agent."""
        del tmp
        result: Result = super().run(None, task_vars)
        model = boundary.model(self._task.args, task_vars or {})
        if model.problems:
            raise AnsibleActionFail(boundary.report(model.problems))
        self._narrow(model)
        return {**result, **self._carry_out(model, task_vars or {})}

    def _narrow(self, model: Model) -> None:
        """Only the stacks that were asked for, if any were."""
        only = self._task.args.get("only") or []
        known = [*(stack.name for stack in model.stacks), *(each["name"] for each in model.absent)]
        unknown = [name for name in only if name not in known]
        if unknown:
            raise AnsibleActionFail(
                f"there is no stack {quoted(unknown[0])} in drover_stacks{close_to(str(unknown[0]), known)}; "
                f"write one of: {listed(sorted(known))}"
            )
        if only:
            model.stacks = [stack for stack in model.stacks if stack.name in only]
            model.absent = [each for each in model.absent if each["name"] in only]

    def _carry_out(self, model: Model, task_vars: Mapping[str, Any]) -> Result:
        releases = [release.build(stack) for stack in model.stacks]
        arguments = placement.tree(releases)
        placed = self._module(
            "tree", {**arguments, "folders": arguments["folders"] + self._more_folders()}, task_vars
        )
        if placed.get("failed"):
            raise AnsibleActionFail(_at_home(str(placed.get("msg", "")), model, releases))
        if placed.get("unreachable"):
            return placed
        wish = {
            "manifests": placement.manifests(releases, model.absent),
            "touched": self._touched(arguments, placed),
            "all": self._task.args.get("what") != "proxy" and not self._task.args.get("only"),
            "who": getpass.getuser(),
            "reason": str(self._task.args.get("reason") or ""),
            "force": boolean(self._task.args.get("force") or False),
        }
        return _merged(placed, self._module("apply", wish, task_vars))

    def _touched(self, arguments: Result, placed: Result) -> list[str]:
        """In check mode, the secret files that a real run would write: nothing on the host tells of them."""
        secrets = {entry["path"] for entry in arguments["secrets"]}
        return sorted(secrets & set(placed.get("changed_paths", []))) if self._task.check_mode else []

    def _more_folders(self) -> list[Result]:
        """The proxy's folder of routes, which its container mounts."""
        return placement.route_folders() if self._task.args.get("what") == "proxy" else []

    def _module(self, name: str, arguments: Result, task_vars: Mapping[str, Any]) -> Result:
        """The module's answer without its invocation, which would repeat what was sent."""
        answer: Result = self._execute_module(
            f"drover.platform.{name}", module_args=arguments, task_vars=task_vars
        )
        answer.pop("invocation", None)
        return answer


def _at_home(message: str, model: Model, releases: Iterable[Release]) -> str:
    """A release is named by the client's own folder, in which the mistake is mended."""
    for stack, made in zip(model.stacks, releases, strict=True):
        message = message.replace(paths.release(made.stack, made.identity), stack.view.label)
    return message


def _merged(placed: Result, applied: Result) -> Result:
    """One result of two: changed if either was, both differences, and what the agent did."""
    differences = [*_listed(placed.get("diff")), *_listed(applied.get("diff"))]
    changed = bool(placed.get("changed") or applied.get("changed"))
    return {**placed, **applied, "changed": changed, **({"diff": differences} if differences else {})}


def _listed(diff: object) -> list[object]:
    return diff if isinstance(diff, list) else [diff] if diff else []
