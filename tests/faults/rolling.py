"""Roll the web processes again and again under load: `python -m tests.faults.rolling --requests 10000`.

No request may be lost, neither on new connections nor on kept ones, and every
acknowledged write must be there at the end.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.support.serving import Load, Service


def main() -> int:
    """Run it; return 1 if something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="of each way to connect")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--clients", type=int, default=4, help="of each way to connect")
    parser.add_argument("--pause", type=float, default=0.0, help="longest pause of a client that keeps its connection")
    parser.add_argument("--database", help="URL of an empty database; without it SQLite")
    options = parser.parse_args()
    environ = {"TEST_DATABASE_URL": options.database} if options.database else {}
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), "--processes", str(options.processes), **environ, LOG_LEVEL="INFO").prepare()
        service.start().log_in()
        rolls, start = 0, time.monotonic()
        with (
            Load(service, clients=options.clients, keep=True, pause=options.pause) as kept,
            Load(service, clients=options.clients, keep=False) as fresh,
        ):
            while min(kept.total, fresh.total) < options.requests:
                service.parent.send_signal(signal.SIGHUP)
                rolls += 1
                service.wait_for_line("All processes have been replaced.", count=rolls)
        seconds = time.monotonic() - start
        missing = [post for post in (*kept.stored, *fresh.stored) if service.call("GET", f"/posts/{post}")[0] != 200]
        code, ending, left = service.stop()
    for name, load in (("kept connections", kept), ("new connections", fresh)):
        print(f"{name:<18}{load.total:>8} requests {len(load.lost):>4} lost   answers {dict(load.answers)}")
        for line in sorted(set(load.lost)):
            print(f"  {line}")
    print(f"{rolls} rolls of {options.processes} processes in {seconds:.0f} s, on {os.cpu_count()} cores")
    print(f"{len(kept.stored) + len(fresh.stored)} acknowledged writes, {len(missing)} missing")
    print(f"then SIGTERM: exit code {code} after {ending:.1f} s, {len(left)} processes left")
    wrong = set(kept.answers) | set(fresh.answers)
    return int(bool(kept.lost or fresh.lost or missing or code or left or not wrong <= {200, 201}))


if __name__ == "__main__":
    sys.exit(main())
