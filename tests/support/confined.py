"""confined.py ADDRESS_SPACE_BYTES SECONDS: runs programs that may be attacked, one after the other, each under a limit of its address space.

Standard input is a JSON list of {"args": [...], "cwd": ...}, standard output one of {"code", "stdout", "stderr", "peak_rss_bytes", "seconds"}. A code
below zero is a signal; a program that runs for longer than SECONDS is killed. The peak is that of wait4, and so never below that of this
interpreter (see peak_rss.py).
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time

LIMIT, SECONDS = int(sys.argv[1]), float(sys.argv[2])


def confine():
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(args, cwd):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begun = time.monotonic()
        child = subprocess.Popen(args, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=confine)
        timer = threading.Timer(SECONDS, child.kill)
        timer.start()
        _, status, usage = os.wait4(child.pid, 0)
        timer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - begun

        def text(file):
            file.seek(0)
            return file.read(1 << 20).decode("utf-8", "replace")

        return {
            "code": child.returncode,
            "stdout": text(out),
            "stderr": text(err),
            "peak_rss_bytes": usage.ru_maxrss * 1024,
            "seconds": seconds,
        }


json.dump([run(**program) for program in json.load(sys.stdin)], sys.stdout)
