"""What is done to the parts while the load runs: kill -9, SIGTERM, SIGSTOP, an endpoint that is gone. A part that was harmed is healed
some seconds later, and is then whole for a while. All from one seed (but what a moment meets is up to the machine)."""
import os
import signal
import threading
import time

AT_ONCE = 2  # parts that are harmed at the same time, at most


class Fault:
    """`harm` a part, and `heal` it `seconds` later."""

    def __init__(self, name, harm, heal, seconds):
        self.name, self.harm, self.heal, self.seconds = name, harm, heal, seconds




def of_daemon(daemon):
    start = lambda: daemon.start(ready=False)
    return [
        Fault(f"kill -9 {daemon.name}", daemon.kill9, start, (0, 3)),
        Fault(f"kill -9 {daemon.name}", daemon.kill9, start, (0, 0)),
        Fault(f"SIGTERM {daemon.name}", daemon.term, start, (0, 2)),
        Fault(f"SIGSTOP {daemon.name}", lambda: daemon.signal(signal.SIGSTOP), lambda: daemon.signal(signal.SIGCONT), (0.2, 4)),
        Fault(f"SIGSTOP {daemon.name}", lambda: daemon.signal(signal.SIGSTOP), lambda: daemon.signal(signal.SIGCONT), (9, 14)),
    ]


def of_broker(broker):
    def signal_all(number):
        for pid in broker.pids():
            os.kill(pid, number)

    return [
        Fault("kill -9 broker", broker.kill9, broker.start, (0, 2)),
        Fault("stop broker", broker.stop, broker.start, (0, 1)),
        Fault("SIGSTOP broker", lambda: signal_all(signal.SIGSTOP), lambda: signal_all(signal.SIGCONT), (0.5, 5)),
    ]


def of_endpoint(subscriber):
    return [Fault(f"endpoint of {subscriber.id} gone", subscriber.receiver.stop, subscriber.receiver.start, (0.5, 4))]


class Faults:
    """`parts`: (weight, faults) of each. A thread each harms a part, waits, and heals it."""

    def __init__(self, parts, rng, pause):
        self.parts, self.rng, self.pause, self.done = parts, rng, pause, []
        self._threads, self._failures = {}, []

    def _suffer(self, fault, seconds):
        try:
            fault.harm()
            time.sleep(seconds)
            fault.heal()
        except Exception as failure:
            self._failures.append(failure)

    def _begin(self, free):
        number = self.rng.choices(free, [self.parts[n][0] for n in free])[0]
        fault = self.rng.choice(self.parts[number][1])
        seconds = self.rng.uniform(*fault.seconds)
        print(f"{time.strftime('%H:%M:%S')} {fault.name} for {seconds:.1f} s", flush=True)
        self.done.append(fault.name)
        self._threads[number] = threading.Thread(target=self._suffer, args=(fault, seconds), daemon=True)
        self._threads[number].start()

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            whole = [n for n in range(len(self.parts)) if n not in self._threads or not self._threads[n].is_alive()]
            if len(whole) > len(self.parts) - AT_ONCE:
                self._begin(whole)
                time.sleep(self.rng.uniform(*self.pause))
            else:
                time.sleep(0.05)

    def heal(self):
        for thread in self._threads.values():
            thread.join()
        if self._failures:
            raise self._failures[0]
