"""Tables made of what stands elsewhere: the roles' argument specs, and the evidence of measurements."""

# GPL-3.0-or-later

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CALLS = "calls by name"
MET = {True: "yes", False: "**no**", None: ""}
NOT_TRIED = "*Not tried yet: `make mutations` writes docs/evidence/mutations.json.*"


def roles(generated: Mapping[str, str]) -> str:
    """The page of every role's variables; `generated` are argument specs that may not be written yet."""
    specs = {path.parts[-3]: path for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))}
    lines = [
        "# Variables of the roles",
        "",
        "Written by `docs/generate.py` from each role's `meta/argument_specs.yml`.",
    ]
    for role, path in specs.items():
        text = generated.get(str(path.relative_to(ROOT))) or path.read_text()
        main = yaml.safe_load(text)["argument_specs"]["main"]
        lines += [
            "",
            f"## {role}",
            "",
            f"{main['short_description']}.",
            "",
            "| Variable | Type | Default | What it is |",
        ]
        lines += ["|---|---|---|---|", *_options(main.get("options", {}))]
    return "\n".join(lines) + "\n"


def _options(options: dict[str, Any]) -> Iterator[str]:
    for name, option in options.items():
        default = option.get("default", "")
        shown = default if isinstance(default, str) else json.dumps(default)
        cells = [f"`{name}`", option["type"], f"`{shown}`" if shown else "", _text(option["description"])]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _text(description: str | list[str]) -> str:
    text = description if isinstance(description, str) else " ".join(description)
    return re.sub(r"[COVBI]\(([^)]*)\)", r"`\1`", " ".join(text.split()))


def readme() -> str:
    """The README with what is made of evidence, between its markers, brought up to date."""
    text = (ROOT / "README.md").read_text()
    parts = {
        "mutations": mutations(),
        "kills": kills(),
        "converge": ratios("converge", "What a run of `site` takes"),
        "deploy": deploys(),
        "backup": ratios("backup", "What backups cost, of one PostgreSQL database"),
        "engines": engines(),
        "rebuild": "\n\n".join(
            (ratios("rebuild", "A host that is rebuilt in the cloud on the desk"), rebuild_kills())
        ),
        "cloud": ratios("cloud", "The cloud on the desk"),
    }
    for name, made in parts.items():
        text = filled(text, name, made)
    return text


def engines() -> str:
    """Whether each engine was run for real, and the commands of a bad night, from the page of backups."""
    page = (ROOT / "docs" / "backups.md").read_text()
    lines = page[page.index("| Engine |") :].split("\n\n", 1)[0].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    table = [f"| {row[0]} | {row[-1]} |" for row in rows]
    commands = page.split("## At 3 AM", 1)[1].split("```", 2)[1].strip("\n")
    return "\n".join([table[0], "|---|---|", *table[1:], "", "```", commands, "```"])


def filled(text: str, name: str, made: str) -> str:
    """The text with what is made between the markers of that name."""
    start = f"<!-- generated: {name} -->\n"
    before, rest = text.split(start, 1)
    return f"{before}{start}{made}\n<!-- end -->{rest.split('<!-- end -->', 1)[1]}"


def kills() -> str:
    """What came of deploys that were killed anywhere and run again."""
    path = ROOT / "docs" / "evidence" / "kills.json"
    if not path.exists():
        return "*Not tried yet: `make test-long` writes docs/evidence/kills.json.*"
    found = json.loads(path.read_text())
    where = "[docs/evidence/kills.json](docs/evidence/kills.json)"
    return (
        f"A deploy was killed at {len(found['kills'])} random moments (seed {found['seed']}) and run again. "
        "Each time there were exactly the release's containers by Compose's names, with the right images and "
        "a route to all of them, and plain `docker compose up -d` had nothing to do. "
        f"{found['failed']} of {found['requests']} requests failed meanwhile ({found['date']} at "
        f"{found['commit']}; {where})."
    )


