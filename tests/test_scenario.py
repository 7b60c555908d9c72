"""The authoring interface: what a scenario's author may write, and what goes wrong in which words."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import ScenarioError
from harness.model import CLOUDTRAIL, SERVER_ACCESS, CellKey
from harness.scenario import (
    Records,
    Scenario,
    StoredObject,
    all_exclusions,
    all_scenarios,
    configuration,
    exclusion,
    fixture,
    method_of,
    prepared,
    register,
    scenario,
)

pytestmark = pytest.mark.usefixtures("empty_registry")


class Client:
    """Takes any client method and notes it."""

    def __init__(self) -> None:
        self.made: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda **parameters: self.made.append((name, parameters))


def run(cell_operation: str, variant: str = "ok", s3: Any = None) -> list[tuple[str, dict[str, Any]]]:
    """Run a registered scenario in bare surroundings; returns the calls, those under test as ``call``."""
    client = s3 or Client()
    surroundings: Any = SimpleNamespace(s3=client, bucket="bucket", account_id="111122223333", clock=None)
    each = all_scenarios()[CellKey(operation=cell_operation, variant=variant)]
    with prepared(each, surroundings, lambda **parameters: client.made.append(("call", parameters))) as go:
        go()
    return client.made


def test_a_scenario_is_registered_under_its_operation_and_variant() -> None:
    @scenario("PutObject", variant="denied", requires=["torrent"])
    def put_denied(call: Any, bucket: str) -> None:
        call(Bucket=bucket)

    (cell,) = all_scenarios()
    each = all_scenarios()[cell]
    assert (cell.operation, cell.variant, str(cell)) == ("PutObject", "denied", "PutObject[denied]")
    assert each.needs == ("call", "bucket")
    assert each.requires == {"torrent"}
    assert each.iam == ("s3:PutObject",)
    assert each.records == Records()


def test_declaring_a_scenario_leaves_the_function_as_it_was() -> None:
    def plain() -> None: ...

    assert scenario("PutObject")(plain) is plain


def test_two_scenarios_for_one_cell_are_refused_and_the_message_says_what_to_do() -> None:
    register(Scenario(operation="PutObject", run=lambda: None))
    with pytest.raises(ScenarioError, match=r"PutObject\[ok\] has two scenarios.*another variant"):
        register(Scenario(operation="PutObject", run=lambda: None))
    register(Scenario(operation="PutObject", run=lambda: None, variant="denied"))
    assert len(all_scenarios()) == 2


def test_an_exclusion_needs_a_reason() -> None:
    with pytest.raises(ScenarioError, match="exclusion of GetObjectTorrent needs a reason"):
        exclusion("GetObjectTorrent", "")
    exclusion("GetObjectTorrent", "retired")
    assert all_exclusions() == {"GetObjectTorrent": "retired"}


def test_parameters_are_resolved_by_name_through_fixtures_of_fixtures() -> None:
    @fixture
    def key(bucket: str) -> str:
        return f"{bucket}/key"

    @fixture
    def stored(key: str) -> str:
        return f"stored {key}"

    @scenario("GetObject")
    def get_object(call: Any, stored: str, key: str) -> None:
        call(Key=key, Stored=stored)

    assert run("GetObject") == [("call", {"Key": "bucket/key", "Stored": "stored bucket/key"})]


def test_a_fixture_is_made_once_per_execution_however_many_ask_for_it() -> None:
    made = []

    @fixture
    def base() -> int:
        made.append("base")
        return len(made)

    @fixture
    def first(base: int) -> int:
        return base

    @fixture
    def second(base: int) -> int:
        return base

    @scenario("GetObject")
    def get_object(call: Any, first: int, second: int) -> None:
        call(First=first, Second=second)

    assert run("GetObject") == [("call", {"First": 1, "Second": 1})]
    assert run("GetObject") == [("call", {"First": 2, "Second": 2})]


def declare_two_fixtures(log: list[str]) -> None:
    @fixture
    def outer() -> Iterator[str]:
        log.append("make outer")
        yield "outer"
        log.append("clean outer")

    @fixture
    def inner(outer: str) -> Iterator[str]:
        log.append("make inner")
        yield f"{outer}.inner"
        log.append("clean inner")


def test_fixtures_clean_up_in_the_reverse_order() -> None:
    log: list[str] = []
    declare_two_fixtures(log)

    @scenario("GetObject")
    def get_object(call: Any, inner: str) -> None:
        log.append(f"call with {inner}")

    run("GetObject")
    assert log == ["make outer", "make inner", "call with outer.inner", "clean inner", "clean outer"]


def test_fixtures_clean_up_when_the_scenario_fails() -> None:
    log: list[str] = []
    declare_two_fixtures(log)

    @scenario("GetObject")
    def get_object(call: Any, inner: str) -> None:
        raise RuntimeError("the call went wrong")

    with pytest.raises(RuntimeError, match="the call went wrong"):
        run("GetObject")
    assert log == ["make outer", "make inner", "clean inner", "clean outer"]


def test_what_was_made_is_cleaned_up_when_a_later_fixture_fails() -> None:
    log: list[str] = []
    declare_two_fixtures(log)

    @fixture
    def broken(inner: str) -> str:
        raise RuntimeError("cannot make it")

    @scenario("GetObject")
    def get_object(call: Any, broken: str) -> None: ...

    with pytest.raises(RuntimeError, match="cannot make it"):
        run("GetObject")
    assert log[-2:] == ["clean inner", "clean outer"]


def test_a_clean_up_that_fails_does_not_keep_the_others_from_cleaning_up() -> None:
    log: list[str] = []
    declare_two_fixtures(log)

    @fixture
    def messy(inner: str) -> Iterator[str]:
        yield "messy"
        raise RuntimeError("cannot clean")

    @scenario("GetObject")
    def get_object(call: Any, messy: str) -> None: ...

    with pytest.raises(RuntimeError, match="cannot clean"):
        run("GetObject")
    assert log[-2:] == ["clean inner", "clean outer"]


def test_a_clean_up_that_fails_does_not_hide_the_scenarios_own_failure() -> None:
    @fixture
    def messy() -> Iterator[str]:
        yield "messy"
        raise RuntimeError("cannot clean")

    @scenario("GetObject")
    def get_object(call: Any, messy: str) -> None:
        raise RuntimeError("the call went wrong")

    with pytest.raises(RuntimeError, match="the call went wrong"):
        run("GetObject")


def test_an_unknown_parameter_is_an_error_that_names_it_and_what_there_is() -> None:
    @fixture
    def stored_object() -> None: ...

    @scenario("GetObject")
    def get_object(call: Any, stored_objekt: Any) -> None: ...

    with pytest.raises(ScenarioError) as caught:
        run("GetObject")
    message = str(caught.value)
    assert "GetObject[ok] asks for 'stored_objekt'" in message
    assert all(name in message for name in ("stored_object,", "bucket", "call", "s3", "clock", "account_id"))


def test_a_configuration_family_becomes_put_get_and_delete() -> None:
    value = {"CORSConfiguration": {"CORSRules": []}}
    configuration("BucketCors", put=value)
    assert [cell.operation for cell in all_scenarios()] == ["PutBucketCors", "GetBucketCors", "DeleteBucketCors"]
    named = {"Bucket": "bucket"}
    assert run("PutBucketCors") == [("call", named | value), ("delete_bucket_cors", named)]
    assert run("GetBucketCors") == [
        ("put_bucket_cors", named | value),
        ("call", named),
        ("delete_bucket_cors", named),
    ]
    assert run("DeleteBucketCors")[:2] == [("put_bucket_cors", named | value), ("call", named)]


def test_a_family_with_identifiers_lists_without_and_deletes_with_the_identifier() -> None:
    value = {"Id": "m1", "MetricsConfiguration": {"Id": "m1"}}
    configuration("BucketMetricsConfiguration", put=value, identifier="Id")
    assert "ListBucketMetricsConfigurations" in {cell.operation for cell in all_scenarios()}
    named = {"Bucket": "bucket", "Id": "m1"}
    assert run("GetBucketMetricsConfiguration")[1] == ("call", named)
    assert run("ListBucketMetricsConfigurations")[1] == ("call", {"Bucket": "bucket"})
    assert run("DeleteBucketMetricsConfiguration")[1] == ("call", named)


def test_verbs_that_the_model_does_not_know_are_left_out() -> None:
    configuration("BucketVersioning", put={"VersioningConfiguration": {"Status": "Enabled"}})
    assert [cell.operation for cell in all_scenarios()] == ["PutBucketVersioning", "GetBucketVersioning"]
    assert [name for name, _ in run("GetBucketVersioning")] == ["put_bucket_versioning", "call"]


def test_a_configuration_can_be_made_by_a_function_that_names_fixtures() -> None:
    @fixture
    def account_policy(account_id: str) -> str:
        return f"policy of {account_id}"

    configuration("BucketPolicy", put=lambda bucket, account_policy: {"Policy": f"{account_policy} on {bucket}"})
    assert run("PutBucketPolicy")[0] == ("call", {"Bucket": "bucket", "Policy": "policy of 111122223333 on bucket"})


def test_a_configuration_on_an_object_names_its_bucket_and_key() -> None:
    @fixture
    def stored_object() -> StoredObject:
        return StoredObject("elsewhere", "key", b"")

    configuration("ObjectTagging", on="stored_object", put={"Tagging": {"TagSet": []}})
    named = {"Bucket": "elsewhere", "Key": "key"}
    assert run("GetObjectTagging")[1:] == [("call", named), ("delete_object_tagging", named)]


def test_a_family_whose_put_has_another_name_says_so() -> None:
    configuration("BucketMetadataConfiguration", put={}, operations={"put": "CreateBucketMetadataConfiguration"})
    assert [name for name, _ in run("GetBucketMetadataConfiguration")] == [
        "create_bucket_metadata_configuration",
        "call",
        "delete_bucket_metadata_configuration",
    ]


def test_a_family_that_botocore_does_not_know_is_refused_with_advice() -> None:
    with pytest.raises(ScenarioError, match=r"'BucketNonsense'.*PutBucketNonsense.*operations"):
        configuration("BucketNonsense", put={})


def test_the_iam_actions_of_a_configuration_are_those_of_every_call_that_it_makes() -> None:
    configuration("BucketCors", put={}, iam={"put": "s3:PutBucketCORS", "get": "s3:GetBucketCORS"})
    iam = {cell.operation: each.iam for cell, each in all_scenarios().items()}
    assert iam["GetBucketCors"] == ("s3:DeleteBucketCors", "s3:GetBucketCORS", "s3:PutBucketCORS")
    assert iam["PutBucketCors"] == ("s3:DeleteBucketCors", "s3:PutBucketCORS")


def test_expected_records_are_told_by_channel() -> None:
    each = Scenario(operation="HeadObject", run=print, records=Records(server_access=2, cloudtrail=0))
    assert {name: each.expected()[name] for name in (SERVER_ACCESS, CLOUDTRAIL)} == {SERVER_ACCESS: 2, CLOUDTRAIL: 0}


def test_the_client_method_of_an_operation_is_boto3s() -> None:
    assert method_of("PutBucketAcl") == "put_bucket_acl"
    assert method_of("ListObjectsV2") == "list_objects_v2"
