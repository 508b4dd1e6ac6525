#!/usr/bin/env python3
"""What both services cost while nothing happens: CPU in percent of a core, and resident memory. Empty, half a minute.

    make bench-idle
"""
import time

from bench import cpu_s, resident_mib, running, say

IDLE_S = 30

with running() as ess:
    daemons = [ess.ingest(), ess.dispatcher()]
    pids = {daemon.program: daemon.process.pid for daemon in daemons}
    time.sleep(2)  # what the start leaves behind
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    time.sleep(IDLE_S)  # what is measured
    for name, pid in pids.items():
        say(name, cpu_percent=100 * (cpu_s(pid) - before[name]) / IDLE_S, resident_mib=resident_mib(pid))
