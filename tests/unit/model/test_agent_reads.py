# GPL-3.0-or-later
"""Whatever the model accepts, the agent reads: their forms are written twice, on two machines."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.drover.platform.plugins.plugin_utils import model as models
from ansible_collections.drover.platform.plugins.plugin_utils import release
from ansible_collections.drover.platform.plugins.plugin_utils.compose.parse import NAMES
from ansible_collections.drover.platform.plugins.plugin_utils.derive import networks
from ansible_collections.drover.platform.plugins.plugin_utils.forms import FORMS, mistake
from drover import proxy
from drover.release import Manifest, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

COLLECTION = Path(__file__).resolve().parents[3] / "compose"
QUIET = settings(max_examples=150, suppress_health_check=list(HealthCheck))
PRINTABLE = [chr(code) for code in range(32, 127)]


def read_by_the_agent(compose: dict[str, Any], file: str = NAMES[0], **data: Any) -> Manifest | None:
    """What the agent makes of the stack; None where the model refuses it."""
    stack = {"name": "shop", "allow": {}, **data}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "shop").mkdir()
        (Path(folder) / "shop" / file).write_text(yaml.safe_dump(compose))
        found = models.load([{**stack, "compose": "shop"}], {}, [Path(folder), COLLECTION])
        if found.problems:
            return None
        manifest = read(release.build(found.stacks[0]).manifest)
    names = {route.service: [f"{manifest.stack}-{route.service}-1"] for route in manifest.routes}
    if manifest.routes:
        assert proxy.mark(proxy.render(manifest, names))
    return manifest


def web(name: str = "web", **more: Any) -> dict[str, Any]:
    return {"services": {name: {"image": "web:1", "healthcheck": {"test": ["CMD", "x"]}, **more}}}


def route(**more: Any) -> list[dict[str, Any]]:
    return [{"host": "a.example.com", "service": "web", "port": 80, **more}]


def in_form(form: str) -> st.SearchStrategy[str]:
    """Texts of the form, every printable character tried at every place of its example."""
    example = FORMS[form].example
    pieces = st.lists(st.sampled_from([*PRINTABLE, example, example[:3], ".."]), max_size=6).map("".join)
    cut = st.integers(0, len(example))
    made = st.builds(lambda at, piece: example[:at] + piece + example[at:], cut, pieces)
    return made.filter(lambda text: mistake(form, text) is None)


@QUIET
@given(in_form("name"))
def test_no_stack_s_network_sorts_before_the_proxy_s(name: str) -> None:
    assert f"{name}_public" > networks.FIRST_NAME or name.startswith("0-"), "Docker would move its ports"


@QUIET
@given(in_form("name"))
def test_stack_names(name: str) -> None:
    found = read_by_the_agent(web(), name=name)
    assert found and found.stack == name


@QUIET
@given(in_form("service"))
def test_service_names(name: str) -> None:
    found = read_by_the_agent(web(name), routes=route(service=name))
    assert found and found.routes[0].service == name


@QUIET
@given(in_form("host"))
def test_hosts(host: str) -> None:
    found = read_by_the_agent(web(), routes=route(host=host))
    assert found and found.routes[0].host == host.lower()


@QUIET
@given(in_form("path"), in_form("probe"))
def test_paths(path: str, probe: str) -> None:
    found = read_by_the_agent(web(), routes=route(path=path, health=probe))
    assert found and (found.routes[0].path, found.routes[0].health) == (path, probe)


IMAGE = st.lists(
    st.sampled_from(
        ["web", "reg.example.com:5000", "/", ":", ".", "_", "-", "__", "A", "1", "@sha256:", "0" * 64]
    ),
    max_size=8,
).map("".join)


@QUIET
@given(st.builds("web{}:1{}".format, IMAGE, IMAGE) | IMAGE)
def test_images_of_the_file(image: str) -> None:
    found = read_by_the_agent(web(image=image))
    assert found is None or found.services["web"].image == image


@pytest.mark.parametrize(
    "image",
    ["web:1", "reg.example.com:5000/a/b_c:V_2.x-y", f"a/b@sha256:{'0' * 64}", f"a:1@sha256:{'0' * 64}"],
)
def test_usual_images(image: str) -> None:
    found = read_by_the_agent(web(image=image))
    assert found and found.services["web"].image == image


@QUIET
@given(in_form("image"), in_form("version"))
def test_images_of_the_data(image: str, version: str) -> None:
    found = read_by_the_agent(web(image="${IMAGE}:${VERSION}"), image=image, version=version)
    assert found is None or found.services["web"].image == f"{image}:{version}"


@QUIET
@given(in_form("secret"), in_form("secret"))
def test_secret_files(name: str, target: str) -> None:
    compose = web(secrets=[{"source": name, "target": target}])
    found = read_by_the_agent(compose, secrets={name: "k4nary"})
    assert found and found.services["web"].secrets == {target}


@QUIET
@given(
    st.text([*PRINTABLE, "\n", "\t", "\u00fc", "\u2028"], max_size=8),
    st.sampled_from(["a", "../a", "a/..", ""]),
)
def test_folders_of_data(text: str, more: str) -> None:
    """`../a` and the like stay within the stack's folder, or are refused."""
    mount = {"type": "bind", "source": f"./{text}/{more}", "target": "/data"}
    found = read_by_the_agent(web(volumes=[mount]))
    assert found is None or len(found.data_folders) == 1


