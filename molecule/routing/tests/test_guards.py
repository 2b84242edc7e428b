"""Who gets in."""

from __future__ import annotations

import base64

import pytest
from testinfra.host import Host

from .wire import ANNA, CLIENT, PASSWORD, Balancer, elsewhere

AROUND = [
    *("/{w}", "/{w}/", "/{W}", "/{W}/x", "//{w}", "/./{w}", "/x/../{w}", "/x/..//{w}", "/{h}", "/%2e/{w}"),
    *("/x/%2e%2e/{w}", "/x/%2E%2E/{W}", "/%2f{w}", "/{w}%2f", "/{w}%2Fx", "/x%2f..%2f{w}", "/x/..%2f{w}"),
    *(
        "/x/..%5c{w}",
        "/%5c{w}",
        "/{w}%5cx",
        "/\\{w}",
        "/{w}\\x",
        "/x\\..\\{w}",
        "/{w};",
        "/{w};x=1",
        "/{w};/x",
    ),
    *("/;/{w}", "/x/..;/{w}", "/{w}/..;/{w}", "/{w}%3b", "/{w}%3fx", "/{w}%23x", "/{w}%00", "/{w}%252f"),
    *("/{w}/../{w}", "/{w}/.", "/{w}/./x", "/{w}/x/..", "/x/../../{w}", "/{W}%2f..%2f{W}"),
]


def test_allowed_addresses_alone_get_in(balancer: Balancer, host: Host) -> None:
    allowed = "198.51.100.7"
    assert balancer.status("guard.test.example", "/office/x", client=allowed) == 200
    assert balancer.status("guard.test.example", "/office/x", client=CLIENT) == 403
    assert balancer.status("guard.test.example", "/office", client=f"{allowed}, {CLIENT}") == 403
    assert elsewhere(host, "guard.test.example", "/office", f"-H 'X-Forwarded-For: {allowed}'")[0] == 403


def test_password_is_asked_and_goes_no_further(balancer: Balancer, host: Host, proxy: str) -> None:
    assert balancer.ask("guard.test.example", "/admin").headers["WWW-Authenticate"].startswith("Basic")
    wrong = {"Authorization": "Basic " + base64.b64encode(b"anna:wrong").decode()}
    assert balancer.status("guard.test.example", "/admin", headers=wrong) == 401
    found = balancer.ask("guard.test.example", "/admin", headers=ANNA)
    assert found.status == 200 and "Authorization" not in found.seen["headers"]
    said = host.check_output(f"docker logs {proxy} 2>&1; cat /srv/proxy/routes/*; docker inspect {proxy}")
    assert PASSWORD not in said and "$apr1$" not in said and "$2y$" not in said
    modes = host.check_output("stat -c '%a %u %n' /srv/proxy/users /srv/proxy/users/*").splitlines()
    assert modes == ["700 65532 /srv/proxy/users", "600 65532 /srv/proxy/users/web.staff"]


@pytest.mark.parametrize("guarded", ["admin", "office"])
def test_no_spelling_leads_around_a_guard(balancer: Balancer, guarded: str) -> None:
    encoded = f"%{ord(guarded[0]):x}{guarded[1:]}"
    for written in AROUND:
        path = written.format(w=guarded, W=guarded.upper(), h=encoded)
        found = balancer.ask("guard.test.example", path, client=CLIENT)
        assert found.status in (400, 401, 403, 404), f"{path}: {found.status} {found.body[:200]!r}"
    assert balancer.status("guard.test.example", "/x/y?p=/../;", client=CLIENT) == 200
