"""Findings stand where the rule has what they are about, whatever else of the file has the same words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lint_kit import lint_text

from harness.lint.model import Kind
from harness.report.lint import as_sarif

SIGMA = """title: PutBukket, and eventName
logsource: {product: aws, service: cloudtrail}
description: PutBucketAccl
detection:
    selection:
        eventName|startswith:  # PutBucketAccl
            - 'PutBukket'
            - 'PutObject'
        eventSource: s3.amazonaws.com
        sourceIpAdress: 1.2.3.4
    filter:
        - eventName: PutBucketAccl
    condition: selection or filter
"""
ELASTIC = """[metadata]
note = "PutBucketAccl"
[rule]
name = "PutBucketAccl"
description = 'query = "PutBucketAccl"'
query = '''
event.dataset: aws.cloudtrail and event.provider: "s3.amazonaws.com"

  and event.action: (PutBucketAcl or
    "PutBucketAccl")
  and aws.cloudtrail.flattened.request_parameters.accl: *
'''
"""
PANTHER = """# PutBucketAccl and requestParameters.buckName
SOME = {
    "PutBucketAcl",
    "PutBucketAccl",
}
def rule(event):
    if event.get("eventSource") != "s3.amazonaws.com":
        return False
    asked = event.deep_get("requestParameters", "buckName")
    return event.get("eventName") in SOME and asked == "PutBucketAccl"
"""
DECLARED = """AnalysisType: rule
DisplayName: PutBucketAccl
LogTypes: [AWS.CloudTrail]
Detection:
  - Key: eventSource
    Condition: Equals
    Value: s3.amazonaws.com
  - Any:
    - DeepKey: [requestParameters, buckName]
      Condition: Exists
    - Key: eventName
      Condition: IsIn
      Values:
        - PutBucketAcl
        - PutBucketAccl
"""
QUERY = """AnalysisType: scheduled_query
QueryName: PutBucketAccl
{key}: |-
  -- PutBucketAccl
  SELECT 1
  FROM cloudtrail_logs
  WHERE eventsource = 's3.amazonaws.com'
    AND eventname IN ('PutBucketAcl',
      'PutBucketAccl')
    AND json_extract_scalar(requestparameters, '$.buckName') = 'x'
"""
INSIGHTS = """

# PutBucketAccl
fields @timestamp, eventName
| filter eventSource = "s3.amazonaws.com"
  and eventName in ["PutBucketAcl",
  "PutBucketAccl"]
| filter `requestParameters.buckName` = "x"
"""


@pytest.mark.parametrize(
    ("file", "text", "places"),
    [
        ("a.yml", SIGMA, {(Kind.DEAD, "PutBukket", 7), (Kind.FIELD, "sourceIpAdress", 10),
                          (Kind.DEAD, "PutBucketAccl", 12)}),
        ("a.toml", ELASTIC, {(Kind.DEAD, "PutBucketAccl", 10), (Kind.FIELD, "requestParameters.accl", 11)}),
        ("a.py", PANTHER, {(Kind.DEAD, "PutBucketAccl", 4), (Kind.FIELD, "requestParameters.buckName", 9)}),
        ("a.yml", DECLARED, {(Kind.DEAD, "PutBucketAccl", 15), (Kind.FIELD, "requestParameters.buckName", 9)}),
        ("a.yml", QUERY.format(key="AthenaQuery"),
         {(Kind.DEAD, "PutBucketAccl", 9), (Kind.FIELD, "requestParameters.buckName", 10)}),
        ("a.query", INSIGHTS, {(Kind.DEAD, "PutBucketAccl", 7), (Kind.FIELD, "requestParameters.buckName", 8)}),
        ("a.list", "# PutBucketAccl\nPutBucketAcl\nREST.PUT.ACCL\nREST.PUT.ACL\n", {(Kind.DEAD, "REST.PUT.ACCL", 3)}),
    ],
)  # fmt: skip
def test_a_finding_stands_where_the_rule_has_the_name_or_the_field(
    file: str, text: str, places: set[tuple[Kind, str, int]], tmp_path: Path
) -> None:
    result = lint_text(tmp_path, file, text)
    open_ = [f for f in result.open if f.kind in (Kind.DEAD, Kind.FIELD)]
    assert {(f.kind, f.name, f.line) for f in open_} == places
    told = [each for each in json.loads(as_sarif(result))["runs"][0]["results"] if each["level"] != "note"]
    lines = {each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in told}
    assert lines == {line for *_, line in places}


def test_what_a_pattern_catches_stands_at_the_pattern(tmp_path: Path) -> None:
    query = "SELECT 1 -- GetObject\nFROM t WHERE eventsource = 's3.amazonaws.com'\n  AND eventname LIKE 'GetObjec_'\n"
    assert {(f.name, f.line) for f in lint_text(tmp_path, "a.sql", query).open} == {("GetObject", 3)}


def test_a_broken_sigma_condition_is_told_in_words_at_its_place(tmp_path: Path) -> None:
    (unread,) = lint_text(tmp_path, "a.yml", SIGMA.replace("selection or filter", "selection and")).unread
    assert (unread.line, unread.reason) == (13, "no Sigma rule: the condition 'selection and' is broken at its end")
    (unread,) = lint_text(tmp_path, "a.yml", SIGMA.replace("selection or filter", "[selection, filter of x]")).unread
    assert unread.reason == "no Sigma rule: the condition 'filter of x' is broken at 'of x'"
    (unread,) = lint_text(tmp_path, "a.yml", SIGMA.replace("|startswith", "|beginswith")).unread
    assert (unread.line, unread.reason) == (7, "no Sigma rule: Unknown modifier 'beginswith'")
