"""What holds for every stack, and for every piece of nonsense."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.drover.platform.plugins.plugin_utils import model as models
from ansible_collections.drover.platform.plugins.plugin_utils import placement, release
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

COLLECTION = Path(__file__).resolve().parents[3] / "compose"
QUIET = settings(max_examples=60, suppress_health_check=list(HealthCheck))
NAMES = st.sampled_from(["web", "api", "db", "job", "cache-1", "Worker.x"])
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
SECRETS = st.from_regex(r"K4[a-z0-9]{12}", fullmatch=True)


def optional(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


SERVICE = st.builds(
    lambda image, more: {"image": image, "healthcheck": {"test": ["CMD", "x"]}, **more},
    st.sampled_from(["web:1", "postgres:17.5", "reg.example.com:5000/a/b:2", "a@sha256:" + "0" * 64]),
    optional(
        ports=st.lists(
            st.sampled_from(["80:80", "443", {"target": 5432, "published": "5432"}, 22]), max_size=3
        ),
        environment=st.sampled_from(
            [["PLAIN", "HIDDEN"], {"PLAIN": "${PLAIN}", "X": "a$$b"}, {"H": "${HIDDEN:-x}"}]
        ),
        env_file=st.just(".env"),
        secrets=st.just(["one"]),
        cap_add=st.lists(st.sampled_from(["NET_RAW", "CAP_CHOWN"]), max_size=2),
        cap_drop=st.sampled_from([["ALL"], ["KILL"]]),
        security_opt=st.just(["no-new-privileges:false"]),
        logging=st.sampled_from([{"driver": "none"}, {"driver": "json-file", "options": {"tag": "x"}}]),
        restart=st.sampled_from(["always", "no", "on-failure"]),
        networks=st.sampled_from([["back"], {"back": {"aliases": ["b"]}, "default": None}]),
        volumes=st.lists(
            st.sampled_from(["./conf:/conf:ro", "data:/data", "./state:/state", "/mnt/x:/y:ro"]), max_size=3
        ),
        mem_limit=st.sampled_from(["1g", 0]),
        deploy=st.sampled_from([{"replicas": 2}, {"resources": {"limits": {"cpus": "1"}}}]),
        container_name=st.just("fixed"),
        user=st.sampled_from(["1000:1000", "nobody"]),
        profiles=st.just(["tools"]),
    ),
)


def with_a_place_for_data(service: dict[str, Any]) -> dict[str, Any]:
    """A database runs once, and keeps its data."""
    if not service["image"].startswith("postgres"):
        return service
    mounts = [*service.get("volumes", []), "data:/var/lib/postgresql/data"]
    return {**service, "volumes": mounts, "deploy": {"replicas": 1}}


@st.composite
def stacks(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the Compose file's data, the stack's data)"""
    services = draw(st.dictionaries(NAMES, SERVICE.map(with_a_place_for_data), min_size=1, max_size=4))
    staying = [name for name, service in sorted(services.items()) if service.get("restart") != "no"]
    routed = draw(st.lists(st.sampled_from(staying), unique=True)) if staying else []
    data = {
        "name": "shop",
        "profiles": ["tools"] if any("profiles" in service for service in services.values()) else [],
        "env": {"PLAIN": draw(VALUES), "HIDDEN": {"secret": "two"}},
        "secrets": {"one": draw(SECRETS), "two": draw(SECRETS)},
        "routes": [
            {"host": f"{n}.example.com", "service": name, "port": 80} for n, name in enumerate(routed)
        ],
    }
    return {
        "services": services,
        "networks": {"back": {}},
        "volumes": {"data": {}},
        "secrets": {"one": {"file": "x"}},
    }, data


def loaded(compose: dict[str, Any], data: dict[str, Any], root: Path) -> models.Model:
    (root / "shop" / "conf").mkdir(parents=True, exist_ok=True)
    (root / "shop" / "conf" / "a").write_text("a")
    (root / "shop" / "compose.yaml").write_text(yaml.safe_dump(compose))
    return models.load([data], {}, [root, COLLECTION])


def readable(model: models.Model) -> bool:
    """Whether the only complaints are of values that no service happens to read."""
    assert all("reads it" in problem.found for problem in model.problems), "\n".join(map(str, model.problems))
    return True


