"""What every scenario needs: a check that is printed, and a wait that ends."""
import sys
import time

# A call is over within this; the clinic's longest way takes half of it.
PATIENCE = 25
failures = []


def check(what, holds, shown=""):
    if not holds:
        failures.append(what)
    print(f"ok      {what}" if holds else f"FAILED  {what}: {shown}", flush=True)


def stop(why):
    print(f"tests/baresip/run: {why}", file=sys.stderr)
    sys.exit(1)


def until(what, done, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if done():
            return True
        time.sleep(0.05)
    check(what, False, f"not within {patience} s")
    return False


def of(rows, **fields):
    return [row for row in rows if all(row.get(name) == value for name, value in fields.items())]
