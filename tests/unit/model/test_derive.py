"""What the platform adds to each service."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.drover.platform.plugins.plugin_utils import placement

WEB = "services:\n  web:\n    image: web:1\n    healthcheck: {test: [CMD, check]}\n"
TWO = WEB + "  two: {image: 'two:1', healthcheck: {test: [CMD, x]}}\n"
PRIVATE = "    networks: [default, private]\nnetworks: {private: {external: true}}\n"
NO_DATA = {"backup": {"db": False}}
Made = Callable[..., Any]


def web(override: Made, more: str = "", /, **data: Any) -> Any:
    return override(WEB + "".join(f"    {line}\n" for line in more.splitlines()), **data)["services"]["web"]


def test_every_service(override: Made) -> None:
    found = web(override)
    assert found["cap_drop"] == ["ALL"] and "NET_BIND_SERVICE" in found["cap_add"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert (found["mem_limit"], found["pids_limit"], found["restart"]) == ("512m", 512, "unless-stopped")
    assert found["logging"]["driver"] == "local"
    assert found["logging"]["options"] == {
        "max-size": "10m",
        "max-file": "3",
        "mode": "non-blocking",
        "max-buffer-size": "4m",
    }
    digest = found["labels"].pop("drover.digest")
    assert re.fullmatch(r"[0-9a-f]{12}", digest)
    assert found["labels"] == {"drover.stack": "shop", "drover.service": "web"}
    assert "networks" not in found and "ports" not in found


def test_the_stack_network_is_closed(override: Made) -> None:
    networks = override(WEB + "networks: {back: {}, front: }\n")["networks"]
    for name in ("default", "back", "front"):
        assert networks[name]["internal"] is True
        assert networks[name]["driver_opts"] == {"com.docker.network.bridge.inhibit_ipv4": "true"}
    assert "public" not in networks


def test_a_route_joins_the_stack_s_own_public_network(override: Made, released: Made) -> None:
    route = {"host": "a.example.com", "service": "web", "port": 80, "health": "/up"}
    found = override(TWO, routes=[route])
    assert found["services"]["web"]["networks"] == {"default": None, "public": None}
    assert found["services"]["web"]["labels"]["drover.health"] == "80/up"
    assert "networks" not in found["services"]["two"]
    assert found["networks"]["public"] == {"name": "shop_public"}
    assert released(TWO, routes=[route]).manifest["networks"] == ["shop_public"]


def test_a_file_s_external_public_network_becomes_the_stack_s_own(override: Made) -> None:
    text = WEB + "    networks: [edge]\nnetworks: {edge: {external: true, name: public}}\n"
    assert override(text)["networks"]["edge"] == {"name": "shop_public"}


def test_the_private_network_of_the_host_stays(override: Made) -> None:
    text = WEB + "    networks: [private]\nnetworks: {private: {external: true}}\n"
    assert "private" not in override(text)["networks"]


def test_no_port_opens_unless_published(override: Made, released: Made) -> None:
    assert "ports: !reset" in released(WEB + "    ports: ['80:80', 443]\n").files["platform.yaml"].decode()
    published = [{"service": "web", "port": 25, "host_port": 2525}]
    found = web(override, "ports: ['80:80']", publish=published)
    assert found["ports"] == [
        {"target": 25, "published": "2525", "host_ip": "0.0.0.0", "protocol": "tcp", "mode": "ingress"}
    ]
    assert "public" in found["networks"]


@pytest.mark.parametrize(
    ("more", "limits", "expected"),
    [
        ("mem_limit: 1g", {}, {"pids_limit": 512}),
        ("mem_limit: 1g", {"memory": "2g"}, {"mem_limit": "2g", "pids_limit": 512}),
        ("pids_limit: 0", {}, {"mem_limit": "512m", "pids_limit": 512}),
        ("pids_limit: -1\nmem_limit: 0m", {}, {"mem_limit": "512m", "pids_limit": 512}),
        ("mem_limit: lots", {}, {"pids_limit": 512}),  # left for Compose to refuse
        ("mem_limit: 0.0GB", {}, {"mem_limit": "512m", "pids_limit": 512}),
        ("mem_limit: 0.5g", {}, {"pids_limit": 512}),
        (
            "deploy: {resources: {limits: {memory: 1g}}}",
            {},
            {"deploy": {"resources": {"limits": {"pids": 512}}}},
        ),
        (
            "deploy: {resources: {limits: {cpus: '1'}}}",
            {"cpus": 2},
            {"deploy": {"resources": {"limits": {"pids": 512, "memory": "512m", "cpus": "2"}}}},
        ),
        ("", {"cpus": 0.5, "pids": 9}, {"mem_limit": "512m", "pids_limit": 9, "cpus": 0.5}),
    ],
)
def test_limits(override: Made, more: str, limits: dict[str, Any], expected: dict[str, Any]) -> None:
    found = web(override, more, **({"limits": {"web": limits}} if limits else {}))
    assert {
        key: value for key, value in found.items() if key in ("mem_limit", "pids_limit", "cpus", "deploy")
    } == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("cap_drop: [ALL]", []),
        ("cap_drop: [ALL]\ncap_add: [CAP_CHOWN]", ["CHOWN"]),
        (
            "cap_add: [NET_RAW]",
            ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "NET_RAW", "SETGID", "SETUID"],
        ),
        ("cap_drop: [KILL, CHOWN]", ["DAC_OVERRIDE", "FOWNER", "NET_BIND_SERVICE", "SETGID", "SETUID"]),
    ],
)
def test_capabilities(override: Made, more: str, expected: list[str]) -> None:
    assert web(override, more)["cap_add"] == expected


def test_a_weaker_privilege_option_gives_way(override: Made) -> None:
    found = web(override, "security_opt: ['no-new-privileges:false', 'label:type:x']")
    assert found["security_opt"] == ["no-new-privileges:true", "label:type:x"]


@pytest.mark.parametrize(
    ("more", "expected"), [("restart: always", None), ('restart: "no"', None), ("restart: no", None)]
)
def test_the_file_s_restart_policy_stays(override: Made, more: str, expected: None) -> None:
    assert web(override, more).get("restart") is expected


def test_one_shots(released: Made, override: Made) -> None:
    text = (
        WEB + "    depends_on: {job: {condition: service_completed_successfully}}\n  job: {image: 'job:1'}\n"
    )
    assert override(text)["services"]["job"]["restart"] == "no"
    assert released(text).manifest["services"]["job"]["kind"] == "oneshot"


def test_known_images(override: Made, released: Made) -> None:
    text = "services: {db: {image: 'docker.io/library/postgres:17-alpine'}, c: {image: 'valkey/valkey:8'}}"
    found = override(text, **NO_DATA)["services"]
    assert (
        found["db"]["healthcheck"]["test"][0] == "CMD-SHELL"
        and "pg_isready" in found["db"]["healthcheck"]["test"][1]
    )
    assert found["db"]["cap_add"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]
    assert released(text, **NO_DATA).manifest["services"]["db"]["uid"] == 70


@pytest.mark.parametrize(
    ("said", "added"),
    [
        ("", {"start_period": "30s", "start_interval": "1s"}),
        (", start_period: 2m", {"start_interval": "1s"}),
        (", start_period: 2m, start_interval: 9s", None),
    ],
)
def test_health_is_looked_at_early(override: Made, said: str, added: dict[str, str] | None) -> None:
    text = f"services: {{web: {{image: 'web:1', healthcheck: {{test: [CMD, check]{said}}}}}}}"
    assert override(text)["services"]["web"].get("healthcheck") == added


@pytest.mark.parametrize(
    ("said", "added"),
    [
        ("", {"test", "interval", "timeout", "retries", "start_period", "start_interval"}),
        ("interval: 30m", {"test", "timeout", "retries", "start_period", "start_interval"}),
        ("disable: false, retries: 2, start_period: 5m", {"test", "interval", "timeout", "start_interval"}),
        ("test: [], retries: 0", {"test", "interval", "timeout", "start_period", "start_interval"}),
        ("test: [CMD, mine]", {"start_period", "start_interval"}),
    ],
)
def test_a_known_image_s_health_check_takes_the_file_s_keys(
    override: Made, said: str, added: set[str]
) -> None:
    found = override(f"services: {{db: {{image: 'postgres:17.5', healthcheck: {{{said}}}}}}}", **NO_DATA)
    assert set(found["services"]["db"]["healthcheck"]) == added


@pytest.mark.parametrize("said", ["disable: true", "disable: 'true'", "test: NONE", "test: [NONE]"])
def test_a_health_check_stays_switched_off_with_a_reason(override: Made, wrong: Made, said: str) -> None:
    text = f"services: {{db: {{image: 'postgres:17.5', healthcheck: {{{said}}}}}}}"
    found = wrong(text, **NO_DATA)
    assert "services.db: its health check is switched off; remove disable from the file" in found
    assert "allow: {db: {no_health_check:" in found
    reasons = {"db": {"no_health_check": "its vendor asks for it"}}
    assert "healthcheck" not in override(text, allow=reasons, **NO_DATA)["services"]["db"]


def test_what_ties_a_service_to_one_run_is_reset(released: Made) -> None:
    text = released(WEB + "    container_name: web1\n    build: .\n    pull_policy: always\n").files[
        "platform.yaml"
    ]
    for key in (b"container_name", b"build", b"pull_policy"):
        assert key + b": !reset null" in text


def test_reasons_become_labels(override: Made) -> None:
    labels = web(override, allow={"web": {"privileged": "it measures the host"}})["labels"]
    assert labels["drover.reason.privileged"] == "it measures the host"


# --- files


def test_files_travel_named_by_content(override: Made, released: Made) -> None:
    text = (
        WEB
        + "    volumes: ['./web.conf:/etc/web.conf', './data:/data', '/mnt/x:/x', 'named:/n']\n"
        + "volumes: {named: }\n"
    )
    one = released(text, {"web.conf": "a"})
    found = override(text, {"web.conf": "a"})["services"]["web"]["volumes"]
    digest = one.shipped[0].digest
    assert found[0] == {
        "type": "bind",
        "source": f"/srv/stacks/shop/files/{digest}/web.conf",
        "target": "/etc/web.conf",
        "read_only": True,
    }
    assert found[1]["source"] == "/srv/stacks/shop/data/data"
    assert found[2]["source"] == "/mnt/x" and found[3] == {
        "type": "volume",
        "source": "named",
        "target": "/n",
    }
    assert one.manifest["data_folders"] == ["data"]
    two = released(text, {"web.conf": "b"})
    assert two.shipped[0].digest != digest and two.manifest["services"] != one.manifest["services"]


def test_a_changed_file_concerns_only_its_readers(released: Made) -> None:
    text = TWO.replace("{image: 'two:1'", "{image: 'two:1', volumes: ['./two.conf:/c']")
    one, two = (released(text, {"two.conf": content}).manifest["services"] for content in "ab")
    assert one["web"]["digest"] == two["web"]["digest"] and one["two"]["digest"] != two["two"]["digest"]


def test_folders_and_configs(override: Made, released: Made) -> None:
    text = WEB + (
        "    volumes: ['./conf:/etc/conf:ro']\n    configs: [a, {source: b, target: /etc/b}]\n"
        "configs: {a: {file: ./conf/a}, b: {content: 'port ${PORT:-1}'}}\n"
    )
    files = {"conf/a": "1", "conf/deep/b": "2", "conf/.gitkeep": ""}
    found = override(text, files)["services"]["web"]
    assert [mount["target"] for mount in found["volumes"]] == ["/etc/conf", "/a", "/etc/b"]
    assert all(mount["read_only"] for mount in found["volumes"]) and "configs" in found
    shipped = {name for what in released(text, files).shipped for name, _, _ in what.parts}
    assert shipped == {"conf/a", "conf/deep/b", "a", "b"}


@pytest.mark.parametrize(
    "files",
    [
        {"data/.gitkeep": ""},
        {"data/.gitignore": "*\n!.gitignore\n", "data/deep/dump.rdb": "by hand"},
        {"data/.gitignore": "# mine\r\n*\r\n", "data/.gitkeep": "", "data/dump.rdb": "by hand"},
    ],
)
@pytest.mark.parametrize("mode", ["", ":ro"])
def test_an_empty_or_ignored_folder_is_data(
    override: Made, released: Made, files: dict[str, str], mode: str
) -> None:
    volumes = f"volumes: ['./data:/data{mode}', './data/deep:/deep{mode}']"
    sources = [mount["source"] for mount in web(override, volumes, files=files)["volumes"]]
    assert sources == ["/srv/stacks/shop/data/data", "/srv/stacks/shop/data/data/deep"]
    made = released(WEB + f"    {volumes}\n", files=files)
    assert made.shipped == () and made.manifest["data_folders"] == ["data", "data/deep"]


@pytest.mark.parametrize(
    ("mount", "more"),
    [
        ("n:/n:nocopy", {"volume": {"nocopy": True}}),
        ("n:/n:ro,nocopy", {"read_only": True, "volume": {"nocopy": True}}),
        ("n:/n:rw", {}),
        ("/mnt/x:/x:Z,rshared,ro", {"read_only": True, "bind": {"selinux": "Z", "propagation": "rshared"}}),
        ("/mnt/x:/x:cached", {"consistency": "cached"}),
        ("./data:/d:z", {"bind": {"selinux": "z", "create_host_path": True}}),
        ("./data:/d:ro", {"read_only": True, "bind": {"create_host_path": True}}),
    ],
)
def test_modes_of_a_short_mount_stay(override: Made, mount: str, more: dict[str, Any]) -> None:
    text = WEB + f"    volumes: ['{mount}', './c:/c:ro']\nvolumes: {{n: }}\n"
    found = override(text, {"c/a": "1"})["services"]["web"]["volumes"][0]
    assert {key: value for key, value in found.items() if key not in ("type", "source", "target")} == more


# --- secrets and environment

SECRET = {"db": "k4nary-one"}


def test_secrets_are_files_in_a_folder(override: Made, released: Made) -> None:
    text = TWO + "secrets: {db: {file: ./no-such}}\n"
    text = text.replace("  two: {", "  two: {user: '1000:1000', secrets: [{source: db, target: pass}], ")
    found = override(text, secrets=SECRET)["services"]["two"]
    assert found["volumes"] == [
        {
            "type": "bind",
            "source": "/srv/stacks/shop/secrets/two",
            "target": "/run/secrets",
            "read_only": True,
        }
    ]
    assert "secrets" in found and found["secrets"] is None
    release = released(text, secrets=SECRET)
    assert release.secrets == {"two": {"pass": "k4nary-one"}}
    assert release.manifest["services"]["two"]["uid"] == 1000
    assert release.manifest["services"]["two"]["secrets"] == ["pass"]
    assert "volumes" not in override(text, secrets=SECRET)["services"]["web"]


def test_the_data_s_uid_wins(released: Made) -> None:
    release = released(WEB + "    user: '5'\n", secrets={"db": {"value": "k4nary", "uid": 7}})
    assert release.manifest["services"]["web"]["uid"] == 7


def test_a_single_service_reads_everything(override: Made, released: Made) -> None:
    data: dict[str, Any] = {"secrets": SECRET, "env": {"A": "x", "B": 5, "C": True}}
    assert released(WEB, **data).secrets == {"web": {"db": "k4nary-one"}}
    assert web(override, **data)["environment"] == {"A": "${A}", "B": "${B}", "C": "${C}"}
    assert b"A=x\nB=5\nC=true\n" in released(WEB, **data).files[".env"]


@pytest.mark.parametrize(
    ("more", "expected", "variable"),
    [
        ("environment: [URL, X=1]", {"X": "1"}, "URL"),
        ("environment: {URL: '${URL}', X: '${Y:-1}'}", {"X": "${Y:-1}"}, "URL"),
        ("environment: {MY: '${URL:?set it}'}", {}, "MY"),
        ("env_file: .env", None, "URL"),
    ],
)
def test_secret_variables(override: Made, released: Made, more: str, expected: Any, variable: str) -> None:
    text = WEB + f"    {more}\n  two: {{image: 'two:1', healthcheck: {{test: [CMD, x]}}}}\n"
    data: dict[str, Any] = {"secrets": {"url": "a'b\"c$d\ne"}, "env": {"URL": {"secret": "url"}}}
    found = override(text, **data)["services"]["web"]
    assert found.get("environment") == expected
    assert found["env_file"] == [{"path": "/srv/stacks/shop/secrets/web.env", "required": False}]
    release = released(text, **data)
    assert release.secret_env == {"web": f'{variable}="a\'b\\"c\\$d\\ne"\n'}
    assert release.manifest["services"]["web"]["secret_env"] == [variable]
    assert "env_file" not in override(text, **data)["services"]["two"]


def test_no_secret_is_in_a_release(released: Made) -> None:
    text = WEB + "    environment: [URL]\n    secrets: [db]\n"
    data: dict[str, Any] = {"env": {"URL": {"secret": "url"}}}
    one = released(text, secrets={"db": "k4nary-one", "url": "k4nary-two"}, **data)
    two = released(text, secrets={"db": "other-one", "url": "other-two"}, **data)
    assert one.identity == two.identity and one.files == two.files
    assert b"k4nary" not in b"".join(one.files.values())


def test_what_travels_with_a_release(released: Made) -> None:
    text = "include: [more/more.yaml]\n" + WEB + "    env_file: [a.env, .env]\n"
    files = {
        "more/more.yaml": "services: {two: {image: 'two:1', extends: {service: b, file: base.yaml}}}",
        "more/base.yaml": "services: {b: {healthcheck: {test: [CMD, x]}}}",
        "a.env": "A=1",
        ".env": "LOCAL=1",
        "README.md": "x",
        ".secrets/db": "k4nary",
    }
    assert sorted(released(text, files).files) == [
        ".env",
        "a.env",
        "compose.yaml",
        "manifest.json",
        "more/base.yaml",
        "more/more.yaml",
        "platform.yaml",
    ]


@pytest.mark.parametrize("path", ["a.env", "./a.env", "././a.env", "./conf/../a.env", "conf//../a.env"])
def test_an_env_file_has_one_path(released: Made, path: str) -> None:
    made = released(WEB + f"    env_file: {path}\n", {"a.env": "A=1"})
    assert made.files["a.env"] == b"A=1" and len(made.files) == 5
    other = released(WEB + f"    env_file: {path}\n", {"a.env": "A=2"})
    assert other.manifest["services"] != made.manifest["services"]


@pytest.mark.parametrize("path", [".env", "./.env", "./x/../.env"])
def test_the_dotenv_is_found_by_any_path(released: Made, path: str) -> None:
    text = WEB + f"    env_file: {path}\n  two: {{image: 'two:1', healthcheck: {{test: [CMD, x]}}}}\n"
    made = released(text, env={"URL": {"secret": "url"}}, secrets={"url": "k4nary"})
    assert made.secret_env == {"web": "URL=k4nary\n"}


def test_the_dotenv_runs_compose_by_hand(released: Made) -> None:
    text = WEB.replace("web:1", "web:${VERSION}") + "    profiles: [p]\n"
    dotenv = released(text, version="2", profiles=["p"]).files[".env"].decode()
    assert dotenv == (
        "COMPOSE_FILE=compose.yaml:platform.yaml\nCOMPOSE_PROFILES=p\nCOMPOSE_PROJECT_NAME=shop\nVERSION=2\n"
    )


def test_a_version_concerns_only_its_readers(released: Made) -> None:
    text = TWO.replace("web:1", "web:${VERSION}")
    one, two = (released(text, version=version).manifest["services"] for version in "12")
    assert one["two"] == two["two"] and one["web"]["digest"] != two["web"]["digest"]


@pytest.mark.parametrize("text", [WEB, WEB + "    environment: {GREETING: }\n"])
def test_a_value_of_the_environment_concerns_its_reader(released: Made, text: str) -> None:
    """The override names the variable; its value is in the release's .env."""
    one, two = (released(text, env={"GREETING": value}).manifest["services"]["web"] for value in ("a", "b"))
    assert one["digest"] != two["digest"]


