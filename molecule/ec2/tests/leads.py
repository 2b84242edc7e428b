"""What leads requests to the host beside the load balancer, by what EC2 and Route 53 have written down."""

from __future__ import annotations

from localcloud import cloud


def led() -> set[str]:
    """The instances that the elastic address and the record lead to."""
    ec2, route53 = cloud.client("ec2"), cloud.client("route53")
    own = {"Filters": [{"Name": "tag:Name", "Values": ["acme-web"]}]}
    found = {str(each.get("InstanceId", "none")) for each in ec2.describe_addresses(**own)["Addresses"]}
    (zone,) = (
        each["Id"] for each in route53.list_hosted_zones()["HostedZones"] if each["Name"] == "acme.internal."
    )
    records = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    named = [each["ResourceRecords"] for each in records if each["Name"] == "web.acme.internal."]
    for address in (value["Value"] for each in named for value in each):
        where = [
            {"Name": "private-ip-address", "Values": [address]},
            {"Name": "instance-state-name", "Values": ["running"]},  # one that is gone had it before
        ]
        groups = ec2.describe_instances(Filters=where)["Reservations"]
        found |= {each["InstanceId"] for group in groups for each in group["Instances"]} or {address}
    return found if named else found | {"no record"}
