# GPL-3.0-or-later
"""Certificates: asked for when they are due, told of when something is wrong, led to when they are there."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from docker_model import Place, runs_by
from drover import certificates, cli, finish, issuing, proxy, routes, tls
from drover.certificates import State as Found
from drover.certificates import states
from drover.docker import observe
from drover.host import Host
from drover.layout import Layout
from drover.release import Manifest, Proxy
from drover.route import Route
from drover.run import DroverError, Result
from drover.state import State
from drover.tls import Acme, Given, Tls
from drover.wishes import load

DAY = 86400
ACME = Acme("https://acme.example/dir", "ops@acme.example", "http")
ISSUED = f"acme/{ACME.issuer}"
SHOP = Route("shop.example", "/", "web", 80, None, https=True, redirect_from=("www.shop.example",))


class Machine:
    """certbot and openssl; a certificate is a line with its two times."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.asked, self.fails = layout, [], ""
        self.lifetime, self.missing = 90 * DAY, False

    def __call__(self, command: list[str], **_: Any) -> Result:
        if command[0] == "openssl":
            path = Path(command[-1])
            if not path.exists():
                return Result(1, "", "no such file")
            begin, end = json.loads(path.read_text().splitlines()[0])
            return Result(0, f"notBefore={_said(begin)}\nnotAfter={_said(end)}\n", "")
        assert command[0] == "certbot", command
        if self.missing:
            return Result(127, "", "certbot is not installed")
        said = dict(each.split("=", 1) for each in command if "=" in each)
        folder = Path(said["--config-dir"])
        Path(said["--logs-dir"]).mkdir(parents=True)
        name = next(each for each in command if each.startswith("--domain=")).partition("=")[2]
        self.asked.append(name)
        if self.fails:
            return Result(1, f"Saving debug log to /x\n{self.fails}", "")
        live = folder / "live" / name
        live.mkdir(parents=True, exist_ok=True)
        now = time.time()
        (live / "fullchain.pem").write_text(json.dumps([now, now + self.lifetime]) + "\n")
        (live / "privkey.pem").write_text("key\n")
        renewal = folder / "renewal"
        renewal.mkdir(parents=True, exist_ok=True)
        (renewal / f"{name}.conf").touch()
        return Result(0, "", "")


def _said(moment: float) -> str:
    return time.strftime("%b %d %H:%M:%S %Y GMT", time.gmtime(moment))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    layout = Layout(tmp_path)
    for folder in (layout.certificates / ISSUED, layout.certificates / "given", layout.acme):
        folder.mkdir(parents=True)
    layout.state.parent.mkdir(parents=True, exist_ok=True)
    return Machine(layout)


@pytest.fixture
def host(machine: Machine) -> Host:
    return Host(machine.layout, machine, State(machine.layout.state), lambda text: None)


def wishes(settings: Tls | None, *routes: Route) -> dict[str, Manifest]:
    own = Manifest("proxy", proxy=Proxy(tls=settings))
    return {"proxy": own, "shop": Manifest("shop", routes=routes or (SHOP,))}


def follow(
    host: Host, wishes: dict[str, Manifest], insist: bool = False
) -> tuple[frozenset[str], list[Found]]:
    """As the verb does it."""
    new = certificates.obtain(host, wishes, None, insist)
    found = states(host, wishes)
    certificates.tell(host, found)
    return new, found


def put(machine: Machine, file: str, begin: float, end: float) -> None:
    now = time.time()
    (machine.layout.certificates / file).write_text(json.dumps([now + begin * DAY, now + end * DAY]))


def problems(host: Host, settings: Tls) -> dict[str, str]:
    return {each.name: each.problem for each in states(host, wishes(settings))}


def test_every_name_gets_one_and_is_asked_for_once(machine: Machine, host: Host) -> None:
    new, found = follow(host, wishes(Tls(ACME)))
    assert new == {"shop"} and machine.asked == ["shop.example", "www.shop.example"]
    assert not any(each.problem for each in found) and {each.source for each in found} == {"acme"}
    landed = machine.layout.certificates / ISSUED / "shop.example.pem"
    assert landed.read_text().endswith("key\n") and landed.stat().st_mode & 0o777 == 0o600
    assert follow(host, wishes(Tls(ACME)))[0] == frozenset() and len(machine.asked) == 2