def test_the_short_form_needs_no_file(load: Made) -> None:
    from pathlib import Path

    from ansible_collections.drover.platform.plugins.plugin_utils import model, release

    roots = [Path(__file__).resolve().parents[3] / "compose"]
    data = {
        "name": "n",
        "image": "reg.example.com:5000/n",
        "version": "1",
        "host": "n.example.com",
        "port": 80,
        "health": "/up",
    }
    found = model.load([data], {}, roots)
    assert not found.problems
    manifest = release.build(found.stacks[0]).manifest
    assert manifest["services"]["app"]["image"] == "reg.example.com:5000/n:1"
    assert manifest["routes"] == [
        {"host": "n.example.com", "path": "/", "service": "app", "port": 80, "health": "/up"}
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x-nothing: ", 1),
        ("deploy: {replicas: 0}", 0),
        ("deploy: {replicas: 3}", 3),
        ("scale: 0", 0),
        ("scale: 2", 2),
        ("deploy: {replicas: '${N}'}", 0),
    ],
)
def test_replicas(released: Made, line: str, expected: int) -> None:
    data: dict[str, Any] = {"env": {"N": "0"}} if "${N}" in line else {}
    assert released(WEB + f"    {line}\n", **data).manifest["services"]["web"]["replicas"] == expected


