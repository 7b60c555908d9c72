"""What is deployed is made from the declarations, stands in the repository as they are now, and is valid."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from harness import scenario
from harness.channels import Permission
from harness.planning.deploy import Form, render
from harness.planning.policy import documents, permissions_for, statements
from harness.selection import Options
from harness.targets.choice import TargetName, Wanted, unasked

ROOT = Path(__file__).parents[2]
STORED = {
    Form.CLOUDFORMATION: ROOT / "deploy/cloudformation/role.yaml",
    Form.TERRAFORM: ROOT / "deploy/terraform/main.tf",
}
scenario.load()
WANTED = permissions_for(Options(), unasked(Wanted(name=TargetName.AWS)))
LARGE = [Permission(actions=tuple(f"s3:Get{n}x{m:03d}" for m in range(99)), resources=(f"arn:{n}",)) for n in range(7)]


@pytest.mark.parametrize("form", STORED)
def test_what_is_stored_is_what_is_declared(form: Form) -> None:
    made = render(form, WANTED)
    assert STORED[form].read_text("utf-8") == made, f"run `s3logjam policy --output {form} > {STORED[form]}`"


@pytest.mark.parametrize("wanted", [WANTED, LARGE], ids=["declared", "several policies"])
def test_the_template_passes_cfn_lint(wanted: list[Permission], tmp_path: Path) -> None:
    template = tmp_path / "role.yaml"
    template.write_text(render(Form.CLOUDFORMATION, wanted), "utf-8")
    command = [sys.executable, "-c", "from cfnlint.runner import main; main()", "--non-zero-exit-code", "warning"]
    # Of the large one, actions and resources are made up.
    command += ["--ignore-checks", "W3037", "E3510", "--"] if wanted is LARGE else []
    done = subprocess.run([*command, str(template)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions as what they are applied to."""


_Loader.add_multi_constructor("!", lambda loader, _tag, node: getattr(node, "value", None))


def in_template(text: str) -> dict[str, Any]:
    return yaml.load(text, _Loader)


def test_the_template_attaches_the_same_policy_to_a_role_that_one_branch_may_assume() -> None:
    made = in_template(render(Form.CLOUDFORMATION, WANTED))["Resources"]
    policies = [e["Properties"]["PolicyDocument"] for e in made.values() if e["Type"] == "AWS::IAM::ManagedPolicy"]
    assert policies == documents(statements(WANTED, "${AWS::AccountId}", "${AWS::Region}"))
    (trust,) = made["Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    conditions = trust["Condition"]["StringEquals"]
    assert conditions["token.actions.githubusercontent.com:sub"] == "repo:${Repository}:ref:refs/heads/${Branch}"
    assert conditions["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    assert len(made["Role"]["Properties"]["ManagedPolicyArns"]) == len(policies)


@pytest.mark.parametrize("wanted", [WANTED, LARGE], ids=["declared", "several policies"])
def test_the_module_is_terraform(wanted: list[Permission], tmp_path: Path) -> None:
    text = render(Form.TERRAFORM, wanted)
    told = hcl2.loads(text)
    assert {"variable", "resource", "output", "terraform"} <= set(told)
    attached = text.count('resource "aws_iam_role_policy_attachment"')
    assert (
        text.count('resource "aws_iam_policy"')
        == attached
        == len(documents(statements(wanted, "${local.account}", "${local.region}")))
    )
    # Exactly the statements of the policy, in its order.
    for each in statements(wanted, "${local.account}", "${local.region}"):
        assert f"= {json.dumps(each['Sid'])}" in text
        assert all(json.dumps(action) in text for action in each["Action"])


@pytest.mark.skipif(shutil.which("terraform") is None, reason="there is no terraform")
def test_terraform_would_not_write_the_module_otherwise(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(render(Form.TERRAFORM, WANTED), "utf-8")
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_json_is_one_policy_or_a_list_of_them() -> None:
    assert json.loads(render(Form.JSON, WANTED, "111122223333", "us-east-1"))["Version"] == "2012-10-17"
    several = json.loads(render(Form.JSON, LARGE))
    assert isinstance(several, list)
    assert len(several) > 1
