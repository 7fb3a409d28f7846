"""The bell in a process that has just started."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

from azure.storage.queue import QueueClient

from shared.adapters.storage.outbox_queue import OutboxQueue


class SlowQueue:
    """Counts how many send at the same time."""

    def __init__(self) -> None:
        self.together: list[int] = []
        self._under_way = 0
        self._lock = threading.Lock()

    def send_message(self, text: str, **options: Any) -> None:
        with self._lock:
            self._under_way += 1
            self.together.append(self._under_way)
        time.sleep(0.05)
        with self._lock:
            self._under_way -= 1


def test_the_first_bell_of_a_process_rings_alone_and_the_others_together() -> None:
    queue = SlowQueue()
    wake_ups = OutboxQueue(lambda: cast(QueueClient, queue))
    threads = [threading.Thread(target=wake_ups.enqueue, args=("some-id",)) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = queue.together[0]
    more = [threading.Thread(target=wake_ups.enqueue, args=("some-id",)) for _ in range(4)]
    for thread in more:
        thread.start()
    for thread in more:
        thread.join()

    assert first == 1
    assert queue.together[1] == 1
    assert max(queue.together[4:]) > 1