@pytest.mark.parametrize(
    ("lines", "data", "expected"),
    [
        ("", {}, "start-first"),
        ("volumes: ['named:/n']", {}, "stop-first"),
        ("volumes: ['named:/n:ro']", {}, "start-first"),
        ("volumes: ['./there:/n']", {}, "start-first"),
        ("volumes: ['./data:/n']", {}, "stop-first"),
        ("tmpfs: [/n]", {}, "start-first"),
        ("volumes: ['named:/n']\n    deploy: {update_config: {order: start-first}}", {}, "start-first"),
        ("deploy: {update_config: {order: stop-first}}", {}, "stop-first"),
        ("deploy: {update_config: {order: start-first}}", {"singleton": True}, "stop-first"),
        ("deploy: {update_config: {order: start-first}}", {"published": True}, "stop-first"),
        ("networks: {default: {ipv4_address: 10.213.9.9}}", {}, "stop-first"),
        ("pid: 'service:two'", {}, "in-place"),
        ("ipc: 'service:two'", {}, "in-place"),
    ],
)
def test_order(released: Made, lines: str, data: dict[str, bool], expected: str) -> None:
    text = (
        WEB + f"    {lines}\n" + "  two: {image: two:1, healthcheck: {test: [CMD, x]}}\nvolumes: {named: }\n"
    )
    more: dict[str, Any] = {"deploy": {"singleton": ["web"]}} if data.get("singleton") else {}
    if data.get("published"):
        more["publish"] = [{"service": "web", "port": 53, "host_port": 53}]
    services = released(text, {"there": "x"}, **more).manifest["services"]
    assert services["web"]["order"] == expected
    assert services["two"]["order"] == ("in-place" if expected == "in-place" else "start-first")


