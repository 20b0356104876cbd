"""Work in a forked process: a graph that crashes a runtime only ends that process and is reported."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

CRASHED = "crashed"


def each(jobs: Sequence[Any], work: Callable[[Any], Any]) -> Iterator[tuple[Any, Any]]:
    """Yield (job, `work(job)`) in order; the result is `CRASHED` if the process died. Results must be JSON."""
    waiting = list(jobs)
    while waiting:
        done = 0
        for answer in _process(waiting, work):
            yield waiting[done], answer
            done += 1
        if done < len(waiting):
            yield waiting[done], CRASHED
            done += 1
        waiting = waiting[done:]


def _process(jobs: Sequence[Any], work: Callable[[Any], Any]) -> Iterator[Any]:
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reads)
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)  # both runtimes print
            os.dup2(silent, 2)
            with os.fdopen(writes, "w") as pipe:
                for job in jobs:
                    pipe.write(json.dumps(work(job)) + "\n")
                    pipe.flush()
            code = 0
        finally:
            os._exit(code)
    os.close(writes)
    with os.fdopen(reads) as pipe:
        for line in pipe:
            if line.endswith("\n"):
                yield json.loads(line)
    os.waitpid(child, 0)
    sys.stdout.flush()
