# GPL-3.0-or-later
"""Keys that would hand the host to a container."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..compose.normal import Plain
from ..problem import Problem
from ..stack import Stack, strings
from ..words import listed, quoted

NEEDS = frozenset({"allow"})
_NEAR_ROOT = {
    "ALL",
    "SYS_ADMIN",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_BOOT",
    "SYS_PTRACE",
    "DAC_READ_SEARCH",
    "BPF",
    "PERFMON",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "SYSLOG",
    "NET_ADMIN",
}
_UNCONFINED = ("seccomp", "apparmor", "systempaths", "label")
_OWN = {"pid": (), "ipc": ("private", "shareable"), "uts": (), "userns_mode": (), "cgroup": ("private",)}
"""What these may say. Anything else is the host's, or a container's that may be another stack's."""

_JOINS_SERVICE = {"pid", "ipc"}

_NEVER: dict[str, tuple[Callable[[str], bool], str]] = {
    "network_mode": (lambda value: value != "none", "remove it and use networks, or write none"),
    "cgroup_parent": (lambda _: True, "remove it: limits are the platform's"),
    "oom_kill_disable": (lambda value: value == "True", "remove it: the memory limit would not hold"),
    "external_links": (lambda value: value != "[]", "remove it: name the other stack under links"),
    "volumes_from": (lambda value: value != "[]", "write the volumes themselves"),
    "credential_spec": (lambda _: True, "remove it: it is for Windows"),
}


def problems(stack: Stack) -> Iterator[Problem]:
    """What is never allowed, and what needs a reason."""
    for name, service in stack.view.services.items():
        for key, (refused, fix) in _NEVER.items():
            if key in service and refused(str(service[key])):
                yield stack.view.problem(("services", name, key), f"found {quoted(str(service[key]))}", fix)
        yield from _shared(stack, name)
        if not stack.allowed(name, "privileged"):
            yield from _needs_reason(stack, name, service)


def _shared(stack: Stack, name: str) -> Iterator[Problem]:
    """Processes, memory and the like that the service would share with more than its own stack."""
    others = [f"service:{other}" for other in stack.view.services if other != name]
    for key, words in _OWN.items():
        value = str(stack.view.services[name].get(key) or "")
        allowed = [*words, *(others if key in _JOINS_SERVICE else ())]
        if value and value not in allowed:
            yield stack.view.problem(
                ("services", name, key),
                f"found {quoted(value)}",
                f"remove it, or write one of: {listed(allowed)}" if allowed else "remove it",
            )


def _needs_reason(stack: Stack, name: str, service: Plain) -> Iterator[Problem]:
    advice = f'remove it, or write allow: {{{name}: {{privileged: "the reason"}}}}'
    for key, what in _near_root(service):
        yield stack.view.problem(("services", name, key), f"found {what}", advice)


def _ipv6(service: Plain) -> bool:
    """Whether it switches IPv6 on, whose link-local addresses reach past the closed networks."""
    value = service.get("sysctls")
    found = value if isinstance(value, dict) else {}
    return any("disable_ipv6" in key and str(setting).strip() != "1" for key, setting in found.items())


def _near_root(service: Plain) -> Iterator[tuple[str, str]]:
    """(key, what it says) of everything that is nearly root on the host."""
    if service.get("privileged"):
        yield "privileged", "true"
    if _ipv6(service):
        yield "sysctls", "disable_ipv6 switched off"
    for key in ("devices", "device_cgroup_rules"):
        if service.get(key):
            yield key, "devices of the host"
    for cap in strings(service.get("cap_add")):
        if cap.upper().removeprefix("CAP_") in _NEAR_ROOT:
            yield "cap_add", quoted(cap)
    for option in strings(service.get("security_opt")):
        kind, _, rest = option.replace("=", ":").partition(":")
        if kind in _UNCONFINED and rest in {"unconfined", "disable"}:
            yield "security_opt", quoted(option)