def test_plain_route_and_a_given_certificate_ask_nobody(machine: Machine, host: Host) -> None:
    put(machine, "given/a.pem", -1, 60)
    settings = Tls(ACME, (Given("a.pem", ("shop.example", "*.shop.example")),))
    plain = Route("plain.example", "/", "web", 80, None, plain=True)
    new, found = follow(host, wishes(settings, SHOP, plain))
    assert not new and not machine.asked
    assert {each.name for each in found} == {"shop.example", "www.shop.example"}
    assert {each.source for each in found} == {"given"}


@pytest.mark.parametrize(("left", "asked"), [(31, False), (29, True), (-1, True)])
def test_a_new_one_is_asked_for_in_the_last_third(
    machine: Machine, host: Host, left: int, asked: bool
) -> None:
    for name in SHOP.names:
        put(machine, f"{ISSUED}/{name}.pem", left - 90, left)
    follow(host, wishes(Tls(ACME)))
    assert bool(machine.asked) == asked


def test_failure_is_told_and_not_repeated_at_once(machine: Machine, host: Host) -> None:
    machine.fails = "  Domain: shop.example\n  Detail: no such\t name\nHint: try\nAsk for help or search"
    new, found = follow(host, wishes(Tls(ACME)))
    assert not new and all(each.problem.startswith("no certificate: no such name (at ") for each in found)
    assert not (machine.layout.run / "certbot").exists(), "certbot's log has keys in it"
    ((body,),) = host.state.db.execute("SELECT body FROM events").fetchall()
    assert [line.split()[0] for line in body.splitlines()] == [f"{name}:" for name in SHOP.names]
    machine.asked.clear()
    follow(host, wishes(Tls(ACME)))
    assert not machine.asked
    machine.fails = ""
    new, found = follow(host, wishes(Tls(ACME)), insist=True)
    assert new == {"shop"} and not any(each.problem for each in found)


def test_what_a_killed_run_has_got_already_is_not_asked_for_again(machine: Machine, host: Host) -> None:
    follow(host, wishes(Tls(ACME)))
    (machine.layout.certificates / ISSUED / "shop.example.pem").unlink()
    assert follow(host, wishes(Tls(ACME)))[0] == {"shop"} and len(machine.asked) == 2


def test_another_issuer_is_asked_anew(machine: Machine, host: Host) -> None:
    follow(host, wishes(Tls(ACME._replace(server="https://staging.example/dir"))))
    new, found = follow(host, wishes(Tls(ACME)))
    assert new == {"shop"} and len(machine.asked) == 4 and not any(each.problem for each in found)


def test_given_wildcard_goes_before_what_was_issued(machine: Machine) -> None:
    put(machine, f"{ISSUED}/shop.example.pem", -1, 60)
    put(machine, "given/a.pem", -1, 60)
    known = tls.known(machine.layout, Tls(ACME, (Given("a.pem", ("*.example",)),)))
    found = tls.covering(known, "shop.example")
    assert found and found.file == "given/a.pem"


def test_failing_issuer_is_left_alone_for_the_rest_of_the_round(
    machine: Machine, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "ROUND", 0.0)
    follow(host, wishes(Tls(ACME)))
    assert not machine.asked


def test_missing_certbot_says_what_to_do(
    machine: Machine, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "missing", True)
    found = follow(host, wishes(Tls(ACME)))[1]
    assert all("converge with the tag agent" in each.problem for each in found)


