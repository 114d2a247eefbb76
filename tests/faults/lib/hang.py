#!/usr/bin/env python3
"""hang.py PID: stops the main thread of a process, and only that one, until stdin ends.

A signal stops all threads; a debugger's interrupt stops the one it is sent to. Prints the time (CLOCK_MONOTONIC,
ns) at which the thread stood still.
"""
import ctypes
import os
import sys
import time

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
pid = int(sys.argv[1])


def ptrace(request):
    if libc.ptrace(request, pid, None, None) != 0:
        sys.exit("ptrace: " + os.strerror(ctypes.get_errno()))


ptrace(SEIZE)
print("ready", flush=True)
sys.stdin.readline()
ptrace(INTERRUPT)
os.waitpid(pid, WALL)
print(time.clock_gettime_ns(time.CLOCK_MONOTONIC), flush=True)
sys.stdin.read()
ptrace(DETACH)
