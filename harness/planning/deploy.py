"""The run's policy as files that deploy it: a CloudFormation template, and a Terraform module of one file.

Both make a role that a GitHub workflow of one repository and branch may assume, and attach the policy to it. The role's
name must not begin with ``s3lm-``: the policy lets a run delete roles of that name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from typing import Any

from harness.channels import Permission
from harness.planning.policy import Document, documents, statements

_ISSUER = "token.actions.githubusercontent.com"
_AUDIENCE = "sts.amazonaws.com"
_HOURS = 12
"""The longest session that a role may have: one run, its waiting included."""
_MADE_BY = "# Made by `s3logjam policy --output {form}`: change the declarations, then make it again."


class Form(StrEnum):
    """How a policy is written."""

    JSON = "json"
    CLOUDFORMATION = "cloudformation"
    TERRAFORM = "terraform"


def render(form: Form, wanted: Iterable[Permission], account: str | None = None, region: str | None = None) -> str:
    """Return the policy in a form; where IAM takes it only in several documents, JSON has a list of them.

    Args:
        form: Of what is returned.
        wanted: The permissions.
        account, region: Filled into JSON; the other forms know their own.
    """
    if form is Form.JSON:
        made = documents(statements(wanted, account, region))
        return json.dumps(made[0] if len(made) == 1 else made, indent=2) + "\n"
    return {Form.CLOUDFORMATION: cloudformation, Form.TERRAFORM: terraform}[form](wanted)


def _trust(provider: Any, repository: str, branch: str) -> Document:
    conditions = {f"{_ISSUER}:aud": _AUDIENCE, f"{_ISSUER}:sub": f"repo:{repository}:ref:refs/heads/{branch}"}
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": conditions},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


class _Raw(str):
    """An expression of the template's language, not a text in it."""

    __slots__ = ()


def cloudformation(wanted: Iterable[Permission]) -> str:
    """Return a CloudFormation template in YAML."""
    made = documents(statements(wanted, "${AWS::AccountId}", "${AWS::Region}"))
    policies = {
        f"Policy{number}": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"Description": "What a run of s3logjam may do", "PolicyDocument": document},
        }
        for number, document in enumerate(made, 1)
    }
    provider = {
        "Type": "AWS::IAM::OIDCProvider",
        "Condition": "MakesProvider",
        "Properties": {"Url": f"https://{_ISSUER}", "ClientIdList": [_AUDIENCE]},
    }
    trust = _trust(_Raw("!If [MakesProvider, !Ref Provider, !Ref ProviderArn]"), "${Repository}", "${Branch}")
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": _Raw("!Ref RoleName"),
            "MaxSessionDuration": _HOURS * 3600,
            "AssumeRolePolicyDocument": trust,
            "ManagedPolicyArns": [_Raw(f"!Ref {name}") for name in policies],
        },
    }
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "A role that a GitHub workflow may assume to run s3logjam in this account",
        "Parameters": {
            "Repository": {
                "Type": "String",
                "Description": "GitHub repository whose workflows may assume the role, as owner/name",
                "AllowedPattern": "[A-Za-z0-9-]+/[A-Za-z0-9._-]+",
            },
            "Branch": {
                "Type": "String",
                "Description": "Branch whose workflows may assume the role",
                "Default": "main",
                "AllowedPattern": "[A-Za-z0-9._/-]+",
            },
            "ProviderArn": {
                "Type": "String",
                "Description": "ARN of the account's OIDC provider for GitHub; empty to make one",
                "Default": "",
            },
            "RoleName": {
                "Type": "String",
                "Description": "Name of the role, which must not begin as those do that a run makes and deletes",
                "Default": "s3logjam",
                "AllowedPattern": "(?!s3lm-)[A-Za-z0-9+=,.@_-]{1,64}",
            },
        },
        "Conditions": {"MakesProvider": _Raw('!Equals [!Ref ProviderArn, ""]')},
        "Resources": {"Provider": provider, **policies, "Role": role},
        "Outputs": {"RoleArn": {"Description": "For role-to-assume", "Value": _Raw("!GetAtt Role.Arn")}},
    }
    text = "\n".join(_yaml(template, ""))
    return f"{_MADE_BY.format(form=Form.CLOUDFORMATION)}\n{text}\n"


def _yaml(value: Any, indent: str) -> list[str]:
    """Return the lines of a mapping or list in YAML's block form; texts are quoted as JSON does."""
    if isinstance(value, Mapping):
        return [line for key, each in value.items() for line in _yaml_entry(f"{_yaml_key(key)}:", each, indent)]
    return [line for each in value for line in _yaml_entry("-", each, indent)]


def _yaml_key(key: str) -> str:
    return key if key.isalnum() else json.dumps(key)


