#!/usr/bin/env python3
"""check.py THREADLINE CONFIG PROMPTS: what the calls of tests/sipp/run left behind, read by `threadline export`.

Prints one line a check, `ok` or `FAILED`; exits 1 when one failed.
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import time

threadline, config, prompts = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
PRESSED, HUNG_UP, BARE = "+12125550142", "+12125550143", "+12125550144"
failed = False


def export(what):
    command = [threadline, "export", what, "--config", config]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    return [json.loads(line) for line in run.stdout.splitlines() if line.strip()]


def of(rows, **fields):
    return [row for row in rows if all(row.get(name) == value for name, value in fields.items())]


def check(what, holds, shown):
    global failed
    failed |= not holds
    print(f"ok      {what}" if holds else f"FAILED  {what}: {shown}", flush=True)


def texts_to(number):
    return of(export("messages"), to=number, direction="outbound")


# The gateway answers within moments; the last hang-up is recorded within moments.
deadline = time.monotonic() + 20
while time.monotonic() < deadline:
    sent = all(of(texts_to(number), status=status) for number in (PRESSED, HUNG_UP) for status in ("delivered",))
    if sent and len([call for call in export("calls") if call["outcome"]]) == 3:
        break
    time.sleep(0.3)

calls, threads, consents = export("calls"), export("threads"), export("consents")
welcome = hashlib.sha256((prompts / "welcome.wav").read_bytes()).hexdigest()
words = (prompts / "welcome.txt").read_text().strip()

check("three calls, one outcome each", len(calls) == 3 and all(call["outcome"] for call in calls), calls)

call = of(calls, **{"from": PRESSED})
check("pressed 1: the call ended as texted, by the tree", bool(of(call, outcome="texted", ended_by="system", digits="1")), call)
thread = of(threads, number=PRESSED)
check("pressed 1: one open thread, opened by the call", len(of(thread, opened_by="call", state="open", reason="general")) == 1, thread)
consent = of(consents, number=PRESSED)
check("pressed 1: consent by key 1", bool(of(consent, state="granted", method="keypress", digit="1")), consent)
check("pressed 1: consent holds the welcome's fingerprint", bool(of(consent, prompt_sha256=welcome)), consent)
check("pressed 1: consent holds the welcome's words", bool(of(consent, disclosure=words)), consent)
check("pressed 1: consent names the call", bool(call) and bool(of(consent, call=call[0]["id"])), consent)
texts = texts_to(PRESSED)
reached = [text for text in texts if text["status"] in ("sent", "delivered") and text["gateway_id"]]
check("pressed 1: one greeting, at the sandbox", len(texts) == 1 and len(of(reached, gateway="sandbox")) == 1, texts)
check("pressed 1: it names the clinic and the way out", bool(texts) and "Riverside Therapy" in texts[0]["body"] and "STOP" in texts[0]["body"], texts)

call = of(calls, **{"from": HUNG_UP})
check("hung up: the call ended as abandoned, by the caller", bool(of(call, outcome="abandoned", ended_by="caller")), call)
texts = texts_to(HUNG_UP)
reached = [text for text in texts if text["status"] in ("sent", "delivered")]
check("hung up: one missed-call text, at the sandbox", len(texts) == 1 and len(reached) == 1 and "missed your call" in texts[0]["body"], texts)
check("hung up: its thread is a missed call's", bool(of(threads, number=HUNG_UP, opened_by="missed_call")), threads)
check("hung up: no consent was recorded", not of(consents, number=HUNG_UP, state="granted"), consents)

call = of(calls, **{"from": BARE})
check("bare: the call was answered and ended by the caller", bool(call) and bool(call[0]["answered_at"]) and call[0]["ended_by"] == "caller", call)

sys.exit(failed)
