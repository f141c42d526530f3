"""peak_rss.py REPORT PROGRAM [ARG...]: runs a program and writes "<exit code> <peak resident bytes>" to REPORT.

The number is that of wait4 for this one child, so it is exact, with one floor: the kernel counts the image that called exec as the
child's, which is this interpreter (about 10 MiB). It only matters for limits near that. An exit code below zero is a signal.
"""

import os
import sys

report, program, *args = sys.argv[1:]
pid = os.posix_spawnp(program, [program, *args], os.environ)
_, status, usage = os.wait4(pid, 0)
unit = 1 if sys.platform == "darwin" else 1024
with open(report, "w", encoding="ascii") as out:
    out.write(f"{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss * unit}")