def rebuild_kills() -> str:
    """What came of rebuilds that were killed anywhere and gone on with, with each proxy."""
    path = ROOT / "docs" / "evidence" / "rebuild-kills.json"
    if not path.exists():
        return "*Not killed yet: `make test-long` writes docs/evidence/rebuild-kills.json.*"
    rows = [
        f"| {kind} | {len(found['kills'])} (seed {found['seed']}) | {_counted(found['read'])} | "
        f"{_counted(found['written'])} | {found['lost']} of {found['acknowledged']} | "
        f"{found['fewest_targets']} |"
        for kind, found in json.loads(path.read_text()).items()
    ]
    head = "| Proxy | Kills | Stack without data | Writes | Acknowledged writes lost | Fewest targets |"
    where = "[docs/evidence/rebuild-kills.json](docs/evidence/rebuild-kills.json)"
    return "\n".join(
        [
            f"Rebuilds that were killed at random moments of their steps and run again, {where}; requests "
            "over the load balancer every 50 ms:",
            "",
            head,
            "|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _counted(found: Mapping[str, int]) -> str:
    return ", ".join(f"{status}: {count}" for status, count in found.items())


def mutations() -> str:
    """How often taking away what makes a promise true turned the promise's test red."""
    path = ROOT / "docs" / "evidence" / "mutations.json"
    if not path.exists():
        return NOT_TRIED
    found = json.loads(path.read_text())
    promises = dict.fromkeys(each["promise"] for each in found["mutations"])
    counts = [
        f"{promise} {sum(each['result'] == 'red' for each in own)}/{len(own)}"
        for promise in promises
        for own in [[each for each in found["mutations"] if each["promise"] == promise]]
    ]
    return (
        "Taking away the line that makes a promise true turned its test red "
        f"{found['red']} of {found['of']} times "
        f"(`{found['command']}`, last on {found['date']}; "
        f"[docs/evidence/mutations.json](docs/evidence/mutations.json)): {', '.join(counts)}."
    )


def ratios(name: str, about: str) -> str:
    """What the committed evidence of a bench says, with its date and command; `about` says of what."""
    path = ROOT / "docs" / "evidence" / f"{name}.json"
    if not path.exists():
        return f"*Not measured yet: `bench/{name}` writes docs/evidence/{name}.json.*"
    found = json.loads(path.read_text())
    rows = [
        f"| {ratio} | {entry['value']} | {_target(entry['target'])} | {MET[entry['met']]} |"
        for ratio, entry in found["ratios"].items()
    ]
    return "\n".join(
        [
            f"{about}: one run on one machine, `{found['command']}` on {found['date']} at {found['commit']}; "
            "images: stand-ins where no registry answered, listed with the raw seconds in "
            f"[docs/evidence/{name}.json](docs/evidence/{name}.json).{_memory(found)}",
            "",
            "| Ratio | Measured | Target | Met |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def _target(value: object) -> str:
    return value if isinstance(value, str) else f"≤ {value}"


def deploys() -> str:
    """Who lost what while something changed, with each proxy, and what others lose."""
    path = ROOT / "docs" / "evidence" / "deploy.json"
    if not path.exists():
        return "*Not measured yet: `bench/deploy` writes docs/evidence/deploy.json.*"
    found = json.loads(path.read_text())
    kinds, ratios = found["failed"], found["ratios"]
    phases = next(iter(kinds.values()))
    rows = [
        [f"failed requests: {phase}", *(_failed(kinds[kind][phase]["requests"]) for kind in kinds), "0"]
        for phase in phases
    ]
    for what in ("websockets", CALLS, f"{CALLS}, kept connections"):
        judged = [phase for phase in phases if f"{next(iter(kinds))}: {phase}, {what}, failed" in ratios]
        sums = [_sum(kinds[kind][phase][what] for phase in judged) for kind in kinds]
        during = "all of these" if len(judged) == len(phases) else "all of these but the last"
        rows.append([f"failed {what}: during {during}", *map(_failed, sums), "0"])
    for name in dict.fromkeys(each.partition(": ")[2] for each in ratios if not each.endswith(", failed")):
        own = [ratios.get(f"{kind}: {name}") for kind in kinds]
        cells = [_judged(str(each["value"]), each["met"] is not False) if each else "" for each in own]
        rows.append([name, *cells, next(each["target"] for each in own if each)])
    others = [
        f"`{name}` {_failed(seen['requests'], judged=False)}, by name {_failed(seen[CALLS], judged=False)}"
        if isinstance(seen, dict)
        else f"`{name}` {seen}"
        for name, seen in found["rivals"].items()
    ]
    return "\n".join(
        [
            f"What a change costs those who are served: one run on one machine, `{found['command']}` on "
            f"{found['date']} at {found['commit']}; soak and drain {found['waits']['soak']} and "
            f"{found['waits']['drain']} s; {_machine(found)}images: stand-ins where no registry answered. "
            "A WebSocket ends with the proxy that it came through. All that was seen: "
            "[docs/evidence/deploy.json](docs/evidence/deploy.json).",
            "",
            f"| | {' | '.join(kind.capitalize() for kind in kinds)} | Target |",
            f"|---{'|---' * len(kinds)}|---|",
            *(f"| {' | '.join(row)} |" for row in rows),
            "",
            f"The same deploy by others, behind Traefik with labels, failed: {'; '.join(others)}.",
        ]
    )


def _machine(found: dict[str, Any]) -> str:
    """How busy it was: with more than it has processors, seconds say little."""
    if "machine" not in found:
        return ""
    load = max(found["machine"]["load"])
    return f"{found['machine']['processors']} processors, load up to {load:.1f}; "


def _sum(told: Iterable[dict[str, Any]]) -> dict[str, int]:
    told = list(told)
    return {name: sum(each[name] for each in told) for name in ("failed", "requests")}


def _failed(told: dict[str, Any], *, judged: bool = True) -> str:
    text = f"{told['failed']} of {told['requests']:,}"
    return _judged(text, told["failed"] == 0) if judged else text


def _judged(text: str, met: bool) -> str:
    return text if met else f"**{text}**"


def _memory(found: dict[str, Any]) -> str:
    """What everything takes together, where the evidence says it."""
    used: dict[str, float] = found.get("memory_megabytes", {})
    if not used:
        return ""
    machine = sum(size for name, size in used.items() if name.startswith("drover-cloud-i-"))
    rest = sum(used.values()) - machine
    return f" Memory with one instance: {rest:.0f} MB for the cloud, {machine:.0f} MB for the converged host."
