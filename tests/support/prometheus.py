"""Reading metrics as Prometheus does, and holding them against its own tool where that is installed."""

import http.client
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from core.platform.config.load import ROOT
from tests.support.serving import Service

DASHBOARD = ROOT / "deploy" / "grafana" / "tasklane.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
PROMTOOL = shutil.which("promtool")

# With which /metrics may be read.
TOKEN = "m" * 40

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """Return every sample by name and labels; fail if anything is unclear, or there twice."""
    found: Samples = {}
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "A metric is described twice."
    for family in families:
        assert family.documentation, family.name
        assert family.type != "unknown", family.name
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    check_with_promtool("metrics", text)
    return found


def check_with_promtool(what: str, text: str = "", *arguments: str) -> None:
    """Fail on whatever Prometheus's own tool finds wrong.

    Without it, the parser above has to be enough, unless TESTS_NEED_EVERYTHING demands everything.
    """
    assert PROMTOOL is not None or not os.environ.get("TESTS_NEED_EVERYTHING"), "promtool is not installed"
    if PROMTOOL is not None:
        checked = subprocess.run(
            [PROMTOOL, "check", what, *arguments], input=text, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


def check_queries(queries: Iterator[str] | list[str], folder: Path) -> None:
    """Fail if one of these is no query."""
    # The tool checks queries as parts of rules only.
    rules = [{"record": "a", "expr": re.sub(r"\$__rate_interval", "5m", query)} for query in queries]
    path = folder / "rules.json"  # JSON is YAML, too.
    path.write_text(json.dumps({"groups": [{"name": "a", "rules": rules}]}))
    check_with_promtool("rules", "", "--lint=none", str(path))


def dashboard_queries() -> list[str]:
    """Return all queries of the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def metrics_named_in(text: str) -> set[str]:
    """Return every metric of ours that a text names."""
    return set(re.findall(r"\btasklane_[a-z_]+", text))


def scrape(service: Service) -> Samples:
    """Read the metrics of a running server."""
    client = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    try:
        client.request("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        answer = client.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
        return samples(text)
    finally:
        client.close()
