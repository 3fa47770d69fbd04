"""Publishes copies of models, each in a process of its own that starts in milliseconds.

Lines of stdin are orders in JSON: to publish in a new process, whose number is answered; to end a
process by a signal, or to wait for its end, upon which its exit code is answered.
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "zoo"))

import zoo_cases

from tf_equirl.publishing.entry import write_entry


def publish(source, folder, name, description):
    """Publishes a copy of the model in the folder `source` under a name."""

    def write(place):
        card = zoo_cases.read_card(source)
        for file in card.pop("files"):
            shutil.copy(source / file, place)
        return {**card, "name": name, "description": description}

    return write_entry(folder, name, write)


def obey(moment, source, folder, name, descriptions, for_ever):
    """Publishes each description in turn, from a moment on."""
    while time.time() < moment:
        pass
    while True:
        for description in descriptions:
            publish(Path(source), Path(folder), name, description)
        if not for_ever:
            return


def end(process, kind):
    """Sends a signal, again each second: Python drops one that comes in a finalizer."""
    while True:
        os.kill(process, kind)
        late = time.monotonic() + 1
        while time.monotonic() < late:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.001)


def start(order):
    """The number of a new process, which hears of an interruption once it obeys."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    process = os.fork()
    if not process:
        code = 1
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
            obey(**order)
            code = 0
        finally:
            os._exit(code)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    return process


def main():
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "end" in order:
            answer = end(order["end"], order["kind"])
        elif "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        else:
            answer = start(order)
        print(answer, flush=True)


if __name__ == "__main__":
    main()
