"""The report of a month, as the public validator of FOCUS reads it."""

import re
import subprocess
import sys
from csv import DictReader
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from sysconfig import get_path

import pytest

from conftest import Bursar

#: What the validator is told of the provider, because it leaves out the rules for anything else: all that it knows of but
#: zones, reservations of capacity, and discounts for a commitment.
APPLIES = """ACCOUNT_NAMING MULTIPLE_PRICING_CATEGORIES MULTIPLE_SUB_ACCOUNT_TYPES MULTIPLE_BILLING_ACCOUNT_TYPES NEGOTIATED_PRICING
PUBLIC_PRICE_LIST USAGE_MEASUREMENT UNIT_PRICING SUB_ACCOUNT BILLING_BASED_ON_PROVISIONED_RESOURCES RESOURCE_TYPE_ASSIGNMENT
PRICING_BILLING_CURRENCY_DIFFERENCES VIRTUAL_CURRENCY REGION TAGGING""".split()

#: The one rule that is broken: an invoice's id "must not be null when there is an invoice". The validator asks that of every
#: line, as it asks of every line that it be null (InvoiceId-C-004-C, "when there is none"). Both cannot be; what decides is
#: InvoiceId-C-003-C, "one of the two".
BROKEN = {"InvoiceId-C-005-C"}
DECIDES = "InvoiceId-C-003-C"

#: How many rules there are, and how many of them can be told from a file and must not be fewer.
RULES, TOLD = 578, 298


def validator(*options: str) -> str:
    program = Path(sys.executable).with_name("focus-validator")
    # It finds its own list of currencies only from where it is installed, and would look for newer rules.
    command = [program, "--validate-version", "1.2", "--block-download", *options]
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=get_path("purelib"), timeout=600)
    # It ends with 0 whatever it has found.
    return outcome.stdout + outcome.stderr


def verdicts(file: Path) -> dict[str, str]:
    """What becomes of each rule."""
    criteria = ",".join(f"{name}_SUPPORTED" for name in APPLIES)
    said = validator("--data-file", str(file), "--applicability-criteria", criteria)
    found = dict(re.findall(r"^\S+ ([\w-]+): (PASS|FAIL|SKIPPED)\b", said, re.MULTILINE))
    assert len(found) == RULES, said
    return found


@pytest.fixture(scope="module")
def report(bursar: Bursar, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of this month: of whatever was called so far, and of a program and a group with names from all over."""
    group = bursar.owner.create("groups/create", name="Vertrieb Süd, „Öst\"", kind="department", parent="")
    bursar.owner.post("authorizations/set", group=group, target=f"tier:{bursar.tier}", state="open")
    application, secret = bursar.application("Çiğdem’s =bot", group)
    bursar.openai(secret).chat.completions.create(model="small-chat", messages=[{"role": "user", "content": "Hi"}], max_tokens=4)
    bursar.booked(application)
    answer = bursar.owner.http.get(f"/reports.focus.csv?month={datetime.now(UTC):%Y-%m}")
    assert answer.status_code == 200
    assert application in answer.text
    file = tmp_path_factory.mktemp("focus") / "focus.csv"
    file.write_text(answer.text)
    return file


def test_the_public_validator_takes_the_report_of_the_month(report: Path) -> None:
    for row in DictReader(StringIO(report.read_text())):
        assert row["ChargeDescription"].isascii()
        price, quantity = Decimal(row["ListUnitPrice"]), Decimal(row["PricingQuantity"])
        assert round(price * quantity, 9) == Decimal(row["ListCost"])
    found = verdicts(report)
    told = {verdict: {rule for rule, said in found.items() if said == verdict} for verdict in found.values()}
    assert told["FAIL"] == BROKEN
    assert found[DECIDES] == "PASS"
    assert len(told["PASS"]) >= TOLD


def test_a_file_that_breaks_a_rule_does_not_pass(report: Path, tmp_path: Path) -> None:
    file = tmp_path / "focus.csv"
    file.write_text(report.read_text().replace(",USD,", ",Dollars,"))
    assert {rule for rule, said in verdicts(file).items() if said == "FAIL"} > BROKEN
