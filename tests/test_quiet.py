"""What libraries print is kept from the terminal, and the terminal is there afterwards."""

import os
import threading
import time

from tfopt._quiet import quiet


def test_two_threads_give_the_terminal_back() -> None:
    def work(delay: float) -> None:
        with quiet(1, 2):
            time.sleep(delay)

    before = [(os.fstat(number).st_dev, os.fstat(number).st_ino) for number in (1, 2)]
    threads = [threading.Thread(target=work, args=(delay,)) for delay in (0.05, 0.1)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert [(os.fstat(number).st_dev, os.fstat(number).st_ino) for number in (1, 2)] == before
