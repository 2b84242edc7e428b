# GPL-3.0-or-later
"""`drover_aws`: what the client has in AWS."""

from __future__ import annotations

from ..key import boolean, choice, many, number, parts, text, unquoted

INSTANCE = parts(
    "One instance, by its name and generation.",
    name=text("Its name across generations.", "group", required=True, example="web"),
    role=text("What it is for: a group of the inventory.", "group", required=True, example="app"),
    generation=number(
        "Which instance of that name it is. Left out, the one in service: a rebuild counts on.", most=999_999
    ),
    type=text("The instance type.", "instance type", default="t3.small", example="t3.small"),
    image=parts(
        "The machine image: the newest of that owner and name.",
        owner=text("The owner's account; Debian's, if left out.", "account", default="136693071363"),
        name=text("The name, `*` for any text.", default="debian-13-amd64-*"),
    ),
    disk_gigabytes=number("The size of its encrypted disk.", least=8, most=16_384, default=20, example=30),
    subnet=text("Its subnet; else the first of `private_subnets`.", "subnet"),
    target_groups=many(
        "Target groups that send it requests, by their names below `target_group/`.",
        items=text("A name.", "foundation name"),
        example=["web"],
    ),
    address=text(
        "An elastic address of its own, by its name below `address/`: it goes along to the next instance.",
        "foundation name",
    ),
    records=many(
        "Records of Route 53 that lead to it, for 60 s each: to its elastic or public address, else the "
        "private one.",
        items=parts(
            "A record.",
            name=text("The host name.", "host", required=True),
            zone=text("The zone that it is in.", "host", required=True),
            private=boolean("Whether the zone is private: then to the private address.", default=False),
        ),
    ),
    user_data=text("What cloud-init runs at its first boot.", secret=True),
)

LIFECYCLE = choice("Which part it begins with: a rebuild launches a standby.", "active", "standby")

AWS = parts(
    "What the client has in AWS; left out where hosts are no instances.",
    account=text(
        "Whose instances these may be; credentials of another account are refused.",
        "account",
        required=True,
        example="123456789012",
    ),
    region=text("The region.", "region", required=True, example="eu-central-1"),
    foundation=text(
        "A path of the Parameter Store. Below it your Terraform says `private_subnets` and `security_groups` "
        "(lists with commas), `instance_profile`, `key_name`, `target_group/NAME` with an ARN, "
        "and `address/NAME` with an elastic address. A launch needs it.",
        "parameters",
        example="/acme/production",
    ),
    connection=unquoted(
        parts(
            "An emulator, if it is none of AWS's own: there AWS_PROFILE or your SSO session counts, for "
            "modules, lookups and the inventory alike.",
            endpoint_url=text("Its address.", secret=True),
            access_key=text("A key.", secret=True),
            secret_key=text("Its secret.", secret=True),
        )
    ),
    keep_days=number(
        "Days for which a rebuild keeps the instance that it replaced, stopped.",
        default=3,
        most=90,
        example=3,
    ),
    wait=boolean(
        "Whether a launch waits for SSH at the private address; not over a tailnet or SSM.", default=True
    ),
    hosts=many("What `playbooks/aws.yml` launches.", items=INSTANCE),
)
