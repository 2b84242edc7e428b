"""The log cap holds whatever the stack file says, and on containers that existed before."""

from __future__ import annotations

from shared.scenario import Scenario, containers, service
from testinfra.host import Host

CAP = 30 * 1000**2  # drover_platform.logs: three files of 10 MB


def test_two_gigabytes_to_stdout_grow_the_disk_by_the_cap(host: Host) -> None:
    """The stack file names only json-file, which would drop every limit of the daemon."""

    def used() -> int:
        return int(host.check_output("du -sb /var/lib/docker/containers").split()[0])

    name, before = service(host, "people", "web"), used()
    line = "$(head -c 8000 /dev/zero | tr '\\0' x)"  # short lines would cost the engine minutes
    host.check_output(f'docker exec {name} sh -c "yes {line} | head -c 2000000000 > /proc/1/fd/1"')
    assert used() - before <= 1.2 * CAP
    seen = f"docker logs --tail 100 {name} 2>&1 | grep -c xxxx"  # beside what the health check leaves
    assert int(host.check_output(seen)) > 0, "it was logged"


def test_containers_that_existed_before(scenario: Scenario, host: Host) -> None:
    """Somebody ran the stack by hand from the client's file, without the platform's override."""
    host.check_output(
        "cd /srv/stacks/people/current && docker compose down && docker compose -f docker-compose.yml up -d"
    )
    assert containers(host, "people")["people-frontend"]["HostConfig"]["LogConfig"]["Type"] == "json-file"
    scenario.converge("--tags", "stacks")
    for container in containers(host, "people").values():
        assert container["HostConfig"]["LogConfig"]["Config"]["max-size"]
