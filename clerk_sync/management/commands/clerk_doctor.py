import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from clerk_sync.doctor.examination import examine
from clerk_sync.doctor.findings import Finding, Severity
from clerk_sync.doctor.token import Explanation, explained
from clerk_sync.doctor.token_lines import Line

# By the worst finding. 2 is that of wrong use, as everywhere.
EXIT_CODES = {Severity.FINE: 0, Severity.NOTE: 0, Severity.WARNING: 1, Severity.ERROR: 3}


class Command(BaseCommand):
    help = (
        "Find what is wrong between this site and Clerk, and say what to do about it. Changes nothing. "
        "Exit 0 if all is well, 1 with warnings, 3 with errors; with --token: 3 if the token is refused."
    )
    # It explains what the checks would stop it for.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--token", help="explain this one token, claim by claim; - reads it from standard input")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, token: str | None, **options: Any) -> None:
        if token is None:
            self.report(list(examine()), as_json=options["json"])
        else:
            given = sys.stdin.read() if token == "-" else token  # noqa: S105  a dash is no password
            self.explain(explained(given.strip()), as_json=options["json"])

    def report(self, findings: list[Finding], *, as_json: bool) -> None:
        worst = max((finding.severity for finding in findings), default=Severity.FINE)
        if as_json:
            described = [asdict(finding) | {"severity": finding.severity.name.lower()} for finding in findings]
            self.stdout.write(json.dumps({"worst": worst.name.lower(), "findings": described}, indent=2))
        else:
            for finding in sorted(findings, key=lambda finding: finding.severity):
                self.show(finding)
        sys.exit(EXIT_CODES[worst])

    def show(self, finding: Finding) -> None:
        paint = {
            Severity.FINE: self.style.SUCCESS,
            Severity.NOTE: self.style.NOTICE,
            Severity.WARNING: self.style.WARNING,
            Severity.ERROR: self.style.ERROR,
        }[finding.severity]
        self.stdout.write(f"{paint(f'{finding.severity.name.lower():8}')} {finding.text}  [{finding.code}]")
        if finding.fix:
            self.stdout.write(f"{'':8} -> {finding.fix}")

    def explain(self, explanation: Explanation, *, as_json: bool) -> None:
        answer = explanation.answer
        if as_json:
            self.stdout.write(json.dumps(asdict(explanation), indent=2, default=str))
        else:
            for line in explanation.lines:
                self.show_line(line)
            verdict = f"answered from {answer.source}" if answer.source else "refused"
            self.stdout.write(f"\nThis token is {verdict}" + (f": {answer.reason}" if answer.reason else "."))
            self.stdout.write("\n".join(filter(None, (answer.text, answer.fix and f"-> {answer.fix}"))))
        sys.exit(0 if answer.source == "session_claims" else 1 if answer.source else 3)

    def show_line(self, line: Line) -> None:
        remark = self.style.ERROR(line.remark) if line.wrong else line.remark
        value = json.dumps(line.value, ensure_ascii=False, default=dict)
        self.stdout.write(f"{line.part:16} {line.name:18} {value:42} {remark}".rstrip())
