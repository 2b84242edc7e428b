# GPL-3.0-or-later
"""Where backups go, when they are made and verified, and how long they stay."""

from __future__ import annotations

from ..key import Key, many, named, number, optional, parts, text, unquoted


def _kept(about: str, default: int) -> Key:
    return number(about, least=0, most=1000, default=default, example=default)


def _when(about: str, default: str) -> Key:
    return text(f"{about}, as systemd's OnCalendar.", "calendar", default=default, example=default)


BACKUP = unquoted(
    parts(
        "Backups of every database, volume and folder of data. Without `repository` there are none.",
        repository=text(
            "Where they go, as restic writes it; Drover adds /CLIENT/ENVIRONMENT/HOST.",
            "repository",
            secret=True,
            example="s3:https://s3.eu-central-1.amazonaws.com/acme-backup",
        ),
        password=text(
            "The repository's key, from a lookup or a vault. Without it nobody reads a backup: keep it "
            "where the host is not.",
            secret=True,
            example="{{ lookup('ansible.builtin.env', 'BACKUP_PASSWORD') }}",
        ),
        environment=optional(
            named(
                "What restic needs to reach a repository that is not in AWS. There the instance's own role "
                "counts, and no key lies on the host.",
                names="env",
                items=text("Its value, from a lookup or a vault.", secret=True),
                secret=True,
                example={"RESTIC_REST_PASSWORD": "{{ lookup('ansible.builtin.env', 'REST_PASSWORD') }}"},
            )
        ),
        schedule=_when("When backups are made", "*-*-* 04/6:20:00"),
        verify=_when("When the newest ones are restored on the side and compared", "*-*-* 23:20:00"),
        retention=_when("When backups go that `keep` does not keep", "Sun *-*-* 03:10:00"),
        keep=parts(
            "How many stay.",
            hourly=_kept("One of each hour.", 24),
            daily=_kept("One of each day.", 7),
            weekly=_kept("One of each week.", 5),
            monthly=_kept("One of each month.", 12),
        ),
        max_age_hours=number(
            "Hours without a verified backup after which `drover status` is not well.",
            most=10_000,
            default=26,
            example=26,
        ),
        reserve=text(
            "What stays free on the disk while a backup is verified or restored.",
            "size",
            default="2g",
            example="2g",
        ),
        safety_days=number(
            "Days that the data which a restore replaced is kept.", most=365, default=7, example=7
        ),
    )
)

PROGRAM = {
    "host": text("What the host is called in the repository: the same name after it was made anew."),
    "verifies": many(
        "Other hosts of this client and environment, by their `backup_host`, whose backups this host "
        "restores and compares, beside its own.",
        items=text("The host.", "logical host"),
    ),
    "verified_by": text(
        "The host that does so for this one, which then restores no snapshot itself and reads its verdicts "
        "at 02:50; `max_age_hours` is five more."
    ),
    "restic_version": text("The version of restic to have; a newer one is left alone."),
    "restic": text(
        "Where restic comes from: an address, or a file on the controller, relative to the inventory. "
        "Left out, upstream's release."
    ),
    "restic_checksum": text("The checksum of what is fetched, or the address of a list of checksums."),
}
