"""Measure requests a second with one and with several web processes: `python benchmarks/serving.py`.

Needs `wrk`. The numbers of processes take turns, so that a busy machine treats
all alike; the medians are compared.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

# A script's own folder is on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.serving import Service

WRITE = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"title": "Measured", "content": "x"}'
"""
PATHS = {"health": "/health", "read": "/api/v1/tasks?per_page=20", "write": "/api/v1/posts"}
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def measure(service: Service, kind: str, options: argparse.Namespace, script: Path) -> tuple[float, float]:
    """Return requests a second and the 99th percentile in milliseconds."""
    command = ["wrk", "--latency", "-t", "2", "-c", str(options.connections), "-d", f"{options.seconds}s"]
    command += ["-H", f"Authorization: Bearer {service.token}"]
    command += ["-s", str(script)] if kind == "write" else []
    url = f"http://127.0.0.1:{service.port}{PATHS[kind]}"
    shown = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in shown or "Socket errors" in shown:
        print(shown)
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s)", shown)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", shown)
    if slowest is None or rate is None:
        raise RuntimeError(shown)
    return float(rate[1]), float(slowest[1]) * UNITS[slowest[2]]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--kinds", nargs="+", choices=PATHS, default=["read", "write"])
    parser.add_argument("--database", help="URL of an empty database; without it SQLite")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("This needs wrk: apt install wrk.")
    environ = {"TEST_DATABASE_URL": options.database} if options.database else {}
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "write.lua"
        script.write_text(WRITE)
        Service(Path(folder), **environ).prepare()
        for _ in range(options.runs):
            for processes in options.processes:
                arguments = ("--processes", str(processes), "--threads", str(options.threads))
                service = Service(Path(folder), *arguments, **environ, LOG_LEVEL="WARNING")
                service.start().log_in()
                if not service.call("GET", "/tasks")[1]["data"]:
                    for number in range(20):
                        service.call("POST", "/tasks", {"title": f"Measured {number}"})
                for kind in options.kinds:
                    found.setdefault((kind, processes), []).append(measure(service, kind, options, script))
                service.stop()
    engine = "PostgreSQL" if options.database else "SQLite"
    print(f"{engine}, {options.connections} connections, {options.runs} runs of {options.seconds} s, ", end="")
    print(f"{os.cpu_count()} cores shared with wrk, load {os.getloadavg()[0]:.1f}")
    for kind in options.kinds:
        first = statistics.median(rate for rate, _ in found[kind, options.processes[0]])
        for processes in options.processes:
            rates, slowest = zip(*found[kind, processes], strict=True)
            median = statistics.median(rates)
            spread = f"{min(rates):.0f} to {max(rates):.0f}"
            print(
                f"{kind:<8}{processes} x {options.threads}  median {median:7.0f}/s ({spread})"
                f"  p99 {statistics.median(slowest):6.1f} ms  {median / first:.2f} times"
            )


if __name__ == "__main__":
    main()