@QUIET
@given(
    st.text([*PRINTABLE, "\n", "\u00fc"], max_size=8),
    st.sampled_from(["/data", "/", "x", "/a\nb"]),
    st.sampled_from(["/kept/", "/var/lib/postgresql/", "/var/lib/"]),
)
def test_backups(text: str, target: str, path: str) -> None:
    """Names of volumes, folders and paths in a container that the model takes are the agent's too."""
    mounts = [f"kept:{path}{target}", {"type": "bind", "source": f"./f/{text}", "target": f"/data{target}"}]
    service = {"image": "postgres:17.5", "volumes": mounts}
    compose = {"services": {"db": service}, "volumes": {"kept": {"name": text} if text else None}}
    found = read_by_the_agent(compose)
    assert found is None or found.backups


@QUIET
@given(st.integers(-1, 2**33) | st.sampled_from([0, 2**32 - 2, 2**32 - 1]), st.booleans())
def test_users(uid: int, in_file: bool) -> None:
    secret = {"value": "k4nary"} if in_file else {"value": "k4nary", "uid": uid}
    entry = {"source": "db", **({"uid": str(uid)} if in_file else {})}
    found = read_by_the_agent(web(secrets=[entry]), secrets={"db": secret})
    assert found is None or found.services["web"].uid in (uid, None)
    assert found or not 0 <= uid < 2**32 - 1


@pytest.mark.parametrize("replicas", [0, 1, 1000, 1001, 10**12, "\u00b2", "x"])
def test_replicas(replicas: object) -> None:
    found = read_by_the_agent(web(deploy={"replicas": replicas}))
    assert (found is not None) == (replicas in (0, 1, 1000))
    assert found is None or found.services["web"].replicas == replicas


@pytest.mark.parametrize("file", NAMES)
def test_file_names(file: str) -> None:
    found = read_by_the_agent(web(), file)
    assert found and found.file == file


@QUIET
@given(
    in_form("probe"),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.text([*PRINTABLE, "\n", "\0", "\u2028"], max_size=8),
    st.integers(-1, 2**64),
)
def test_smoke_tests(path: str, query: str, answer: str, number: int) -> None:
    mount = ["db:/var/lib/postgresql"]
    compose = web(image="postgres:17.5", volumes=mount) | {"volumes": {"db": None}}
    asked = {"database": "web", "name": answer, "query": query}
    tests = [{"host": "a.example.com", "path": path, "contains": answer}, {"service": "web", "port": 80}]
    for wanted in ({"answer": answer}, {"at_least": number}):
        found = read_by_the_agent(compose, routes=route(), smoke=[*tests, {**asked, **wanted}])
        assert found is None or len(found.smoke) == 3


@pytest.mark.parametrize("port", [1, 65535])
def test_ports(port: int) -> None:
    found = read_by_the_agent(web(), routes=route(port=port, health="/up"))
    assert found and found.services["web"].health == (port, "/up")