def test_who_runs_on_each_generation_of_a_host(released: Made) -> None:
    """Databases and what they need on all, those that act by themselves on one."""
    text = (
        "services:\n"
        "  web: {image: web:1, depends_on: [db, hub]}\n"
        "  db: {image: 'postgres:17', depends_on: {owner: {condition: service_completed_successfully}},"
        " volumes: ['kept:/var/lib/postgresql/data']}\n"
        "  owner: {image: owner:1}\n"
        "  hub: {image: hub:1}\n"
        "  mailer: {image: mailer:1, depends_on: [db]}\n"
        "  poller: {image: poller:1}\n"
        "volumes: {kept: }\n"
    )
    allow = {name: {"no_health_check": "nobody asks it"} for name in ("web", "hub", "mailer", "poller")}
    found = released(text, workers={"poller": False, "web": True}, allow=allow).manifest["services"]
    assert {name for name, each in found.items() if each.get("always")} == {"db", "owner"}
    assert {name for name, each in found.items() if each.get("worker")} == {"mailer", "web"}


@pytest.mark.parametrize("more", ["    volumes: ['kept:/kept']\nvolumes: {kept: }\n", PRIVATE])
def test_a_stack_that_is_read_while_its_host_is_frozen(released: Made, more: str) -> None:
    """It has a page for what does more than read, also where none is shown at a restore."""
    route = {"host": "a.example.com", "service": "web", "port": 80}
    made = released(WEB + more, routes=[route], frozen="read")
    assert made.manifest["frozen"] == "read" and b"Back soon" in made.pages["maintenance.html"]
    page = released(WEB + more, routes=[route], frozen="page")
    assert "frozen" not in page.manifest and not page.pages


