"""The watch over processes that train together: whoever is lost, all others end and say so."""

import signal
import socket
import subprocess
import sys
import time

import pytest

PROGRAM = """
import sys, time
from charrnn_core.training.watch import Watch
me, count, heartbeat = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
watch = Watch(me, count, heartbeat, lambda: "to go on, use this")
if me == 0:
    accept = watch.listen("127.0.0.1")
    print(watch.address, flush=True)
    accept()
else:
    watch.connect(sys.argv[4])
print("ready", flush=True)
for line in sys.stdin:
    if line == "leave\\n":
        watch.leave()
        print("left", flush=True)
        sys.exit(0)
    code, _, text = line.strip().partition(" ")
    watch.end(int(code), text, "mine: " + text if text else None)
time.sleep(60)
"""


@pytest.fixture
def watched():
    """Three processes that watch each other, with a heartbeat of a second."""
    processes = []

    def start(number, *address):
        command = [sys.executable, "-c", PROGRAM, str(number), "3", "1", *address]
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=pipe))
        return processes[-1]

    address = start(0).stdout.readline().strip()
    host, port, _ = address.rsplit(":", 2)
    for stranger in (b"GET / HTTP/1.1\r\n\r\n", b"0123 1\n", b""):
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(stranger)
    for number in (1, 2):
        start(number, address)
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 3
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def told(process, timeout=8):
    _, err = process.communicate(timeout=timeout)
    return process.returncode, err


@pytest.mark.parametrize("victim", [0, 1])
def test_a_death_ends_all_others(watched, victim):
    watched[victim].kill()
    began = time.monotonic()
    for process in watched:
        if process is not watched[victim]:
            line = f"Error: process {victim} of 3 has ended without a word; to go on, use this\n"
            assert told(process) == (1, line)
    assert time.monotonic() - began < 5  # of a loaded machine; it takes milliseconds


@pytest.mark.parametrize("victim", [0, 2])
def test_a_process_that_is_stopped_ends_all_others(watched, victim):
    watched[victim].send_signal(signal.SIGSTOP)
    for process in watched:
        if process is not watched[victim]:
            line = f"Error: process {victim} of 3 has not answered for 1 seconds; to go on, "
            code, err = told(process)
            assert code == 1 and err.startswith(line)


def say(process, line):
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


@pytest.mark.parametrize("first", [0, 1])
def test_all_hear_why_one_ends(watched, first):
    say(watched[first], "3 the disk is full")
    for process in watched:
        expected = "mine: the disk is full\n" if process is watched[first] else "the disk is full\n"
        assert told(process) == (3, expected)


def test_a_signal_to_one_ends_all_without_a_word(watched):
    say(watched[2], "143")
    assert [told(process) for process in watched] == [(143, "")] * 3


@pytest.mark.slow
def test_nobody_leaves_before_all_have_done_their_work(watched):
    for process in (watched[1], watched[0]):
        say(process, "leave")
    time.sleep(1.5)  # more than a heartbeat: who waits lives
    assert [process.poll() for process in watched] == [None] * 3
    say(watched[2], "leave")
    assert [told(process) for process in watched] == [(0, "")] * 3
