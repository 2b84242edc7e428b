"""Says everything that is wrong with an inventory, before any host is touched."""

# GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils import boundary, instances, origin
from ..plugin_utils import model as models
from ..plugin_utils.problem import Problem


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs on the controller alone."""

    _supports_check_mode = True
    _requires_connection = False

    @classmethod
    def finalize_task_arg(cls, name: str, value: Any, templar: Any, context: Any) -> Any:
        """Refuses a variable that would never end, before Ansible writes it out."""
        return boundary.finalized(name, value, templar, super().finalize_task_arg, context)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fails with all problems together, or changes nothing."""
        del tmp
        result: dict[str, Any] = super().run(None, task_vars)
        variables = task_vars or {}
        model = boundary.model(self._task.args, variables)
        aws, wrong = boundary.aws(self._task.args)
        whole = all(problem.path[:1] != (models.PLATFORM_NAME,) for problem in model.problems)
        instance = () if wrong else _instance(model.platform if whole else {}, aws, variables)
        problems = [*model.problems, *wrong, *instance]
        if problems:
            raise AnsibleActionFail(boundary.report(problems))
        names = [stack.name for stack in model.stacks] + [entry["name"] for entry in model.absent]
        hosts = [{**host, "user_data": None} for host in aws.get("hosts", [])]  # -v shows a result
        return {**result, "changed": False, "stacks": names, "hosts": hosts}


def _instance(
    platform: Mapping[str, Any], aws: Mapping[str, Any], variables: Mapping[str, Any]
) -> Iterator[Problem]:
    """What is wrong with the instance that this host is, where the inventory found it in EC2."""
    host = str(variables["inventory_hostname"])
    found = instances.of(variables)
    if found is None:
        if aws and "instance_id" in variables:  # the inventory plugin names it so without a prefix
            fix = f"write hostvars_prefix: {instances.PREFIX}"
            yield Problem((host,), f"its variables do not begin with {instances.PREFIX}", fix)
        return
    wanted = {f"drover:{key}": str(platform[key]) for key in ("client", "environment") if platform.get(key)}
    yield from instances.problems(host, found, aws.get("account", ""), wanted)
    source = Path(str(variables.get("inventory_file") or ""))
    if aws and source.is_file():
        yield from instances.asked(
            origin.near(str(source)), source.read_text(errors="replace"), aws["region"]
        )
