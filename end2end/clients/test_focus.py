"""The report of a month, as the public validator of FOCUS reads it."""

import subprocess
import sys
from csv import DictReader
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from sysconfig import get_path

from conftest import Bursar

#: What version 1.2 asks of every file; the validator that this Python can run knows 1.0. (2.2 wants Python
#: 3.12 and knows 1.2: of its rules only the half of an either-or fails that wants an invoice's id where there is no invoice.)
MANDATORY = """BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodEnd BillingPeriodStart ChargeCategory
ChargeClass ChargeDescription ChargePeriodEnd ChargePeriodStart ContractedCost EffectiveCost InvoiceId InvoiceIssuerName ListCost
PricingQuantity PricingUnit ProviderName PublisherName ServiceCategory ServiceName""".split()
#: Those of them that may be empty.
NULLABLE = {"BillingAccountName", "ChargeClass", "ChargeDescription", "InvoiceId", "PricingQuantity", "PricingUnit"}


def test_the_public_validator_takes_the_report_of_the_month(bursar: Bursar, tmp_path: Path) -> None:
    month = datetime.now(UTC).strftime("%Y-%m")
    answer = bursar.owner.http.get(f"/reports.focus.csv?month={month}")
    assert answer.status_code == 200
    rows = list(DictReader(StringIO(answer.text)))
    assert rows, "the calls of the other tests are in it"
    for row in rows:
        assert not [name for name in MANDATORY if name not in row]
        assert not [name for name in MANDATORY if name not in NULLABLE and not row[name]]
        assert row["ChargeDescription"].isascii()
        price, quantity = Decimal(row["ListUnitPrice"]), Decimal(row["PricingQuantity"])
        assert round(price * quantity, 9) == Decimal(row["ListCost"])
    file = tmp_path / "focus.csv"
    file.write_text(answer.text)
    program = Path(sys.executable).with_name("focus-validator")
    command = [program, "--data-file", str(file), "--validate-version", "1.0"]
    # It finds its own list of currencies only from where it is installed.
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=get_path("purelib"), timeout=120)
    # It ends with 0 whatever it has found.
    assert "Validation succeeded." in outcome.stdout, outcome.stdout + outcome.stderr