@QUIET
@given(given=stacks())
def test_every_service_follows_the_rules(
    read_override: Callable[[bytes], Any], given: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = loaded(*given, Path(folder))
        assert readable(model)
        [stack] = model.stacks
        made = release.build(stack)
        again = release.build(loaded(*given, Path(folder)).stacks[0])
    assert made == again
    keeps_what_it_mounts(given[0]["services"], made)
    override = read_override(made.files["platform.yaml"])
    routed = {route["service"] for route in given[1]["routes"]}
    for name, service in given[0]["services"].items():
        holds(service, override["services"][name], name in routed)
    assert all(
        network == {"name": "shop_public"} or network["internal"] for network in override["networks"].values()
    )


def keeps_what_it_mounts(services: dict[str, Any], made: release.Release) -> None:
    """Every volume and folder of data is in one backup, under a name of its own."""
    jobs = made.manifest["backups"]
    assert [job["name"] for job in jobs] == sorted({job["name"] for job in jobs})
    mounted = {
        mount.partition(":")[0] for service in services.values() for mount in service.get("volumes", [])
    }
    wanted = {"data": {"volume": "shop_data"}, "./state": {"folder": "state"}}
    kept = [job["data"] for job in jobs]
    assert all((data in kept) == (mount in mounted) for mount, data in wanted.items())


def holds(service: dict[str, Any], added: dict[str, Any], routed: bool) -> None:
    assert added["logging"]["driver"] == "local" and added["logging"]["options"]["max-size"] == "10m"
    assert added["security_opt"] == ["no-new-privileges:true"] and added["cap_drop"] == ["ALL"]
    limits = added.get("deploy", {}).get("resources", {}).get("limits", {})
    assert added.get("mem_limit") or limits.get("memory") or service.get("mem_limit")
    assert added.get("pids_limit") or limits.get("pids")
    assert added.get("restart") or service.get("restart")
    assert ("public" in added.get("networks", {})) == routed
    assert added.get("ports") is None and ("ports" in added) == bool(service.get("ports"))
    assert "container_name" in added or "container_name" not in service
    assert added["labels"]["drover.stack"] == "shop"


@QUIET
@given(stacks(), SECRETS)
def test_a_rotated_secret_keeps_the_release(given: tuple[dict[str, Any], dict[str, Any]], other: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one = release.build(loaded(*given, Path(folder)).stacks[0])
        given[1]["secrets"] = {"one": other, "two": other + "x"}
        two = release.build(loaded(*given, Path(folder)).stacks[0])
    assert (one.identity, one.files, one.manifest) == (two.identity, two.files, two.manifest)
    arguments = placement.tree([two])
    for key in ("folders", "files"):
        assert other not in str(arguments[key])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
KEYED = st.dictionaries(
    st.sampled_from(
        [
            "name",
            "compose",
            "env",
            "secrets",
            "routes",
            "limits",
            "allow",
            "publish",
            "state",
            "image",
            "version",
            "host",
            "port",
            "egress",
            "profiles",
            "deploy",
            "backup",
            "smoke",
        ]
    ),
    JSON,
    max_size=8,
)


@QUIET
@given(JSON | st.lists(KEYED, max_size=3), JSON | KEYED)
def test_nonsense_never_raises(stacks: Any, platform: Any) -> None:
    for problem in models.validate(stacks, platform, [COLLECTION]):
        assert str(problem) and problem.fix


COMPOSE_KEYS = [
    "image",
    "ports",
    "environment",
    "env_file",
    "volumes",
    "networks",
    "depends_on",
    "extends",
    "secrets",
    "configs",
    "healthcheck",
    "logging",
    "deploy",
    "cap_add",
    "security_opt",
    "user",
    "restart",
    "profiles",
    "labels",
    "network_mode",
    "privileged",
    "build",
    "scale",
]
FILE = st.fixed_dictionaries(
    {
        "services": st.dictionaries(
            NAMES, JSON | st.dictionaries(st.sampled_from(COMPOSE_KEYS), JSON, max_size=6), max_size=3
        )
    },
    optional={"networks": JSON, "volumes": JSON, "include": JSON, "configs": JSON, "secrets": JSON},
)


@QUIET
@given(FILE | JSON, st.booleans())
def test_nonsense_in_a_file_never_raises(compose: Any, with_data: bool) -> None:
    more = {"secrets": {"one": "k4nary"}, "env": {"A": {"secret": "one"}}} if with_data else {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "shop").mkdir()
        (Path(folder) / "shop" / "compose.yaml").write_text(yaml.safe_dump(compose))
        for problem in models.validate([{"name": "shop", **more}], {}, [Path(folder), COLLECTION]):
            assert str(problem) and (problem.file or problem.path[0] == "drover_stacks")


@QUIET
@given(
    st.binary(max_size=200) | st.text(alphabet="{}[]:&*!-# \n\t\"'ab01<$|>%@,?", max_size=60).map(str.encode)
)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "shop").mkdir()
        (Path(folder) / "shop" / "compose.yaml").write_bytes(content)
        models.validate([{"name": "shop"}], {}, [Path(folder), COLLECTION])
