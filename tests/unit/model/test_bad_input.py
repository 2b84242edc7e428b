"""Each mistake gives one message that names the place, what was found and what to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.drover.platform.plugins.plugin_utils import model as models
from ansible_collections.drover.platform.plugins.plugin_utils import shape
from ansible_collections.drover.platform.plugins.plugin_utils.compose import document
from ansible_collections.drover.platform.plugins.plugin_utils.problem import located
from ansible_collections.drover.platform.plugins.plugin_utils.schema import STACK

COLLECTION = Path(__file__).resolve().parents[3] / "compose"
WEB = "services:\n  web:\n    image: web:1\n    healthcheck: {test: [CMD, check]}\n"
ROUTE = {"host": "a.example.com", "service": "web", "port": 80}
Wrong = Callable[..., str]

DATA = [
    ({"rotes": []}, 'rotes: no such key; did you mean "routes"?'),
    ({"routes": "x"}, 'routes: found text ("x") instead of a list; write a list'),
    ({"routes": [{**ROUTE, "port": "80"}]}, 'routes[0].port: found text ("80") instead of a number'),
    ({"routes": [{**ROUTE, "port": 70000}]}, "70000 is not a port (1 to 65535)"),
    ({"routes": [{**ROUTE, "port": True}]}, "found true or false"),
    ({"routes": [{"host": "a.example.com"}]}, 'the key "service" is missing; write service: frontend'),
    ({"routes": [{**ROUTE, "host": "shop..acme"}]}, '"shop..acme" is not a host name; write one such as'),
    (
        {"routes": [{**ROUTE, "host": "bücher.example"}]},
        "U+00FC LATIN SMALL LETTER U WITH DIAERESIS; write the name in p",
    ),
    ({"routes": [{**ROUTE, "host": "a\u202e.example.com"}]}, "holds U+202E RIGHT-TO-LEFT OVERRIDE"),
    ({"routes": [{**ROUTE, "host": "10.0.0.1"}]}, "is not a host name"),
    ({"routes": [{**ROUTE, "service": "wbe"}]}, 'there is no service "wbe"'),
    ({"routes": [ROUTE, {**ROUTE, "host": "A.Example.com"}]}, "is routed at shop.routes[0].host too"),
    ({"version": "latest"}, "no file of"),
    ({"version": 1.0}, "found a number (1.0) instead of text; put it in quotes"),
    ({"state": "gone"}, "write one of: present, absent"),
    ({"egress": {"web": ["https"]}}, "egress: it is not supported yet"),
    ({"links": {"web": ["a/b"]}}, "links: it is not supported yet"),
    ({"aws": {"bucket": "media"}}, "aws: it is not supported yet"),
    ({"backup": {"db": "no"}}, "backup.db: found text; write true or false or a mapping"),
    ({"backup": {"a b": False}}, '"a b" is not a name that a backup can have'),
    ({"backup": {"db": False}}, 'backup.db: the stack keeps no data called "db"; remove it'),
    ({"deploy": {"backup": "after"}}, "deploy.backup: found"),
    ({"deploy": {"backup": True}}, "found true or false (true); write one of: never, before"),
    ({"state": 1}, "state: found a number (1); write one of: present, absent"),
    ({"deploy": {"backup": "before"}}, "deploy.backup: there is no repository for backups"),
    ({"deploy": {"soak": -1}}, "deploy.soak: -1 is too small"),
    ({"deploy": {"drain": 1.5}}, "is not a whole number"),
    ({"deploy": {"before": ["web: x"]}}, "deploy.before[0]: found text"),
    (
        {"deploy": {"before": [{"service": "wbe", "command": "x"}]}},
        "before[0].service: there is no service",
    ),
    (
        {"deploy": {"after": [{"service": "web", "command": "echo 'x"}]}},
        "a command whose quotes are closed",
    ),
    ({"deploy": {"singleton": ["wbe"]}}, 'deploy.singleton[0]: there is no service "wbe"'),
    ({"workers": {"wbe": True}}, 'workers.wbe: there is no service "wbe"'),
    ({"workers": {"web": True}, "routes": [ROUTE]}, 'a route or a port leads to "web"; leave it out'),
    ({"workers": {"web": 1}}, "workers.web: found a number (1) instead of true or false"),
    ({"frozen": "reads"}, 'drover_stacks[0].frozen: found "reads"; did you mean "read"?; write one of: page'),
    ({"frozen": True}, "frozen: found true or false (true); write one of: page, read"),
    (
        {"frozen": "read"},
        "frozen: the stack keeps no data, so that it serves as ever while its host is frozen",
    ),
    ({"limits": {"wbe": {"memory": "1g"}}}, 'limits.wbe: there is no service "wbe"'),
    ({"limits": {"web": {"memory": "lots"}}}, '"lots" is not a size'),
    ({"allow": {"web": {"latest": "yes"}}}, '"yes" is not a reason'),
    ({"profiles": ["x"]}, 'no service has the profile "x"'),
    ({"host": "a.example.com"}, "host: the port is missing"),
    ({"env": {"A-B": "x"}}, "env.…: this name is not a variable name; write one such as PUBLIC_URL"),
    ({"env": {"A\u200b": "x"}}, "U+200B ZERO WIDTH SPACE"),
    ({"env": {"COMPOSE_FILE": "x"}}, "the platform sets this name itself"),
    ({"env": {"A": {"secret": "nope"}}}, "env.A.secret: no secret under the stack's secrets has this name"),
    (
        {"env": {"A": {"secret": "nope"}}, "secrets": {"db": "k4nary"}},
        "write one of: db; the value itself belongs under secrets",
    ),
    ({"publish": [{"service": "web", "port": 80, "host_port": 80}]}, "port 80/tcp belongs to the proxy too"),
    ({"publish": [{"service": "web", "port": 80, "host_port": 22}]}, "belongs to the host's SSH"),
    (
        {"publish": [{"service": "web", "port": 80, "host_port": 81, "address": "here"}]},
        '"here" is not an address',
    ),
    ({"data": "delete"}, "found delete for a stack that is present; write state: absent, or keep"),
    ({"compose": "shpo"}, 'there is no folder "shpo"; did you mean "shop"?'),
    ({"compose": "../x"}, "is not a folder inside compose/"),
]


@pytest.mark.parametrize(("data", "expected"), DATA)
def test_data(wrong: Wrong, data: dict[str, Any], expected: str) -> None:
    assert expected in wrong(WEB, **data)


FILES = [
    (
        "image: web:1",
        "image: web",
        '"web" has no fixed tag; write a tag other than latest, or allow: {web: {latest',
    ),
    ("image: web:1", "image: web:latest", "has no fixed tag"),
    ("image: web:1", "image: 'web:1 '", "is not an image's name"),
    ("image: web:1", "build: .", "build elsewhere, push the image, and name it"),
    ("image: web:1", "command: x", "there is no image"),
    (
        "image: web:1",
        "image: web:${TAG}",
        "compose.yaml:3  services.web.image: ${TAG} has no value; write TAG under",
    ),
    ("image: web:1", "image: web:${VERSION}", "write version for the stack"),
    ("image: web:1", "image: web:$", "write $$ for a plain dollar sign"),
    ("image: web:1", "image: web:1\n    network_mode: host", 'network_mode: found "host"'),
    (
        "image: web:1",
        "image: web:1\n    privileged: true",
        "privileged: found true; remove it, or write allow:",
    ),
    ("image: web:1", "image: web:1\n    cap_add: [SYS_ADMIN]", 'found "SYS_ADMIN"'),
    ("image: web:1", "image: web:1\n    pid: host", 'pid: found "host"'),
    ("image: web:1", "image: web:1\n    devices: [/dev/sda]", "devices of the host"),
    ("image: web:1", "image: web:1\n    security_opt: ['seccomp:unconfined']", "seccomp:unconfined"),
    ("image: web:1", "image: web:1\n    external_links: [x]", "name the other stack under links"),
    ("image: web:1", "image: web:1\n    volumes: ['/var/run/docker.sock:/s']", "is root on the host"),
    ("image: web:1", "image: web:1\n    volumes: ['/run:/s']", "belongs to the host"),
    ("image: web:1", "image: web:1\n    volumes: ['/etc/../etc/shadow:/s']", "belongs to the host"),
    ("image: web:1", "image: web:1\n    volumes: ['/srv/stacks/b/secrets:/s']", "belongs to the host"),
    ("image: web:1", "image: web:1\n    volumes: ['/etc/localtime:/s']", "add :ro"),
    ("image: web:1", "image: web:1\n    volumes: ['../x:/s']", "lies outside the stack's folder"),
    ("image: web:1", "image: web:1\n    volumes: ['.:/s']", "mounts the stack's whole folder"),
    ("image: web:1", 'image: web:1\n    volumes: ["./x:/s\\u202e"]', "its target holds U+202E"),
    ("services:", "volumes: {x: {name: a/b}}\nservices:", 'volumes.x.name: "a/b" is not a name that Docker'),
    (
        "image: web:1",
        "image: web:1\n    labels: [drover.engine=postgre]",
        'labels.drover.engine: found "postgre"; did you mean "postgres"?',
    ),
    ("image: web:1", "image: web:1\n    labels: [drover.engine]", "labels.drover.engine: found nothing"),
    ("image: web:1", "image: web:1\n    volumes: ['nope:/s']", 'nobody defines the volume "nope"'),
    ("image: web:1", "image: web:1\n    networks: [nope]", "nobody defines this network"),
    ("services:", "networks: {back: {name: 0.proxy}}\nservices:", 'name "0.proxy" belongs to the proxy too'),
    (
        "image: web:1",
        "image: web:1\n    labels: [drover.standby=x]",
        "labels.drover.standby: labels that begin",
    ),
    (
        "image: web:1",
        "image: web:1\n    enviroment: {}",
        'enviroment: no such key; did you mean "environment"?',
    ),
    ("image: web:1", "image: web:1\n    use_api_socket: true", "Compose 2.26.1 does not know it"),
    ("image: web:1", "image: web:1\n    ports: ['http']", "is no port"),
    ("image: web:1", "image: web:1\n    secrets: [nope]", "no secret it lists"),
    (
        "services:\n  web:",
        "secrets: {db: {file: x}}\nservices:\n  web:\n    secrets: [db]",
        'no secret "db"; write secrets: {db: …}',
    ),
    ("image: web:1", "image: web:1\n    env_file: nope.env", 'there is no file "nope.env"'),
    ("image: web:1", "image: web:1\n    depends_on: [nope]", "no service of this name starts"),
    ("image: web:1", "image: web:1\n    extends: {service: web}", "web extends itself"),
    ("image: web:1", "image: web:1\n    configs: [nope]", 'nobody defines the config "nope"'),
    (
        "    healthcheck",
        "    x-healthcheck",
        "nothing tells whether it is well; write healthcheck: in the file",
    ),
    ("  web:", "  ../web:", '"../web" is not a service name'),
    ("services:", "service:", 'service: no such key; did you mean "services"?'),
    ("services:", "services: []\nx:", "services: found a list; write a mapping"),
    (
        "services:",
        "networks: {x: {external: true}}\nservices:",
        'the external network "x" is not the host\'s',
    ),
    ("services:", "networks: {x: {driver: macvlan}}\nservices:", 'found "macvlan"'),
    ("services:", "volumes: {x: {external: true}}\nservices:", "a fresh host has none"),
    ("services:", "include: [nope.yaml]\nservices:", 'there is no file "nope.yaml"'),
    ("services:", "include: [../nope.yaml]\nservices:", "lies outside"),
    ("services:", "x: &a [*a]\nservices:", "holds itself"),
    ("services:", "x-\u202e: 1\nservices:", "U+202E RIGHT-TO-LEFT OVERRIDE"),
    ("services:", "services: {}\nservices:", "the key is there twice"),
    ("services:", "services: [", "it is not YAML"),
    ("services:", "\x01services:", "it holds U+0001"),
    ("services:", "x: !!python/object:os.system {}\nservices:", "found a tag"),
]


@pytest.mark.parametrize(("old", "new", "expected"), FILES)
def test_files(wrong: Wrong, old: str, new: str, expected: str) -> None:
    found = wrong(WEB.replace(old, new, 1))
    assert expected in found
    assert "shop/compose.yaml:" in found


TWO = WEB + "  two: {image: 'two:1', healthcheck: {test: [CMD, x]}}\n"


@pytest.mark.parametrize(
    ("key", "value", "fix"),
    [
        *((key, "host", "remove it") for key in ("pid", "ipc", "uts", "userns_mode", "cgroup")),
        *((key, "container:shop-db-1", "remove it") for key in ("pid", "ipc", "network_mode")),
        ("pid", "service:three", "remove it, or write one of: service:two"),
        ("pid", "service:web", "remove it, or write one of: service:two"),
        ("pid", "private", "remove it, or write one of: service:two"),
        ("ipc", "Host", "remove it, or write one of: private, shareable, service:two"),
        ("network_mode", "service:two", "remove it"),
        ("uts", "service:two", "remove it"),
        ("pid", "${PID:-container:x}", "remove it"),
    ],
)
def test_nothing_is_shared_beyond_the_stack(wrong: Wrong, key: str, value: str, fix: str) -> None:
    text = TWO.replace("image: web:1", f"image: web:1\n    {key}: '{value}'")
    for reasons in {}, {"web": {"privileged": "it measures the host"}}:
        found = wrong(text, allow=reasons)
        assert f"services.web.{key}: found " in found and fix in found


@pytest.mark.parametrize(
    "line",
    ["pid: service:two", "ipc: service:two", "ipc: private", "ipc: shareable", "cgroup: private", "pid: ''"],
)
def test_what_a_stack_may_share_within_itself(wrong: Wrong, line: str) -> None:
    assert wrong(TWO.replace("image: web:1", f"image: web:1\n    {line}")) == ""


@pytest.mark.parametrize(
    "sysctls", ["{net.ipv6.conf.all.disable_ipv6: 0}", "[net.ipv6.conf.eth0.disable_ipv6=0]"]
)
def test_ipv6_stays_off_inside(wrong: Wrong, sysctls: str) -> None:
    text = WEB.replace("image: web:1", f"image: web:1\n    sysctls: {sysctls}")
    assert "services.web.sysctls: found disable_ipv6 switched off" in wrong(text)
    assert wrong(text.replace("ipv6: 0", "ipv6: 1").replace("ipv6=0", "ipv6=1")) == ""


ONCE = [
    TWO.replace("image: web:1", 'image: web:1\n    restart: "no"'),
    TWO.replace(
        "image: 'two:1'", "image: 'two:1', depends_on: {web: {condition: service_completed_successfully}}"
    ),
]


@pytest.mark.parametrize("text", ONCE)
@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"routes": [ROUTE]}, "routes[0].service"),
        ({"publish": [{"service": "web", "port": 1, "host_port": 1}]}, "publish[0].service"),
    ],
)
def test_nothing_leads_to_what_runs_once(wrong: Wrong, text: str, data: Any, place: str) -> None:
    found = wrong(text, **data)
    assert f'{place}: "web" runs once: ' in found
    assert ("write restart: unless-stopped" in found) == ("restart:" in text)
    assert wrong(text) == "" and wrong(TWO, **data) == ""


def test_the_short_form_needs_a_service_that_stays(wrong: Wrong) -> None:
    text = WEB.replace("image: web:1", 'image: web:1\n    restart: "no"')
    assert 'host: "web" runs once' in wrong(text, host="a.example.com", port=80)


def test_the_same_without_a_mistake(wrong: Wrong) -> None:
    assert wrong(WEB) == ""


@pytest.mark.parametrize("rule", ["privileged", "latest", "docker_socket", "no_health_check"])
def test_a_reason_allows_it(wrong: Wrong, rule: str) -> None:
    text = "services: {web: {image: web, privileged: true, volumes: ['/run/docker.sock:/s']}}"
    reasons = dict.fromkeys(("privileged", "latest", "docker_socket", "no_health_check"), "there is a reason")
    assert wrong(text, allow={"web": reasons}) == ""
    del reasons[rule]
    assert wrong(text, allow={"web": reasons}).count("\n") == 0


def test_a_bomb_is_counted_and_not_built(wrong: Wrong) -> None:
    levels = "".join(f"x-{n}: &x{n} [{','.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, 12))
    assert "grow to more than 50000 values" in wrong("x-0: &x0 [1,1]\n" + levels + WEB)


def test_deep_nesting(wrong: Wrong) -> None:
    assert "nested more than 60 deep" in wrong("x: " + "[" * 5000 + "]" * 5000 + "\n" + WEB)


def test_a_large_file(wrong: Wrong) -> None:
    assert "at most 1048576 bytes" in wrong(WEB + "#" * (1 << 20))


PLACEHOLDERS = [
    "",
    "  ",
    "changeme",
    "CHANGE_ME",
    "change-me!",
    "xxx",
    "xxxxxxxx",
    "todo",
    "secret",
    "password",
    "Password123",
    "<password>",
    "<your password here>",
    "your_password_here",
    "example",
    "example-password",
    "{{ vault }}",
    "${DB_PASSWORD}",
    "12345678",
    "replace_with_a_real_secret",
]


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_placeholders(wrong: Wrong, value: str) -> None:
    found = wrong(WEB.replace("image:", "secrets: [db]\n    image:"), secrets={"db": value})
    assert "secrets.db: found a" in found and "write the real value" in found


@pytest.mark.parametrize(
    "value", ["s3cr3t-but-real", "correct horse battery", "xK9-change-me-not", "-----BEGIN KEY-----\nx"]
)
def test_real_values(wrong: Wrong, value: str) -> None:
    assert wrong(WEB.replace("image:", "secrets: [db]\n    image:"), secrets={"db": value}) == ""


VALUES = [
    "k4nary-5f2e",
    "k4nary5f2e",
    "K4nary 5f2e!",
    "k4nary=5f2e$x",
    "k4nary:5f2e",
    "k4nary/5f2e@x",
    "k4nary\u00fc",
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "place",
    [
        lambda value: {"env": {"A": {"secret": value}}},
        lambda value: {"env": {"A": {value: 1}}},
        lambda value: {"env": {"A": {f"secret:{value}": None}}},
        lambda value: {"env": {f"A:{value}": None}},
        lambda value: {"env": {f"A={value}": ""}},
        lambda value: {"env": f"A={value}"},
        lambda value: {"env": [f"A={value}"]},
        lambda value: {"secrets": value},
        lambda value: {"secrets": [value]},
        lambda value: {"secrets": {f"db:{value}": None}},
        lambda value: {"secrets": {"db": {value: None}}},
        lambda value: {"secrets": {"db": {"value": "x-9", "uid": value}}},
        lambda value: {"secrets": {"db": {"value": [value]}}},
        lambda value: {"env": {"A": {"secret": [value]}}},
        lambda value: {"secrets": {"db": f"example {value}"}},
        lambda value: {f"db_password:{value}": None},
        lambda value: {"platform": {"alerts": value}},
        lambda value: {"platform": {"alerts": {value: None}}},
        lambda value: {"platform": {"alerts": {"channels": value}}},
        lambda value: {"platform": {"alerts": {"channels": [{"url": value}]}}},
        lambda value: {"platform": {"alerts": {"channels": [f"example {value}"]}}},
        lambda value: {"platform": {"backup": value}},
        lambda value: {"platform": {"backup": {value: None}}},
        lambda value: {"platform": {"backup": {"repository": value}}},
        lambda value: {"platform": {"backup": {"repository": f"rest:https://acme:{value}@host/x"}}},
        lambda value: {"platform": {"backup": {"password": [value]}}},
        lambda value: {"platform": {"backup": {"password": f"example {value}"}}},
        lambda value: {"platform": {"backup": {"environment": {f"A={value}": "x"}}}},
        lambda value: {"platform": {"backup": {"environment": {"RESTIC_PASSWORD": value}}}},
    ],
)
def test_a_secret_at_the_wrong_place_is_not_quoted(wrong: Wrong, place: Any, value: str) -> None:
    found = wrong(WEB, **place(value))
    assert found and "4nary" not in found


def test_a_key_beside_secrets_is_named_where_it_has_a_value(wrong: Wrong) -> None:
    """Without one, or with other characters than keys have, it may be a secret that was typed there."""
    for place in ("alerts", "backup"):
        assert f"drover_platform.{place}.channel: no such key" in wrong(WEB, platform={place: {"channel": 5}})
        for given in ({"correcthorse": None}, {"Correcthorse": 1}, {"correcthorse9": 1}):
            found = wrong(WEB, platform={place: given})
            assert f"drover_platform.{place}.…: no such key" in found and "orrecthorse" not in found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("image: web:1", "image: web:1\n    secrets: [k4nary]"),
        ("image: web:1", "image: web:1\n    secrets: ['db:k4nary!']"),
        ("image: web:1", "image: web:1\n    secrets: [{source: db, target: '!k4nary'}]"),
        ("services:", "secrets: {'db:k4nary': }\nservices:"),
        ("services:", "secrets: {'k4nary!': }\nservices:"),
        ("services:", "secrets: {db: k4nary}\nservices:"),
        ("image: web:1", "image: web:1\n    environment: {P: !k4nary x}"),
        ("image: web:1", "image: web:1\n    environment: {P: !k4nary}"),
        ("image: web:1", "image: web:1\n    environment: {P: *k4nary }"),
        ("image: web:1", "image: web:1\n    environment: {'P:k4nary\u00fc': x}"),
    ],
)
def test_a_secret_in_the_file_is_not_quoted(
    wrong: Wrong, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    found = wrong(WEB.replace(old, new, 1))
    assert "compose.yaml:" in found and "k4nary" not in found
    monkeypatch.setattr(document, "_LOADER", yaml.SafeLoader)
    assert "k4nary" not in wrong(WEB.replace(old, new, 1))


def test_a_key_that_no_message_shows_has_its_line() -> None:
    [problem] = shape.problems({"db:k4nary": None}, STACK.keys["secrets"], ("secrets",))
    assert str(*located([problem], {("secrets", "db:k4nary"): ("stacks.yml", 7)})).startswith(
        "stacks.yml:7  secrets.…: this name is not a secret's name"
    )


def test_no_message_holds_a_secret(wrong: Wrong) -> None:
    canary = "k4nary-5f2e"
    two = WEB + "  two:\n    image: web:1\n    labels: {x: 'a ${B}'}\n"
    found = wrong(
        two,
        secrets={"a": canary, "b": {"value": canary, "uids": 1}, "c": [canary], "d": {canary: 1}},
        env={"B": {"secret": "a"}},
        platform={"alerts": {"channels": [canary, 1]}, "x": 1},
    )
    assert found and canary not in found


def test_a_secret_inside_other_text(wrong: Wrong) -> None:
    text = WEB + "    labels: {url: 'x://${PASS}@db'}\n    environment: [PASS]\n"
    found = wrong(text, secrets={"pass": "k4nary"}, env={"PASS": {"secret": "pass"}})
    assert "services.web.labels.url: the secret ${PASS} is part of another text" in found


def test_unread_values(wrong: Wrong) -> None:
    two = WEB + "  two: {image: 'web:1', healthcheck: {test: [CMD, x]}}\n"
    assert "env.A: no service of" in wrong(two, env={"A": "x"})
    assert "secrets.a: no service of" in wrong(two, secrets={"a": "k4nary"})


def test_everything_at_once(wrong: Wrong) -> None:
    found = wrong(WEB.replace("image: web:1", "image: web\n    privileged: true"), rotes=[], version=1)
    assert found.count("\n") >= 1 and "rotes" in found and "version" in found
    found = wrong(WEB.replace("image: web:1", "image: web\n    privileged: true"), rotes=[])
    assert "rotes" in found and "privileged" in found and "fixed tag" in found


def test_between_stacks(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "compose.yaml").write_text(
        WEB + "volumes: {data: {name: common}}\nnetworks: {a: {name: common}}\n"
    )
    port = {"service": "web", "port": 53, "host_port": 53, "protocol": "udp"}
    one = {"name": "one", "compose": "shop", "routes": [ROUTE], "publish": [{**port, "address": "127.0.0.1"}]}
    two = {"name": "two", "compose": "shop", "routes": [ROUTE], "publish": [port]}
    found = "\n".join(map(str, models.validate([one, two, two], {}, [tmp_path, COLLECTION])))
    assert '"a.example.com/" is routed at one.routes[0].host too' in found
    assert "port 53/udp belongs to one.publish[0].host_port too" in found
    assert 'volumes.data: the name "common" belongs to one too' in found
    assert 'networks.a: the name "common" belongs to one too' in found
    assert '"two" is the name of another stack too' in found


def test_ports_of_other_addresses_do_not_clash(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(WEB)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "compose.yaml").write_text(WEB)
    ports = [{"service": "web", "port": 53, "host_port": 53, "address": f"10.0.0.{n}"} for n in (1, 2)]
    assert not models.validate([{"name": "shop", "publish": ports}], {}, [tmp_path, COLLECTION])


@pytest.mark.parametrize(
    "platform",
    [
        {"proxy": {"kind": "caddy"}},
        {"proxi": {}},
        {"client": "Big Corp"},
        {"limits": {"memory": 5}},
        {"alerts": {"channels": ["changeme"]}},
        {"backup": "s3:https://host/bucket"},
        [],
    ],
)
def test_platform(wrong: Wrong, platform: Any) -> None:
    assert ("drover_platform" in wrong(WEB, platform=platform)) == bool(platform)


def test_a_stack_named_proxy(tmp_path: Path) -> None:
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "compose.yaml").write_text(WEB)
    found = models.validate([{"name": "proxy"}], {}, [tmp_path, COLLECTION])
    assert any("the platform's own proxy" in str(problem) for problem in found)


BIND = "image: web:1\n    volumes: ['PATH:/s']"
DEVICE = "volumes: {x: {driver_opts: {type: none, o: bind, device: 'PATH'}}}\nservices:"
NEVER = [
    "/",
    "//",
    "/etc",
    "//etc",
    "///etc/shadow",
    "/mnt/../etc",
    "/proc",
    "/sys",
    "/dev/sda",
    "/root",
    "/boot",
    "/run",
    "/var",
    "/var/run",
    "/var/lib/docker",
    "/usr/local/bin",
    "/opt",
    "/opt/drover",
    "/srv",
    "/srv/stacks",
    "/srv//stacks/b/secrets",
    "/srv/x/../proxy",
    "/srv/proxy/routes",
    "/data",
    "/data/srv",
    "/data/docker/volumes",
    "/swapfile",
]
WITH_A_REASON = [
    "/mnt",
    "/media",
    "/home",
    "/home/a/.ssh",
    "/tmp",
    "/var/tmp",
    "/var/cache",
    "/var/spool",
    "/var/log",
    "/data/x",
    "/mnt/../home",
    "/mntx",
    "/opt/x",
]
OPEN = ["/mnt/x", "//mnt/x", "/media/x/y", "/srv/x", "/srv/stacksx"]
REASON = {"host_path": "there is a reason"}


def placed(form: str, path: str) -> str:
    """WEB with the path as a bind mount, or as the device of a volume that web mounts."""
    if form == BIND:
        return WEB.replace("image: web:1", BIND.replace("PATH", path))
    mounted = WEB.replace("image: web:1", BIND.replace("PATH", "x"))
    return mounted.replace("services:", DEVICE.replace("PATH", path))


@pytest.mark.parametrize("form", [BIND, DEVICE])
@pytest.mark.parametrize("path", NEVER)
def test_no_reason_opens_the_host(wrong: Wrong, form: str, path: str) -> None:
    found = wrong(placed(form, path), allow={"web": {**REASON, "docker_socket": "there is a reason"}})
    assert "belongs to the host" in found and "no reason opens it" in found


@pytest.mark.parametrize("form", [BIND, DEVICE])
@pytest.mark.parametrize("path", WITH_A_REASON)
def test_a_path_of_the_host_needs_a_reason(wrong: Wrong, form: str, path: str) -> None:
    assert 'or write allow: {web: {host_path: "the reason"}}' in wrong(placed(form, path))
    assert wrong(placed(form, path), allow={"web": REASON}) == ""


@pytest.mark.parametrize("form", [BIND, DEVICE])
@pytest.mark.parametrize("path", OPEN)
def test_open_paths(wrong: Wrong, form: str, path: str) -> None:
    assert wrong(placed(form, path)) == ""


@pytest.mark.parametrize("path", ["/run/docker.sock", "//var/run/docker.sock", "/mnt/docker.sock"])
def test_host_path_is_no_reason_for_the_socket(wrong: Wrong, path: str) -> None:
    for form in (BIND, DEVICE):
        assert "is root on the host" in wrong(placed(form, path), allow={"web": REASON})


@pytest.mark.parametrize("path", ["/etc/localtime", "/etc/timezone", "//etc/../etc/timezone"])
def test_harmless_files_are_read_only(wrong: Wrong, path: str) -> None:
    assert wrong(placed(BIND, path).replace(":/s'", ":/s:ro'")) == ""
    assert "add :ro" not in wrong(placed(BIND, "/etc/passwd"))
    assert "belongs to the host; add :ro" in wrong(placed(BIND, path))


def test_every_service_that_mounts_a_device_needs_the_reason(wrong: Wrong) -> None:
    text = placed(DEVICE, "/home") + "  two: {image: 'two:1', healthcheck: {test: [x]}, volumes: ['x:/s']}\n"
    assert "allow: {two: {host_path:" in wrong(text, allow={"web": REASON})
    assert wrong(text, allow={"web": REASON, "two": REASON}) == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("{type: nfs, o: 'addr=10.0.0.1', device: ':/x'}", ""),
        ("{type: cifs, device: '//server/etc'}", ""),
        ("{type: tmpfs, device: tmpfs}", ""),
        ("{type: nfs, o: 'rw, bind', device: /etc}", "belongs to the host"),
        ("{type: nfs, o: rbind, device: etc}", "belongs to the host"),
        ("{device: etc}", "belongs to the host"),
        ("{type: overlay, o: 'lowerdir=/etc', device: overlay}", "mounts a file system of the host"),
        ("{type: ext4, device: /dev/sda1}", "mounts a file system of the host"),
    ],
)
def test_what_a_volume_s_options_mount(wrong: Wrong, options: str, expected: str) -> None:
    text = f"volumes: {{x: {{driver_opts: {options}}}}}\n" + WEB.replace(
        "image: web:1", BIND.replace("PATH", "x")
    )
    found = wrong(text, allow={"web": REASON})
    assert expected in found and bool(found) == bool(expected)


@pytest.mark.parametrize(
    ("line", "key"), [("deploy: {replicas: 0}", "deploy.replicas"), ("scale: 0", "scale")]
)
def test_a_route_to_a_service_without_containers(wrong: Wrong, line: str, key: str) -> None:
    text = WEB + f"    {line}\n"
    assert wrong(text) == ""
    for place, data in (
        ("routes[0].service", {"routes": [ROUTE]}),
        ("host", {"host": "a.example.com", "port": 80}),
    ):
        found = wrong(text, **data)
        assert f"shop.{place}: " in found.replace("drover_stacks[0]", "shop")
        assert f'"web" has {key}: 0' in found and f"write 1 or more for {key}" in found


@pytest.mark.parametrize("path", ["s.env", "./x/../s.env", "deep/s.env"])
def test_an_env_file_is_utf_8(tmp_path: Path, path: str) -> None:
    (tmp_path / "shop" / "deep").mkdir(parents=True)
    text = WEB.replace("image: web:1", f"image: web:1\n    env_file: {path}")
    (tmp_path / "shop" / "compose.yaml").write_text(text)
    for file in "s.env", "deep/s.env":
        (tmp_path / "shop" / file).write_bytes("NAME=M\u00fcller".encode("latin-1"))
    [found] = map(str, models.validate([{"name": "shop"}], {}, [tmp_path, COLLECTION]))
    assert (
        "shop/compose.yaml:4  services.web.env_file[0]: byte 6 of " in found and "save the file as" in found
    )


@pytest.mark.parametrize("path", ["../s.env", "x/../../s.env", "/etc/environment", "~/s.env"])
def test_an_env_file_outside(wrong: Wrong, path: str) -> None:
    found = wrong(
        WEB.replace("image: web:1", f"image: web:1\n    env_file: [a.env, {path}]"), {"a.env": "A=1"}
    )
    assert "services.web.env_file[1]: " in found and "lies outside the stack's folder" in found
    asleep = f"  two: {{image: 'two:1', profiles: [x], env_file: [{path}, nope.env]}}\n"
    found = wrong(WEB + asleep)
    assert "services.two.env_file[0]: " in found and "nope" not in found


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"pids": 0}, "limits.web.pids: 0 is too small; write 1 or more"),
        ({"pids": -1}, "limits.web.pids: -1 is too small; write 1 or more"),
        ({"pids": 10**9}, "write 4194304 or less"),
        ({"cpus": 0}, "limits.web.cpus: 0 is not a number of processors (0.01 or more)"),
        ({"cpus": 0.0}, "is not a number of processors"),
        ({"cpus": "0"}, "is not a number of processors"),
        ({"cpus": "0.001"}, "is not a number of processors"),
        ({"cpus": -1}, "is not a number of processors"),
        ({"cpus": float("nan")}, "is not a number of processors"),
        ({"memory": "0m"}, "is not a size of memory (6m or more)"),
        ({"memory": "5m"}, "is not a size of memory"),
        ({"memory": "999999999999g"}, "is not a size of memory"),
        ({"pids": 1, "cpus": 0.01, "memory": "6m"}, ""),
        ({"cpus": "1.5", "memory": "2gb"}, ""),
    ],
)
def test_nothing_is_no_limit(wrong: Wrong, limits: Any, expected: str) -> None:
    found = wrong(WEB, limits={"web": limits})
    assert expected in found and bool(found) == bool(expected)


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ({"limits": {"pids": 0}}, "drover_platform.limits.pids: 0 is too small; write 1 or more"),
        ({"limits": {"memory": "1k"}}, "is not a size of memory"),
        ({"logs": {"max_files": 0}}, "drover_platform.logs.max_files: 0 is too small; write 1 or more"),
        ({"logs": {"max_files": 10**6}}, "write 1000 or less"),
        ({"logs": {"max_size": "0m"}}, "is not a size"),
        ({"proxy": {"http_port": 0}}, "0 is not a port"),
        ({"logs": {"max_files": 1, "max_size": "1k"}}, ""),
    ],
)
def test_bounds_of_the_platform(wrong: Wrong, platform: Any, expected: str) -> None:
    found = wrong(WEB, platform=platform)
    assert expected in found and bool(found) == bool(expected)


@pytest.mark.parametrize(("uid", "expected"), [(-1, "0 or more"), (2**32, "or less"), (0, "")])
def test_bounds_of_a_user(wrong: Wrong, uid: int, expected: str) -> None:
    found = wrong(WEB, secrets={"db": {"value": "k4nary", "uid": uid}})
    assert expected in found and bool(found) == bool(expected) and str(2**32) not in found


@pytest.mark.parametrize("value", [0, -5, 10**12])
def test_a_variable_may_be_any_number(wrong: Wrong, value: int) -> None:
    assert wrong(WEB, env={"OFFSET": value}) == ""


@pytest.mark.parametrize("key", ["port", "host_port"])
def test_port_0_is_none(wrong: Wrong, key: str) -> None:
    entry = {"service": "web", "port": 80, "host_port": 81, key: 0}
    assert f"publish[0].{key}: 0 is not a port" in wrong(WEB, publish=[entry])


@pytest.mark.parametrize("mode", ["RO", "readonly", "ro,x", "", "ro,"])
def test_an_unknown_mode_of_a_mount(wrong: Wrong, mode: str) -> None:
    found = wrong(WEB.replace("image: web:1", f"image: web:1\n    volumes: ['/mnt/x:/x:{mode}']"))
    assert "services.web.volumes[0]: " in found and "is no mode of a mount" in found
    assert "write one of: ro, rw, nocopy" in found


LONG_MOUNT = "{type: bind, source: ./data, target: /data}"


@pytest.mark.parametrize("mount", ["'./data:/data'", "'./data/:/data:rw'", LONG_MOUNT])
def test_a_folder_with_files_is_configuration_only_when_read_only(wrong: Wrong, mount: str) -> None:
    text = WEB.replace("image: web:1", f"image: web:1\n    volumes: [{mount}]")
    found = wrong(text, {"data/deep/dump.rdb": "left by a run by hand"})
    assert (
        "services.web.volumes[0]: the folder" in found and "holds files and is mounted without :ro" in found
    )
    assert 'write the line "*" into data/.gitignore' in found
    assert wrong(text.replace(mount, "'./data:/data:ro'")) == ""
    assert wrong(text.replace(mount, LONG_MOUNT.replace("}", ", read_only: true}"))) == ""


def test_one_file_may_be_mounted_without_ro(wrong: Wrong) -> None:
    text = WEB.replace("image: web:1", "image: web:1\n    volumes: ['./web.conf:/etc/web.conf']")
    assert wrong(text, {"web.conf": "x"}) == ""


def networks(text: str) -> str:
    return WEB + f"    networks: [x]\nnetworks: {{x: {text}}}\n"


def test_a_network_of_the_file_s_own_is_not_called_public(wrong: Wrong) -> None:
    text = networks("{}").replace("x", "public")
    assert "networks.public: the name stands for the network that the proxy joins" in wrong(text)
    assert wrong(text.replace("{}", "{external: true}")) == ""
    assert wrong(text.replace("public", "front")) == ""


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("{enable_ipv6: true}", "networks.x.enable_ipv6: found an IPv6 network"),
        ("{enable_ipv6: 'true'}", "networks.x.enable_ipv6: found an IPv6 network"),
        (
            "{driver_opts: {com.docker.network.bridge.gateway_mode_ipv6: routed}}",
            "networks.x.driver_opts.com.docker.network.bridge.gateway_mode_ipv6: it would open",
        ),
        (
            "{driver_opts: {com.docker.network.bridge.gateway_mode_ipv4: nat-unprotected}}",
            "gateway_mode_ipv4: it would open",
        ),
        ("{enable_ipv6: false}", ""),
        ("{driver_opts: {com.docker.network.bridge.name: br-x}}", ""),
    ],
)
def test_a_network_that_cannot_be_closed(wrong: Wrong, network: str, expected: str) -> None:
    found = wrong(networks(network))
    assert expected in found and bool(found) == bool(expected)


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("two_public", "the proxy's way to two"),
        ("one_public", "the proxy's way to one"),
        ("two_default", "two"),
        ("proxy_public", "the proxy's way to proxy"),
        ("private", "the host"),
        ("one_default", ""),
        ("two_front", ""),
    ],
)
def test_the_platform_s_network_names(tmp_path: Path, name: str, owner: str) -> None:
    texts = {"one": networks(f"{{name: {name}}}"), "two": WEB}
    for folder, text in texts.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "compose.yaml").write_text(text)
    for order in ("one", "two"), ("two", "one"):
        stacks = [{"name": each, "routes": [ROUTE] if each == "two" else []} for each in order]
        found = "\n".join(map(str, models.validate(stacks, {}, [tmp_path, COLLECTION])))
        assert bool(found) == bool(owner)
        assert not owner or f'networks.x: the name "{name}" belongs to {owner} too' in found


@pytest.mark.parametrize(
    ("service", "more", "key"),
    [
        ("drover-pages", "", "services.drover-pages"),
        ("shop-web-1", "", "services.shop-web-1"),
        ("Shop-Web-2", "", "services.Shop-Web-2"),
        ("x", "hostname: shop-web-12", "services.x.hostname"),
        ("x", "networks: {default: {aliases: [a, shop-web-1]}}", "services.x.networks.default.aliases[1]"),
        ("x", "networks: {default: {aliases: [drover-pages]}}", "services.x.networks.default.aliases[0]"),
        ("web-1", "", ""),
        ("shop-db-1", "", ""),  # shop has no service db
        ("shop-web", "hostname: shop-web-one", ""),
        ("two-x-1", "container_name: shop-web-1", ""),  # dropped on a host
    ],
)
def test_name_of_another_stack_s_container(tmp_path: Path, service: str, more: str, key: str) -> None:
    """On its public network the proxy would find it by that name, and send it the other's requests."""
    texts = {"shop": WEB, "two": WEB.replace("  web:", f"  {service}:") + (f"    {more}\n" if more else "")}
    for folder, text in texts.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "compose.yaml").write_text(text)
    for order in ("shop", "two"), ("two", "shop"):
        found = [
            str(each)
            for each in models.validate([{"name": name} for name in order], {}, [tmp_path, COLLECTION])
        ]
        assert len(found) == bool(key)
        assert not key or (
            f"  {key}: " in found[0] and "write another name" in found[0] and "two/compose.yaml:" in found[0]
        )
