"""The floor: a bare Flask route under waitress that answers with given bytes: `bare.py <port> <file of the bytes>`."""

import logging
import sys
from pathlib import Path

from flask import Flask, Response
from waitress import serve


def main(port: int, body: bytes) -> None:
    """Serve until ended."""
    # It would warn of every request that waits for a thread.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    app = Flask(__name__)

    @app.get("/api/v1/tasks/<int:task_id>")
    def get_task(task_id: int) -> Response:
        return Response(body, content_type="application/json")

    @app.get("/health")
    def health() -> str:
        return "ok"

    serve(app, host="127.0.0.1", port=port, threads=8)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]).read_bytes())