def test_routes_are_led_anew_when_the_proxy_begins_or_ceases_to_end_tls(machine: Machine) -> None:
    layout = machine.layout
    layout.routes.mkdir()
    shop = Manifest("shop", routes=(SHOP,), proxy=Proxy(tls=Tls(ACME)))
    (layout.routes / "shop.yml").write_text(proxy.render(shop, {"web": ["shop-web-1"]}))
    assert routes.outdated(layout, "shop"), "no proxy of this host ends TLS"
    plain = shop._replace(proxy=Proxy())
    (layout.routes / "shop.yml").write_text(proxy.render(plain, {"web": ["shop-web-1"]}))
    assert not routes.outdated(layout, "shop")


def test_routes_are_led_anew_when_there_is_another_certificate(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of a stack that left the inventory, which nobody tells anything."""
    machine.layout.routes.mkdir()
    one, next_one = (tls.Certificate("given/shop.pem", age) for age in (1, 2))
    found = Proxy(tls=Tls(), certificates={"shop.example": one, "other.example": one})
    monkeypatch.setattr(routes.wishes, "proxy", lambda layout: found)
    text = proxy.render(Manifest("shop", routes=(SHOP,), proxy=found), {"web": ["shop-web-1"]})
    (machine.layout.routes / "shop.yml").write_text(text)
    assert not routes.outdated(machine.layout, "shop")
    found.certificates["other.example"] = next_one  # type: ignore[index]
    assert not routes.outdated(machine.layout, "shop")
    found.certificates["shop.example"] = next_one  # type: ignore[index]
    assert routes.outdated(machine.layout, "shop")


ROUTE = {"host": "shop.example", "path": "/", "service": "web", "port": 80, "health": None}
ONE, NEXT = (tls.Certificate("given/shop.pem", age) for age in (1, 2))


@pytest.fixture
def shop(here: Place, fast: None, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A stack whose route names a certificate of yesterday; beside it one starts that nobody leads to."""
    known = {"shop.example": ONE}
    monkeypatch.setattr(routes.wishes, "proxy", lambda *_: Proxy(tls=Tls(), certificates=known))
    here.write("shop", {"web": {"image": "web:1", "public": True}}, routes=[ROUTE])
    assert not here.apply().errors
    known["shop.example"] = NEXT
    box = here.docker.named("shop-web-1")
    here.docker.boxes["2" * 64] = dataclasses.replace(box, identity="2" * 64, name="shop-web-2", number=2)
    return here


def test_new_certificate_leads_to_nobody_who_was_not_found_well(shop: Place) -> None:
    certificates.lead(shop.host(), ["shop"])
    file = (shop.layout.routes / "shop.yml").read_text()
    assert not routes.outdated(shop.layout, "shop") and "shop-web-1:80" in file and "shop-web-2" not in file


def test_what_a_run_that_was_cut_off_did_not_lead_to_is_led_to_by_the_next(
    shop: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stack by itself: one that fails is told of and holds up none that comes after it."""
    blog = {**ROUTE, "host": "blog.example"}
    shop.write("blog", {"web": {"image": "web:1", "public": True}}, routes=[blog])
    assert not shop.apply().errors
    routes.wishes.proxy(shop.layout).certificates["blog.example"] = ONE  # type: ignore[index]
    real = routes.again
    monkeypatch.setattr(
        routes, "again", lambda layout, name: "broken" if name == "blog" else real(layout, name)
    )
    runs_by(monkeypatch, shop.docker)
    with pytest.raises(DroverError, match=r"^blog: its route was not written"):
        certificates.attend(shop.layout, 1.0, print)
    assert routes.outdated(shop.layout, "blog") and not routes.outdated(shop.layout, "shop")
    monkeypatch.setattr(routes, "again", real)
    certificates.attend(shop.layout, 1.0, print)
    assert not routes.outdated(shop.layout, "blog")


def test_other_kind_of_proxy_leads_where_the_route_led(shop: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither to one that starts, nor by a release that is on its way."""
    other = shop.write("shop", {"web": {"image": "web:2"}}, routes=[{**ROUTE, "host": "next.example"}])
    monkeypatch.setattr(routes.wishes, "proxy", lambda *_: Proxy("nginx"))
    finish.connect(shop.host(), [load(shop.layout, "shop", other)], observe(shop.docker))
    file = (shop.layout.routes / "shop.conf").read_text()
    assert "server shop-web-1:80" in file and "shop-web-2" not in file
    assert "shop.example" in file and "next.example" not in file
    assert not (shop.layout.routes / "shop.yml").exists()


def test_failure_of_long_ago_is_tried_again(machine: Machine, host: Host) -> None:
    machine.fails = "no"
    follow(host, wishes(Tls(ACME)))
    for path in machine.layout.acme.glob("*/*.failed"):
        os.utime(path, (0, time.time() - issuing.PATIENCE - 1))
    machine.asked.clear()
    follow(host, wishes(Tls(ACME)))
    assert len(machine.asked) == 2


def test_what_is_wrong_with_each(machine: Machine, host: Host) -> None:
    given = Tls(None, (Given("a.pem", ("shop.example",)), Given("b.pem", ("www.shop.example",))))
    put(machine, "given/a.pem", -80, 10)
    put(machine, "given/b.pem", -80, -1)
    assert problems(host, given) == {
        "shop.example": "its certificate ends in 10 days",
        "www.shop.example": "its certificate has expired",
    }
    assert set(problems(host, Tls()).values()) == {"no certificate: none of the given ones is for it"}
    put(machine, f"{ISSUED}/shop.example.pem", -80, 10)
    put(machine, f"{ISSUED}/www.shop.example.pem", -80, 20)
    assert problems(host, Tls(ACME)) == {
        "shop.example": "its certificate ends in 10 days: no new one was asked for",
        "www.shop.example": "",
    }


def test_short_lived_ones_are_not_always_late(machine: Machine, host: Host) -> None:
    machine.lifetime = 6 * DAY
    assert not any(each.problem for each in follow(host, wishes(Tls(ACME)))[1])


def test_given_one_that_left_the_inventory_goes_once_no_route_names_it(machine: Machine, host: Host) -> None:
    put(machine, "given/old.pem", -1, 60)
    put(machine, "given/new.pem", -1, 60)
    machine.layout.routes.mkdir()
    route = machine.layout.routes / "shop.conf"
    route.write_text("ssl_certificate /srv/proxy/certificates/given/old.pem;")
    for left in (2, 1):
        follow(host, wishes(Tls(None, (Given("new.pem", SHOP.names),))))
        assert len(list((machine.layout.certificates / "given").iterdir())) == left
        route.write_text("")


def test_without_tls_nothing_is_asked_or_said(machine: Machine, host: Host) -> None:
    assert follow(host, wishes(None)) == (frozenset(), [])
    assert "nothing to certify" in certificates.table([])


@pytest.mark.parametrize("kind", ["traefik", "nginx"])
def test_nobody_is_sent_to_tls_before_there_is_a_certificate(machine: Machine, host: Host, kind: str) -> None:
    def text() -> str:
        found = tls.known(machine.layout, Tls(ACME))
        settings = Proxy(kind, tls=Tls(ACME), certificates=found)
        return proxy.render(Manifest("shop", routes=(SHOP,), proxy=settings), {"web": ["shop-web-1"]})

    sends = {"traefik": "redirectScheme", "nginx": "return 308 https://$host"}[kind]
    before = text()
    assert sends not in before and f"{ISSUED}/shop.example.pem" not in before
    follow(host, wishes(Tls(ACME)))
    after = text()
    assert sends in after and f"/srv/proxy/certificates/{ISSUED}/shop.example.pem" in after
    os.utime(machine.layout.certificates / ISSUED / "shop.example.pem", (0, 1000))
    assert proxy.mark(text()) != proxy.mark(after), "a renewed one has the proxy look again"


def test_verb_on_a_host_without_tls_and_a_warning_where_something_is_in_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Layout(tmp_path).state.parent.mkdir(parents=True)
    assert cli.main(["--root", str(tmp_path), "certificates"]) == 0
    assert "nothing to certify" in capsys.readouterr().out
    monkeypatch.setattr(certificates, "obtain", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    assert certificates.warnings(Layout(tmp_path), 1.0, print, None) == ("certificates: disk full",)
