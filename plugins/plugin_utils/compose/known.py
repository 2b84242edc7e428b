# GPL-3.0-or-later
"""The keys that the oldest supported Compose (2.26.1) knows, and the newer ones it would refuse."""

from __future__ import annotations

OLDEST = "2.26.1"

TOP = frozenset({"name", "version", "services", "networks", "volumes", "secrets", "configs", "include"})

SERVICE = frozenset(
    """
    annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs
    container_name cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime
    cpu_shares cpus cpuset credential_spec depends_on deploy develop device_cgroup_rules devices dns
    dns_opt dns_search domainname entrypoint env_file environment expose extends external_links
    extra_hosts group_add healthcheck hostname image init ipc isolation labels links logging
    mac_address mem_limit mem_reservation mem_swappiness memswap_limit network_mode networks
    oom_kill_disable oom_score_adj pid pids_limit platform ports privileged profiles pull_policy
    read_only restart runtime scale secrets security_opt shm_size stdin_open stop_grace_period
    stop_signal storage_opt sysctls tmpfs tty ulimits user userns_mode uts volumes volumes_from
    working_dir
    """.split()  # noqa: SIM905
)

NEWER = frozenset(
    "gpus label_file models post_start pre_stop provider pull_refresh_after use_api_socket".split()  # noqa: SIM905
)
