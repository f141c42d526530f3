"""measure.py: a command measured from its start to its end, alone or in a control group that limits its memory."""

import os
import pathlib
import resource
import subprocess
import tempfile
import threading
import time

MIB = 1 << 20
SAMPLE_SECONDS = 0.005


class Sampler(threading.Thread):
    """The most anonymous memory that a process was seen with (the kernel keeps no peak of it), and its peak of resident memory when last seen."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.path = f"/proc/{process}/status"
        self.done = threading.Event()
        self.anonymous = self.resident = 0
        self.start()

    def run(self):
        while not self.done.wait(SAMPLE_SECONDS):
            try:
                with open(self.path, "rb") as status:
                    text = status.read()
            except OSError:
                return
            self.anonymous = max(self.anonymous, self.field(text, b"RssAnon:"))
            self.resident = max(self.resident, self.field(text, b"VmHWM:"))

    @staticmethod
    def field(text, name):
        at = text.find(name)
        return int(text[at + len(name) :].split(None, 1)[0]) * 1024 if at >= 0 else 0

    def stop(self):
        self.done.set()
        self.join()


class Group:
    """A control group with a hard limit of memory, page cache included; v1 or v2, whichever manages memory here. For root alone."""

    def __init__(self, limit):
        self.limit = limit
        v1 = pathlib.Path("/sys/fs/cgroup/memory")
        self.v1 = v1.is_dir()
        name = f"rezarr-peers-{os.getpid()}"
        self.path = (v1 if self.v1 else pathlib.Path("/sys/fs/cgroup")) / name
        try:
            if not self.v1:
                control = self.path.parent / "cgroup.subtree_control"
                if "memory" not in control.read_text().split():
                    control.write_text("+memory")
            self.path.mkdir()
            (self.path / ("memory.limit_in_bytes" if self.v1 else "memory.max")).write_text(str(limit))
            if not self.v1 and (self.path / "memory.swap.max").exists():
                (self.path / "memory.swap.max").write_text("0")
        except OSError as error:
            self.close()
            raise SystemExit(f"--cgroup: no group with limited memory can be made at {self.path}: {error}; it takes root") from None

    def killed(self):
        """How often the kernel has killed a process for want of memory so far."""
        text = (self.path / ("memory.oom_control" if self.v1 else "memory.events")).read_text()
        return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))

    def inside(self, command):
        return ["sh", "-c", f'echo $$ > "{self.path}/cgroup.procs" && exec "$@"', "sh", *command]

    def close(self):
        # A group whose last process has just ended may still be busy.
        for _ in range(100):
            try:
                self.path.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                time.sleep(0.05)
                continue
            return


def measured(command, timeout, group=None):
    """Wall and processor seconds of a command, its peak of resident and of anonymous memory in bytes, and what it printed; or why it failed.

    The kernel counts the image of this program as the child's until the child has called exec: what stays below that is taken from samples.
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    killed = group.killed() if group else 0
    command = group.inside(command) if group else command
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as complaints:
        begun = time.perf_counter()
        process = subprocess.Popen(list(map(str, command)), stdout=printed, stderr=complaints)
        sampler = Sampler(process.pid)
        timer = threading.Timer(timeout, process.kill)
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            timer.cancel()
            sampler.stop()
        wall = time.perf_counter() - begun
        printed.seek(0)
        complaints.seek(0)
        peak = usage.ru_maxrss * 1024
        run = {
            "wall": wall,
            "cpu": usage.ru_utime + usage.ru_stime,
            "peak": peak if peak > own else sampler.resident,
            "anonymous": sampler.anonymous,
            "printed": printed.read().decode(errors="replace"),
        }
        if process.returncode != 0:
            said = complaints.read().decode(errors="replace").strip().splitlines()
            why = f"exit {process.returncode}: {said[-1] if said else 'no message'}"
            if group and group.killed() > killed:
                why = "killed: out of memory"
            elif wall >= timeout:
                why = f"over {timeout:.0f} s"
            run["failed"] = why
        return run


def files(directory):
    return (os.path.join(parent, name) for parent, _, names in os.walk(directory, followlinks=True) for name in names)


def warm(directory):
    """Reads all files, so that the run finds them in the page cache, and waits for what earlier runs left to be written."""
    os.sync()
    for path in files(directory):
        with open(path, "rb", buffering=0) as file:
            while file.read(4 * MIB):
                pass


def cold(directory):
    """Takes all files out of the page cache."""
    os.sync()
    for path in files(directory):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