def _yaml_entry(head: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, Mapping | list):
        lines = _yaml(value, indent + "  ")
        # A mapping in a list begins on the line of its dash.
        return [f"{indent}- {lines[0].lstrip()}", *lines[1:]] if head == "-" else [f"{indent}{head}", *lines]
    if isinstance(value, _Raw):
        return [f"{indent}{head} {value}"]
    marker = "!Sub " if isinstance(value, str) and "${" in value else ""
    return [f"{indent}{head} {marker}{json.dumps(value)}"]


_VARIABLES: Sequence[tuple[str, str, str | None, str]] = (
    ("repository", "GitHub repository whose workflows may assume the role, as owner/name", None, ""),
    ("branch", "Branch whose workflows may assume the role", "main", ""),
    ("provider_arn", "ARN of the account's OIDC provider for GitHub; empty to make one", "", ""),
    ("role_name", "Name of the role", "s3logjam", '!startswith(var.role_name, "s3lm-")'),
)


def terraform(wanted: Iterable[Permission]) -> str:
    """Return a Terraform module as one file in HCL."""
    made = documents(statements(wanted, "${local.account}", "${local.region}"))
    provider = _Raw('var.provider_arn != "" ? var.provider_arn : aws_iam_openid_connect_provider.github[0].arn')
    blocks = [
        'terraform {\n  required_version = ">= 1.3"\n  required_providers {\n    aws = {\n'
        '      source  = "hashicorp/aws"\n      version = ">= 5.81"\n    }\n  }\n}',
        *(_variable(*each) for each in _VARIABLES),
        'data "aws_caller_identity" "current" {}',
        'data "aws_region" "current" {}',
        # "id" is the one name for it that every version of the provider has.
        "locals {\n  account = data.aws_caller_identity.current.account_id\n  region  = data.aws_region.current.id\n}",
        _block(
            'resource "aws_iam_openid_connect_provider" "github"',
            {
                "count": _Raw('var.provider_arn == "" ? 1 : 0'),
                "url": f"https://{_ISSUER}",
                "client_id_list": [_AUDIENCE],
            },
        ),
        *(
            _block(
                f'resource "aws_iam_policy" "run{number}"',
                {
                    "name": f"${{var.role_name}}-{number}",
                    "description": "What a run of s3logjam may do",
                    "policy": _Raw(f"jsonencode({_hcl(document, '  ')})"),
                },
            )
            for number, document in enumerate(made, 1)
        ),
        _block(
            'resource "aws_iam_role" "run"',
            {
                "name": _Raw("var.role_name"),
                "max_session_duration": _HOURS * 3600,
                "assume_role_policy": _Raw(
                    f"jsonencode({_hcl(_trust(provider, '${var.repository}', '${var.branch}'), '  ')})"
                ),
            },
        ),
        *(
            _block(
                f'resource "aws_iam_role_policy_attachment" "run{number}"',
                {"role": _Raw("aws_iam_role.run.name"), "policy_arn": _Raw(f"aws_iam_policy.run{number}.arn")},
            )
            for number in range(1, len(made) + 1)
        ),
        _block('output "role_arn"', {"description": "For role-to-assume", "value": _Raw("aws_iam_role.run.arn")}),
    ]
    return f"{_MADE_BY.format(form=Form.TERRAFORM)}\n\n" + "\n\n".join(blocks) + "\n"


def _variable(name: str, description: str, default: str | None, condition: str) -> str:
    settings: dict[str, Any] = {"description": description, "type": _Raw("string")}
    if default is not None:
        settings["default"] = default
    text = _block(f'variable "{name}"', settings)
    if not condition:
        return text
    message = json.dumps("A run deletes roles whose names begin with s3lm-: choose another.")
    check = f"\n\n  validation {{\n    condition     = {condition}\n    error_message = {message}\n  }}\n}}"
    return text.removesuffix("\n}") + check


def _block(head: str, settings: Mapping[str, Any]) -> str:
    return "\n".join([f"{head} {{", *_entries(settings, "  "), "}"])


def _entries(settings: Mapping[str, Any], indent: str) -> list[str]:
    """Return ``name = value`` lines as ``terraform fmt`` has them: neighbours of one line each are aligned."""
    told = [(n if n.isidentifier() else json.dumps(n), _hcl(value, indent)) for n, value in settings.items()]
    lines: list[str] = []
    for short, group in groupby(told, key=lambda each: "\n" not in each[1]):
        entries = list(group)
        width = max(len(name) for name, _ in entries) if short else 0
        lines += [f"{indent}{name.ljust(width)} = {value}" for name, value in entries]
    return lines


def _hcl(value: Any, indent: str) -> str:
    """Return a value as an HCL expression; ``${…}`` in a text is one of Terraform's."""
    inner = f"{indent}  "
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, Mapping):
        return "\n".join(["{", *_entries(value, inner), f"{indent}}}"])
    if isinstance(value, list):
        return "\n".join(["[", *(f"{inner}{_hcl(each, inner)}," for each in value), f"{indent}]"])
    return json.dumps(value)
