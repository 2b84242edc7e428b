"""How modules call AWS; no call is made."""

from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible_collections.drover.platform.plugins.doc_fragments.aws import ModuleDocFragment
from ansible_collections.drover.platform.plugins.module_utils import aws, recovery
from ansible_collections.drover.platform.plugins.module_utils.errors import HostError
from ansible_collections.drover.platform.plugins.modules import bucket_recover, journal

CONNECTION = {
    "region": "eu-central-1",
    "endpoint_url": "http://127.0.0.1:9",
    "access_key": "key",
    "secret_key": "secret",
}


def test_the_options_that_are_described_are_those_that_are_taken():
    described = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert {name: each["type"] for name, each in described.items()} == {
        name: each["type"] for name, each in aws.arguments().items()
    }


@pytest.mark.parametrize(
    ("module", "service", "config"),
    [
        (journal, "ssm", {"connect_timeout": 10, "read_timeout": 20, "max_pool_connections": 10}),
        (bucket_recover, "s3", {"connect_timeout": 60, "max_pool_connections": recovery.THREADS}),
    ],
)
def test_a_client_is_made_of_the_options(module: ModuleType, service: str, config: dict[str, Any]):
    made = module.client(CONNECTION)
    meta, keys = made.meta, made._request_signer._credentials
    assert (meta.service_model.service_name, meta.region_name) == (service, "eu-central-1")
    assert (meta.endpoint_url, keys.access_key, keys.secret_key) == ("http://127.0.0.1:9", "key", "secret")
    assert {name: getattr(meta.config, name) for name in config} == config
    assert (meta.config.retries["mode"], meta.config.retries["total_max_attempts"]) == ("standard", 9)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aws, "boto3", None)
    with pytest.raises(HostError, match="boto3"):
        aws.client("ssm", CONNECTION)