def test_deploy_is_told_to_the_agent(released: Made) -> None:
    assert released(WEB).manifest["deploy"] == {
        "timeout": 120, "soak": 5, "drain": 10, "before": [], "after": []
    }  # fmt: skip
    deploy = {"soak": 0, "before": [{"service": "web", "command": "./manage 'a b'"}]}
    found = released(WEB, deploy=deploy).manifest["deploy"]
    assert found["soak"] == 0
    assert found["before"] == [{"service": "web", "command": ["./manage", "a b"]}]


def test_the_label_is_the_digest_and_does_not_count_itself(released: Made, override: Made) -> None:
    found = web(override)["labels"]["drover.digest"]
    assert found == released(WEB).manifest["services"]["web"]["digest"]


def test_the_manifest_says_what_the_agent_reads(released: Made) -> None:
    found = released(WEB + "    volumes: ['named:/n']\nvolumes: {named: }\n").manifest
    assert sorted(found) == [
        "backups",
        "data_folders",
        "deploy",
        "file",
        "format",
        "networks",
        "release",
        "routes",
        "services",
        "stack",
        "version",
    ]
    assert sorted(found["services"]["web"]) == [
        "digest",
        "health",
        "image",
        "kind",
        "order",
        "replicas",
        "secret_env",
        "secrets",
        "uid",
        "worker",
    ]


@pytest.mark.parametrize(("user", "owner"), [("1000", {"owner": "1000"}), ("www", {"keep": True})])
def test_retired_secrets_stay_until_the_agent_removes_them(
    released: Made, user: str, owner: dict[str, Any]
) -> None:
    text = WEB + f"    user: '{user}'\n    secrets: [db]\n"
    arguments = placement.tree([released(text, secrets={"db": "k4nary-one"})])
    folders = {folder["path"]: folder for folder in arguments["folders"]}
    for path, more in (("/srv/stacks/shop/secrets", {}), ("/srv/stacks/shop/secrets/web", owner)):
        assert folders[path] == {"path": path, "mode": "0700", **more}
