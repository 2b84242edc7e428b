"""HAProxy's configuration for what a load balancer's listeners, rules and groups say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from localcloud import elb, proxy
from localcloud.elb import Balancer, Group, Listener, Target

CHECK = {
    "Protocol": "HTTP",
    "HealthCheckProtocol": "HTTP",
    "HealthCheckPath": "/up",
    "HealthCheckIntervalSeconds": 5,
    "HealthCheckTimeoutSeconds": 2,
    "HealthyThresholdCount": 3,
    "UnhealthyThresholdCount": 2,
    "Matcher": {"HttpCode": "200-299, 301"},
}
WEB = Group("arn:web", "web", CHECK, False, 60, 5, (Target("i-1", "10.0.0.9", 80),))
API = replace(WEB, arn="arn:api", name="api")
FORWARD = {"Type": "forward", "TargetGroupArn": "arn:web"}
DEFAULT: dict[str, Any] = {"Conditions": [], "Actions": [FORWARD]}


def rule(action: dict[str, Any], **conditions: list[str]) -> dict[str, Any]:
    found = [{"Field": name.replace("_", "-"), "Values": values} for name, values in conditions.items()]
    return {"Conditions": found, "Actions": [action]}


def balancer(*rules: dict[str, Any], **listener: Any) -> Balancer:
    plain = Listener(80, False, (), rules or (DEFAULT,))
    groups = {each.arn: each for each in (WEB, API)}
    return Balancer("front", "front.example", "vpc", "subnet", 60, (replace(plain, **listener),), groups)


def lines(*rules: dict[str, Any], **listener: Any) -> list[str]:
    return [line.strip() for line in proxy.configuration(balancer(*rules, **listener)).splitlines()]


def with_group(group: Group) -> str:
    return proxy.configuration(replace(balancer(), groups={group.arn: group}))


# --- listeners


def test_a_plain_listener():
    said = lines()
    assert "bind :80" in said
    assert "http-request set-header X-Forwarded-Proto http" in said


def test_a_secure_listener_has_a_file_for_each_certificate():
    names = (("a.example", "b.example"), ("c.example",))
    [bind] = [line for line in lines(port=443, secure=True, certificates=names) if line.startswith("bind")]
    files = [proxy.certificate_file(each) for each in names]
    assert bind.startswith("bind :443 ssl ")
    assert [word.rpartition("/")[2] for word in bind.split() if word.endswith(".pem")] == files
    assert len(set(files)) == 2


def test_a_certificate_for_other_names_is_another_file():
    assert proxy.certificate_file(["a", "b"]) != proxy.certificate_file(["a"])
    assert "/" not in proxy.certificate_file(["*.example/../x"])


# --- rules


def test_rules_are_tried_in_order_before_anything_is_done():
    """HAProxy answers and redirects before it forwards, wherever the lines stand."""
    answer = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    said = lines(rule(FORWARD, path_pattern=["/a"]), rule(answer))
    choices = [line for line in said if "set-var(txn.rule)" in line]
    assert choices == [
        "http-request set-var(txn.rule) int(0) if !{ var(txn.rule) -m found } r0_0",
        "http-request set-var(txn.rule) int(1) if !{ var(txn.rule) -m found }",
    ]
    assert "use_backend web if { var(txn.rule) -m int 0 }" in said
    assert "http-request return status 404 if { var(txn.rule) -m int 1 }" in said


def test_all_conditions_of_a_rule_have_to_fit():
    said = lines(rule(FORWARD, host_header=["a.example"], path_pattern=["/x"]))
    assert [line.partition(" if ")[2] for line in said if "int(0)" in line] == [
        "!{ var(txn.rule) -m found } r0_0 r0_1"
    ]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"host_header": ["a.example", "*.b"]}, r"hdr(host),field(1,:) -m reg -i '^a\.example$' '^.*\.b$'"),
        ({"path_pattern": ["/img/*"]}, "path -m reg '^/img/.*$'"),
        ({"path_pattern": ["/v?"]}, "path -m reg '^/v.$'"),
        ({"path_pattern": ["/it's"]}, r"path -m reg '^/it'\''s$'"),
        ({"path_pattern": ["/(x|y) #$Z"]}, r"path -m reg '^/\(x\|y\)\ \#\$Z$'"),
        ({"http_request_method": ["GET", "HEAD"]}, "method GET HEAD"),
        ({"source_ip": ["10.0.0.0/8"]}, "src 10.0.0.0/8"),
        ({"what_is_new": ["x"]}, "always_false"),
    ],
)
def test_conditions(condition: dict[str, list[str]], said: str):
    assert f"acl r0_0 {said}" in lines(rule(FORWARD, **condition))


def test_a_condition_may_have_its_values_in_its_own_form():
    found = {
        "Field": "http-header",
        "HttpHeaderConfig": {"HttpHeaderName": "X-Kind", "Values": ["a*"]},
    }
    assert "acl r0_0 req.fhdr(X-Kind) -m reg -i '^a.*$'" in lines(
        {"Conditions": [found], "Actions": [FORWARD]}
    )


def test_a_condition_on_the_query():
    values = [{"Key": "v", "Value": "1.*"}, {"Value": "it's"}]
    found = {"Field": "query-string", "QueryStringConfig": {"Values": values}}
    assert r"acl r0_0 query -m reg -i '(^|&)v=1\.[^&=]*(&|$)' '(^|&)[^&=]*=it'\''s(&|$)'" in lines(
        {"Conditions": [found], "Actions": [FORWARD]}
    )


def redirect(**found: str) -> str:
    action = {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", **found}}
    [said] = [line for line in lines(rule(action)) if line.startswith("http-request redirect")]
    return said.removeprefix("http-request redirect location ").partition(" if ")[0]


HOST, QUERY = "%[hdr(host),field(1,:)]", proxy.QUERY


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"Protocol": "HTTPS", "Port": "443"}, f"'https://{HOST}%[path]{QUERY}' code 301"),
        ({"Protocol": "HTTPS", "Port": "8443"}, f"'https://{HOST}:8443%[path]{QUERY}' code 301"),
        (
            {"Host": "x.example", "Path": "/new/#{path}", "Query": "", "Port": "80", "Protocol": "HTTP"},
            "'http://x.example/new%[path]' code 301",
        ),
        (
            {"Protocol": "HTTPS", "Port": "443", "Path": "/a%20b", "Query": "q=it's&#{query}"},
            rf"'https://{HOST}/a%%20b?q=it'\''s&%[query]' code 301",
        ),
    ],
)
def test_redirects(found: dict[str, str], said: str):
    assert redirect(**found) == said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"StatusCode": "404"}, "status 404"),
        ({"StatusCode": "404", "MessageBody": ""}, "status 404"),
        ({"StatusCode": "200", "MessageBody": "ok"}, "status 200 content-type text/plain string 'ok'"),
        (
            {"StatusCode": "200", "ContentType": "text/html", "MessageBody": "it's\nso"},
            r"status 200 content-type text/html string 'it'\''s'\n'so'",
        ),
    ],
)
def test_fixed_answers(found: dict[str, str], said: str):
    action = {"Type": "fixed-response", "FixedResponseConfig": found}
    assert f"http-request return {said} if {{ var(txn.rule) -m int 0 }}" in lines(rule(action))


# --- groups


def test_of_several_groups_with_weights_the_heaviest_is_used():
    weights = [{"TargetGroupArn": "arn:web", "Weight": 1}, {"TargetGroupArn": "arn:api", "Weight": 9}]
    found = balancer(rule({"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}))
    assert [group.name for group in found.used()] == ["api"]
    assert elb.weighs(found)
    assert not elb.weighs(balancer())


def test_a_group_that_two_rules_use_is_there_once():
    said = lines(rule(FORWARD, path_pattern=["/a"]), DEFAULT)
    assert said.count("backend web") == 1
    assert "backend api" not in said


def test_a_group_that_is_gone_takes_nothing_along():
    assert not [line for line in lines(rule({**FORWARD, "TargetGroupArn": "arn:gone"})) if "backend" in line]


def test_the_health_check_is_the_groups():
    said = with_group(WEB)
    assert "  option httpchk GET /up\n" in said
    assert "  http-check expect status 200-299,301\n" in said
    assert "  timeout check 2s\n" in said
    [server] = [line for line in said.splitlines() if line.startswith("  server ")]
    assert server == "  server i-1_80 10.0.0.9:80 check inter 5s fastinter 1s downinter 1s rise 3 fall 2"


@pytest.mark.parametrize(
    ("check", "more"),
    [
        ({}, ""),
        ({"Protocol": "HTTPS"}, " ssl verify none"),
        ({"HealthCheckProtocol": "HTTPS"}, " check-ssl verify none"),
        ({"Protocol": "HTTPS", "HealthCheckProtocol": "HTTPS"}, " ssl check-ssl verify none"),
    ],
)
def test_servers_of_the_file_and_those_added_later_have_the_same_options(check: dict[str, str], more: str):
    group = replace(WEB, check={**CHECK, **check})
    assert proxy.options(group).endswith(f"fall 2{more}")
    assert f"10.0.0.9:80 {proxy.options(group)}\n" in with_group(group)


def test_a_check_has_a_port_of_its_own_or_the_targets():
    assert " port " not in proxy.options(replace(WEB, check={**CHECK, "HealthCheckPort": "traffic-port"}))
    assert "check port 9000 " in proxy.options(replace(WEB, check={**CHECK, "HealthCheckPort": "9000"}))


def test_a_tcp_check_asks_for_no_page():
    assert "httpchk" not in with_group(replace(WEB, check={**CHECK, "HealthCheckProtocol": "TCP"}))


def test_stickiness():
    said = with_group(replace(WEB, sticky=True, sticky_seconds=90))
    [cookie] = [line for line in said.splitlines() if line.startswith("  cookie ")]
    assert cookie.startswith("  cookie AWSALB insert ")
    assert " maxlife 90s " in cookie
    assert "cookie" not in with_group(WEB)


# --- what a reload is needed for


def test_the_structure_is_without_servers():
    fewer = replace(WEB, targets=())
    moved = replace(WEB, targets=(Target("i-2", "10.0.0.10", 8080), *WEB.targets))
    texts = [with_group(each) for each in (WEB, fewer, moved)]
    assert len(set(texts)) == 3
    assert len({proxy.structure(text) for text in texts}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"sticky": True},
        {"check": {**CHECK, "HealthCheckPath": "/other"}},
    ],
)
def test_the_structure_is_everything_else(change: dict[str, Any]):
    assert proxy.structure(with_group(WEB)) != proxy.structure(with_group(replace(WEB, **change)))
    assert proxy.structure(with_group(WEB))


# --- health


def row(check: str, status: str, **more: str) -> dict[str, str]:
    return {
        "check_status": check,
        "status": status,
        "check_code": "",
        "check_desc": "",
        "last_chk": "",
        **more,
    }


@pytest.mark.parametrize(
    ("found", "state", "reason"),
    [
        (row("INI", "UP 1/3"), "initial", "Elb.InitialHealthChecking"),
        (row("* INI", "DOWN"), "initial", "Elb.InitialHealthChecking"),
        (row("", "no check"), "initial", "Elb.InitialHealthChecking"),
        (row("L7OK", "UP"), "healthy", ""),
        (row("* L7OK", "UP"), "healthy", ""),
        (row("L7STS", "UP 1/2"), "healthy", ""),
        (row("L7STS", "DOWN", check_code="500"), "unhealthy", "Target.ResponseCodeMismatch"),
        (row("* L7STS", "DOWN", check_code="500"), "unhealthy", "Target.ResponseCodeMismatch"),
        (row("L4TOUT", "DOWN"), "unhealthy", "Target.Timeout"),
        (row("* L7TOUT", "DOWN"), "unhealthy", "Target.Timeout"),
        (
            row("L4CON", "DOWN", check_desc="Layer4 connection problem"),
            "unhealthy",
            "Target.FailedHealthChecks",
        ),
    ],
)
def test_health_in_the_words_of_aws(found: dict[str, str], state: str, reason: str):
    assert proxy.state(found, draining=False)[:2] == (state, reason)
    assert proxy.state(found, draining=True)[:2] == ("draining", "Target.DeregistrationInProgress")


def test_health_says_what_the_check_found():
    assert "[500]" in proxy.state(row("L7STS", "DOWN", check_code="500"), False)[2]
    assert "refused" in proxy.state(row("L4CON", "DOWN", last_chk="refused"), False)[2]
