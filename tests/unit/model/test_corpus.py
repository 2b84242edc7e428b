"""Files in the style people publish run unchanged, and the rules hold in what Compose makes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.drover.platform.plugins.plugin_utils import model as models
from ansible_collections.drover.platform.plugins.plugin_utils import release

CORPUS = Path(__file__).parent / "corpus"
ROOTS = [CORPUS, Path(__file__).resolve().parents[3] / "compose"]
NAMES = sorted(path.name for path in CORPUS.iterdir())
Composed = Callable[[release.Release, Path], Any]


def data(name: str) -> dict[str, Any]:
    return {"name": name, **yaml.safe_load((CORPUS / name / "stack.yaml").read_text())}


def built(stack: dict[str, Any], what: str = "stacks", kind: str = "traefik") -> release.Release:
    found = models.load([stack] if what == "stacks" else [], {"proxy": {"kind": kind}}, ROOTS, what)
    assert not found.problems, "\n".join(map(str, found.problems))
    return release.build(found.stacks[0])


@pytest.mark.parametrize("name", NAMES)
def test_has_no_problem_and_is_stable(name: str) -> None:
    assert built(data(name)).files == built(data(name)).files


@pytest.mark.parametrize("name", NAMES)
def test_what_compose_makes_of_it(name: str, tmp_path: Path, composed: Composed) -> None:
    made = built(data(name))
    found = composed(made, tmp_path)
    assert found["name"] == name
    published = {entry["service"] for entry in data(name).get("publish", [])}
    for service, config in found["services"].items():
        follows_the_rules(config, published=service in published)
        if service in made.manifest["services"]:
            assert config["image"] == made.manifest["services"][service]["image"]
    for network, config in found["networks"].items():
        assert config.get("internal") is True or network in ("public", "proxy"), network


def follows_the_rules(config: dict[str, Any], published: bool) -> None:
    limits = config.get("deploy", {}).get("resources", {}).get("limits", {})
    assert config.get("mem_limit") or limits.get("memory")
    assert config.get("pids_limit") or limits.get("pids")
    assert "no-new-privileges:true" in config["security_opt"] and config["cap_drop"] == ["ALL"]
    assert config["logging"]["driver"] == "local" and config["logging"]["options"]["max-size"]
    assert config.get("restart") and (config.get("networks") or config.get("network_mode") == "none")
    assert bool(config.get("ports")) == published
    assert not {"container_name", "build", "secrets", "configs", "pull_policy", "privileged"} & config.keys()


def documented(example: str) -> list[dict[str, Any]]:
    """The inventory that the example's README tells to copy, with a stand-in for its vault."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```", (ROOTS[1] / example / "README.md").read_text(), re.M | re.S)
    found: list[dict[str, Any]] = yaml.safe_load(re.sub(r"{{.*?}}", "k4nary", block))["drover_stacks"]
    return found


def test_the_examples_and_the_proxy(tmp_path: Path, composed: Composed) -> None:
    mvp = {"name": "mvp", "compose": "examples/mvp", "secrets": {"db_password": "k4nary"}}
    short = {
        "name": "short",
        "image": "nginx",
        "version": "1.30.6",
        "host": "a.example.com",
        "port": 80,
        "health": "/",
    }
    postgres = {"name": "postgres", "secrets": {"db_password": "k4nary"}}
    (chat,) = documented("examples/chat")
    proxies = [built({}, "proxy", kind) for kind in ("traefik", "nginx")]
    for made in (built(mvp), built(chat), built(short), built(postgres), built({"name": "valkey"}), *proxies):
        found = composed(made, tmp_path / made.identity)
        for name, config in found["services"].items():
            follows_the_rules(config, published=name in ("traefik", "nginx"))


def test_secret_variables_reach_the_service_only_by_their_file(tmp_path: Path, composed: Composed) -> None:
    found = composed(built(data("blog")), tmp_path)["services"]
    assert found["blog"]["environment"]["WORDPRESS_DB_PASSWORD"] == "k4nary-9d1c"
    assert found["db"]["environment"]["MARIADB_PASSWORD"] == "k4nary-9d1c"
    for path in ("compose.yaml", "platform.yaml", ".env"):
        assert "k4nary" not in (tmp_path / path).read_text()


@pytest.mark.parametrize(
    "value", ["a'b\"c$d\\e", "two\nlines", " spaces ", "#x", "${NO}", "$$", "ünïcode", "a=b", "\t"]
)
def test_values_survive_compose(value: str, tmp_path: Path, composed: Composed) -> None:
    stack = {
        "name": "t",
        "image": "i",
        "version": "1",
        "host": "a.example.com",
        "port": 80,
        "health": "/",
        "env": {"PLAIN": value, "HIDDEN": {"secret": "s"}},
        "secrets": {"s": value + "k4nary"},
    }
    found = composed(built(stack), tmp_path)["services"]["app"]["environment"]
    assert found["PLAIN"].replace("$$", "$") == value
    assert found["HIDDEN"].replace("$$", "$") == value + "k4nary"
