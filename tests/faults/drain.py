"""End the service when its queue is full: `python -m tests.faults.drain --clients 200 --rounds 5`.

All clients have sent a slow request before the signal; each must get its answer,
and the service must be gone within 25 seconds.
"""

import argparse
import http.client
import json
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

from tests.support.serving import CREDENTIALS, Service

LONGEST_SECONDS = 25


def drain(service: Service, clients: int) -> tuple[Counter[str], int, float, int]:
    """Return what became of the requests, how many were over before the signal, the seconds, and who is left."""
    outcomes: Counter[str] = Counter()
    connections = [http.client.HTTPConnection("127.0.0.1", service.port, timeout=60) for _ in range(clients)]
    for connection in connections:
        # Checking a password takes long on purpose.
        body, headers = json.dumps(CREDENTIALS), {"Content-Type": "application/json"}
        connection.request("POST", "/api/v1/auth/login", body, headers)

    def read(connection: http.client.HTTPConnection) -> None:
        try:
            answer = connection.getresponse()
            answer.read()
            outcomes[str(answer.status)] += 1
        except (OSError, http.client.HTTPException) as error:
            outcomes[f"lost: {type(error).__name__}"] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=read, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    before = outcomes.total()
    code, seconds, left = service.stop()
    for thread in threads:
        thread.join()
    outcomes[f"exit code {code}"] += 1
    return outcomes, before, seconds, len(left)


def main() -> int:
    """Run it; return 1 if something was lost or took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args()
    arguments = ("--processes", str(options.processes), "--threads", str(options.threads))
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), *arguments).prepare()
        for _ in range(options.rounds):
            outcomes, before, seconds, left = drain(service.start().log_in(), options.clients)
            print(f"{options.clients} clients, {before} answered before SIGTERM; ended in {seconds:.1f} s; {left} left")
            print(f"  {dict(outcomes)}")
            kept = kept and outcomes == {"200": options.clients, "exit code 0": 1}
            kept = kept and seconds <= LONGEST_SECONDS and not left
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
