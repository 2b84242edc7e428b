# GPL-3.0-or-later
"""The controller's side of `tree`: expands `src` folders into the module's list of files."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

TEMPLATE = ".j2"
LEFT_OUT = ("__pycache__",)


def mirrored(folder: Path, to: str) -> Iterator[tuple[Path, str]]:
    """Each file of a folder, with the path on the host that it stands for."""
    for source in sorted(folder.rglob("*")):
        inside = source.relative_to(folder)
        if source.is_file() and not set(LEFT_OUT) & set(inside.parts):
            yield source, str(PurePosixPath(to) / inside).removesuffix(TEMPLATE)


def folders_above(paths: list[str]) -> list[dict[str, Any]]:
    """Entries for every folder on the way, left alone where one exists."""
    above = {str(parent) for path in paths for parent in PurePosixPath(path).parents} - {"/"}
    return [{"path": path, "keep": True} for path in sorted(above)]


def merged(given: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries of the task win over those found, key by key, by path."""
    entries = {entry["path"]: entry for entry in found}
    for entry in given:
        known = entries.get(entry["path"], {})
        entries[entry["path"]] = {**{key: value for key, value in known.items() if key != "keep"}, **entry}
    return list(entries.values())


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs the module once with everything."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        del tmp
        result: dict[str, Any] = super().run(None, task_vars)
        arguments = dict(self._task.args)
        sources = arguments.pop("src", [])
        variables = task_vars or {}
        found = [entry for source in sources for entry in self._files_of(source, variables)]
        arguments["files"] = merged(arguments.get("files", []), found)
        if found:
            above = folders_above([entry["path"] for entry in found])
            arguments["folders"] = merged(arguments.get("folders", []), above)
        result.update(
            self._execute_module("drover.platform.tree", module_args=arguments, task_vars=task_vars)
        )
        return result

    def _files_of(self, source: str | dict[str, str], variables: dict[str, Any]) -> Iterator[dict[str, Any]]:
        folder, to = (source, "/") if isinstance(source, str) else (source["path"], source.get("to", "/"))
        role = self._task._role
        base = Path(role.get_role_path() if role else self._loader.get_basedir(), folder)
        if not base.is_dir():
            raise AnsibleActionFail(f"src: {base} is not a folder")
        for path, destination in mirrored(base, to):
            mode = "0755" if os.access(path, os.X_OK) else "0644"
            yield {"path": destination, "mode": mode, **self._content(path, base, variables)}

    def _content(self, path: Path, base: Path, variables: dict[str, Any]) -> dict[str, str]:
        content = path.read_bytes()
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return {"content": base64.b64encode(content).decode(), "encoding": "base64"}
        return {"content": self._rendered(text, base, variables) if path.suffix == TEMPLATE else text}

    def _rendered(self, text: str, base: Path, variables: dict[str, Any]) -> str:
        templar = self._templar.copy_with_new_env(searchpath=[str(base)], available_variables=variables)
        rendered = templar.template(
            trust_as_template(text),
            escape_backslashes=False,
            overrides={"trim_blocks": True, "keep_trailing_newline": True},
        )
        return "" if rendered is None else str(rendered)
