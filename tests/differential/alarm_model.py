"""The model of the one alarm of an object."""

from subject import now_ms

BACKOFF_START_MS = 2_000
NEAR_MAX_MS = 60_000  # an alarm later than this never fires in a test


class AlarmModel:
    """When the handler may next run, and what it will do then."""

    def __init__(self):
        self.time = None  # the time that getAlarm returns
        self.ready_at = None  # the time of the handler's next run, unless it is running
        self.retry_count = 0
        self.running = False
        self.plan = []
        self.loses_on_equal_time = False
        # The retry of the run that failed last: its time, and the latest time at which it may come.
        self.retry = None
        self._running_time = None
        self._changed = False

    def set(self, time_ms):
        self.time = self.ready_at = time_ms
        self._changed = True
        if not self.running:
            self.retry_count = 0

    def delete(self):
        if not self.running:
            self.retry_count = 0
        self.time = self.ready_at = None
        self._changed = True

    def is_waiting(self):
        """Returns whether the handler will run while the test runs."""
        return not self.running and self.ready_at is not None and self.ready_at < now_ms() + NEAR_MAX_MS

    def begin_run(self):
        """Begins a run; returns the handler's plan."""
        self.running, self._running_time, self._changed = True, self.time, False
        self.time = self.ready_at = None
        self.loses_on_equal_time = False
        self.retry = None
        return self.plan.pop(0) if self.plan else {}

    @property
    def running_time(self):
        return self._running_time

    def end_run(self, failed, ended_ms):
        self.running = False
        if failed and self.time is None:
            backoff = BACKOFF_START_MS << self.retry_count
            self.retry = {"retryCount": self.retry_count + 1, "latest": ended_ms + backoff * 5 // 4}
        if failed and not self._changed:
            self.time = self._running_time
            self.ready_at = ended_ms + backoff
            self.retry_count += 1
        else:
            self.retry_count = 0

    def replaced_retry(self):
        """Returns the retry in whose place another alarm is set, or would be if one were set now."""
        return self.retry if self.retry_count == 0 else None
