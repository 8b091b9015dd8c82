"""Start the child that measures one cell of a benchmark, and hear what it says."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hwsim import errors
from hwsim.verify.reference import _last_words

TIMEOUT_S = 1800.0


def run_child(folder: Path, on_compilation: Callable[[], None]) -> dict[str, Any] | str:
    """What a child answered to the request in `folder`, or how it ended without an answer.

    Raises the HwsimError that was raised there.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)}
    log, nothing = folder / "log.txt", subprocess.DEVNULL
    with log.open("wb") as said:
        child = subprocess.Popen(_command(folder), env=environment, stdin=nothing, stdout=subprocess.PIPE, stderr=said)
    with child:
        timer = threading.Timer(TIMEOUT_S, child.kill)
        timer.start()
        try:
            answer = _listen(child, on_compilation)
        finally:
            in_time = timer.is_alive()
            timer.cancel()
            child.kill()
    return answer if answer is not None else _ended(child.returncode, in_time, log)


def _command(folder: Path) -> list[str]:
    return [sys.executable, "-P", "-W", "ignore", str(Path(__file__).with_name("_bench_child.py")), str(folder)]


def _listen(child: subprocess.Popen[bytes], on_compilation: Callable[[], None]) -> dict[str, Any] | None:
    assert child.stdout is not None
    for line in child.stdout:
        message = json.loads(line)
        if "compiling" in message:
            on_compilation()
        if "error" in message:
            kind, text = message["error"]
            raise getattr(errors, kind)(text)
        if "answer" in message:
            return dict(message["answer"])
    child.wait()
    return None


def _ended(status: int, in_time: bool, log: Path) -> str:
    if not in_time:
        return f"did not finish within {TIMEOUT_S:g} s"
    ended = f"crashed ({signal.strsignal(-status)})" if status < 0 else f"ended with exit status {status}"
    return f"{ended}{_last_words(log)}"
