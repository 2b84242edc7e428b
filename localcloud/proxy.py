"""HAProxy as an application load balancer: its configuration from listeners, rules and groups. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from localcloud.elb import Balancer, Group, Listener, Target, group_of

FOLDER = "/run/localcloud/balancers"
# What HAProxy says of a check that failed → AWS's reason.
TIMEOUTS = ("L4TOUT", "L6TOUT", "L7TOUT")
QUERY = r'%[query,regsub("^(.)","?\1")]'  # the request's query with its question mark, if it has one


def certificate_file(names: Sequence[str]) -> str:
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:16] + ".pem"


def configuration(balancer: Balancer) -> str:
    """Return the whole configuration, servers included."""
    lines: list[str] = []
    for listener in balancer.listeners:
        lines += _frontend(balancer, listener)
    for group in balancer.used():
        lines += _backend(group)
    lines = [*_settings(balancer), *lines]
    return "\n".join(["global", f"  description {_mark(lines)}", *lines]) + "\n"


def structure(text: str) -> str:
    """Return the mark of a configuration without its servers, which change without a reload.

    The running proxy says it too, as its description.
    """
    return text.partition("  description ")[2].partition("\n")[0]


def _mark(lines: Iterable[str]) -> str:
    fixed = "\n".join(line for line in lines if not line.startswith("  server "))
    return hashlib.sha256(fixed.encode()).hexdigest()[:16]


def _settings(balancer: Balancer) -> Iterator[str]:
    yield f"  stats socket {FOLDER}/{balancer.name}/admin.sock mode 600 level admin"
    yield "  log stdout format raw local0 warning"
    yield "  maxconn 2000"
    yield "defaults"
    yield "  mode http"
    yield "  log global"
    yield "  timeout connect 10s"
    yield f"  timeout client {balancer.idle}s"
    yield f"  timeout server {balancer.idle}s"
    yield f"  timeout http-keep-alive {balancer.idle}s"
    yield "  timeout tunnel 1h"
    yield "  option forwardfor"
    yield "  retries 0"  # AWS asks no second target; a lost request is to be seen


def _frontend(balancer: Balancer, listener: Listener) -> Iterator[str]:
    yield f"frontend listener_{listener.port}"
    files = [f"{FOLDER}/{balancer.name}/{certificate_file(names)}" for names in listener.certificates]
    secure = " ssl alpn h2,http/1.1" + "".join(f" crt {file}" for file in files) if listener.secure else ""
    yield f"  bind :{listener.port}{secure}"
    yield f"  http-request set-header X-Forwarded-Proto {'https' if listener.secure else 'http'}"
    yield f"  http-request set-header X-Forwarded-Port {listener.port}"
    yield "  http-request set-header X-Amzn-Trace-Id Root=%[uuid]"
    for number, rule in enumerate(listener.rules):
        yield from _choice(number, rule)
    actions = [
        line
        for number, rule in enumerate(listener.rules)
        for line in _action(balancer, rule["Actions"][-1], f" if {{ var(txn.rule) -m int {number} }}")
    ]
    yield from sorted(actions, key=lambda line: "use_backend" in line.split()[0])


def _choice(number: int, rule: Mapping[str, Any]) -> Iterator[str]:
    """Choose the first rule that fits before anything is done: HAProxy would redirect before it forwards."""
    conditions = rule.get("Conditions", [])
    names = [f"r{number}_{index}" for index, _ in enumerate(conditions)]
    for name, condition in zip(names, conditions, strict=True):
        yield f"  acl {name} {_condition(condition)}"
    fits = " ".join(["!{ var(txn.rule) -m found }", *names])
    yield f"  http-request set-var(txn.rule) int({number}) if {fits}"


def _condition(found: Mapping[str, Any]) -> str:
    kind = found["Field"]
    values: list[Any] = found.get("Values") or next(
        (found[key]["Values"] for key in found if key.endswith("Config") and "Values" in found[key]), []
    )
    if kind == "query-string":
        return f"query -m reg -i {' '.join(_parameter(value) for value in values)}"
    patterns = " ".join(_pattern(str(value)) for value in values)
    if kind == "host-header":
        return f"hdr(host),field(1,:) -m reg -i {patterns}"
    if kind == "path-pattern":
        return f"path -m reg {patterns}"
    if kind == "http-header":
        return f"req.fhdr({found['HttpHeaderConfig']['HttpHeaderName']}) -m reg -i {patterns}"
    if kind == "http-request-method":
        return f"method {' '.join(values)}"
    if kind == "source-ip":
        return f"src {' '.join(values)}"
    return "always_false"  # what AWS may think of one day


def _pattern(text: str) -> str:
    """Translate * and ? of a rule to an expression that HAProxy takes as one word."""
    return _word(f"^{_expression(text, '.')}$")


def _parameter(found: Mapping[str, str]) -> str:
    """Translate a parameter of the query, which has any name if none is given."""
    name, value = (_expression(found.get(key, "*"), "[^&=]") for key in ("Key", "Value"))
    return _word(f"(^|&){name}={value}(&|$)")


def _expression(text: str, sign: str) -> str:
    return re.escape(text).replace(r"\*", f"{sign}*").replace(r"\?", sign)


def _action(balancer: Balancer, action: Mapping[str, Any], condition: str) -> Iterator[str]:
    if action["Type"] == "forward":
        group = balancer.groups.get(group_of(action))
        if group:
            yield f"  use_backend {group.name}{condition}"
    elif action["Type"] == "redirect":
        yield f"  http-request redirect {_redirect(action['RedirectConfig'])}{condition}"
    elif action["Type"] == "fixed-response":
        yield f"  http-request return {_answer(action['FixedResponseConfig'])}{condition}"


def _answer(found: Mapping[str, Any]) -> str:
    body, kind = str(found.get("MessageBody") or ""), found.get("ContentType") or "text/plain"
    return f"status {found['StatusCode']}" + (f" content-type {kind} string {_word(body)}" if body else "")


def _word(text: str) -> str:
    """Quote any text as one word of the configuration."""
    for sign, written in {"'": r"\'", "\n": r"\n", "\r": r"\r"}.items():
        text = text.replace(sign, f"'{written}'")
    return f"'{text}'"


def _redirect(found: Mapping[str, Any]) -> str:
    parts = {
        "protocol": found.get("Protocol", "#{protocol}").lower(),
        "host": found.get("Host", "#{host}"),
        "port": found.get("Port", "#{port}"),
        "path": found.get("Path", "/#{path}"),
        "query": found.get("Query", "#{query}"),
    }
    known = {
        "#{protocol}": "%[ssl_fc,iif(https,http)]",
        "#{host}": "%[hdr(host),field(1,:)]",
        "#{port}": "%[dst_port]",
        "/#{path}": "%[path]",
        "#{query}": "%[query]",
    }
    for key, value in parts.items():
        value = value.replace("%", "%%")
        for sign, expression in known.items():
            value = value.replace(sign, expression)
        parts[key] = value
    usual = {"https": "443", "http": "80"}.get(parts["protocol"])
    port = "" if parts["port"] == usual else f":{parts['port']}"
    query = (
        f"?{parts['query']}" if parts["query"] not in ("", known["#{query}"]) else parts["query"] and QUERY
    )
    where = _word(f"{parts['protocol']}://{parts['host']}{port}{parts['path']}{query}")
    return f"location {where} code {str(found['StatusCode']).removeprefix('HTTP_')}"


def _backend(group: Group) -> Iterator[str]:
    check = group.check
    yield f"backend {group.name}"
    yield "  balance roundrobin"
    if group.sticky:
        life = f"maxlife {group.sticky_seconds}s"
        yield f"  cookie AWSALB insert indirect nocache httponly {life} dynamic"
        yield f"  dynamic-cookie-key {group.name}"
    if check["HealthCheckProtocol"] != "TCP":
        yield f"  option httpchk GET {check.get('HealthCheckPath', '/')}"
        yield f"  http-check expect status {_codes(check.get('Matcher', {}).get('HttpCode', '200'))}"
    yield f"  timeout check {check.get('HealthCheckTimeoutSeconds', 5)}s"
    for target in group.targets:
        yield f"  server {target.server} {address(target)} {options(group)}"


def _codes(text: str) -> str:
    """AWS writes 200-299,301; so does HAProxy."""
    return text.replace(" ", "")


def address(target: Target) -> str:
    return f"{target.address}:{target.port}"


def options(group: Group) -> str:
    """Return a server's options, as the file and `add server` take them."""
    check = group.check
    port = check.get("HealthCheckPort", "traffic-port")
    where = "" if port == "traffic-port" else f" port {port}"
    rise, fall = check.get("HealthyThresholdCount", 5), check.get("UnhealthyThresholdCount", 2)
    every = check.get("HealthCheckIntervalSeconds", 30)
    tls = " ssl" if check.get("Protocol") == "HTTPS" else ""
    tls += " check-ssl" if check.get("HealthCheckProtocol") == "HTTPS" else ""
    tls += " verify none" if tls else ""
    return f"check{where} inter {every}s fastinter 1s downinter 1s rise {rise} fall {fall}{tls}"


def state(row: Mapping[str, str], draining: bool) -> tuple[str, str, str]:
    """Translate a row of `show stat` to AWS's state, reason and description."""
    if draining:
        return "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"
    check = row["check_status"].removeprefix("* ")  # a check is under way; this is what the last one found
    if check in ("", "INI"):
        return "initial", "Elb.InitialHealthChecking", "Initial health checks in progress"
    if row["status"].startswith("UP"):
        return "healthy", "", ""
    if check in TIMEOUTS:
        return "unhealthy", "Target.Timeout", "Request timed out"
    if check == "L7STS":
        said = f"Health checks failed with these codes: [{row['check_code']}]"
        return "unhealthy", "Target.ResponseCodeMismatch", said
    return (
        "unhealthy",
        "Target.FailedHealthChecks",
        f"Health checks failed: {row['check_desc'] or row['last_chk']}",
    )
