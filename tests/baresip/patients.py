"""Patients call: over UDP and TCP, in µ-law and A-law; keys are pressed, the daemon hangs up, and baresip does. Then what
the calls left behind."""

import ports
from checks import check, failures, of, until
from clinic import NUMBER, ROOT, Daemon
from softphone import Softphone, length, likeness, loudness, prompt

# Who calls, by which transport and codec.
CALLS = [
    ("+12125550151", "udp", "pcmu"),
    ("+12125550152", "tcp", "pcma"),
    ("+12125550153", "tcp", "pcmu"),
]


def tree():
    """The clinic's own, open at any hour."""
    lines = (ROOT / "config/phone-tree.toml").read_text().splitlines()
    return "\n".join('when_closed = "menu:welcome"' if line.startswith("when_closed = ") else line for line in lines) + "\n"


def hears(phone, what, name, seconds=2):
    """Whether the first seconds of a prompt have been heard."""
    until(f"{what}: audio comes", lambda: len(phone.samples()) > 8000 * (seconds + 2))
    like = likeness(loudness(phone.samples(), 8000), prompt(name, seconds))
    check(f"{what}: the prompt {name} is heard", like > 0.9, f"likeness {like:.2f}")


def run(binary, box):
    of_phones = ports.free(len(CALLS), 2)  # baresip takes the next one for TLS
    phones = []
    daemon = Daemon(binary, box, tree(), of_phones[0], 24200)
    try:
        with daemon:
            for (caller, transport, codec), port in zip(CALLS, of_phones):
                phones.append(Softphone(box, caller, "", transport, codec, sip_port=port))
            for phone, (caller, transport, codec) in zip(phones, CALLS):
                check(f"{transport} {codec}: answered", phone.dial(f"sip:{NUMBER}@127.0.0.1:{daemon.sip}"))
            for phone, (caller, transport, codec) in zip(phones, CALLS):
                hears(phone, f"{transport} {codec}", "emergency")
            phones[2].type("b")
            # A key that texts counts once a word of its own offer was said.
            offered = 8000 * (length("emergency") + 3)
            for phone in phones[:2]:
                until("the offer is heard", lambda: len(phone.samples()) > offered)
                phone.type("1")
            for phone, (caller, transport, codec) in zip(phones[:2], CALLS):
                check(f"{transport} {codec}: the daemon hangs up", phone.until("is hung up on", "session closed"))
                hears(phone, f"{transport} {codec}", "texting_you_now")
            over = lambda: len([call for call in daemon.export("calls") if call["outcome"]]) == len(CALLS)
            until("every call is on record", over)
            sent = lambda: len(of(daemon.export("messages"), status="delivered")) >= len(CALLS)
            until("every text is delivered", sent)
            for (caller, transport, codec) in CALLS[:2]:
                call = of(daemon.export("calls"), **{"from": caller})
                check(f"{transport} {codec}: key 1 ends the call as texted", bool(of(call, outcome="texted", ended_by="system", digits="1")), call)
                thread = of(daemon.export("threads"), number=caller, opened_by="call", state="open")
                check(f"{transport} {codec}: and opens its thread", len(thread) == 1, thread)
                consent = of(daemon.export("consents"), number=caller, state="granted", method="keypress")
                check(f"{transport} {codec}: with its consent", len(consent) == 1, consent)
            caller, transport, codec = CALLS[2]
            call = of(daemon.export("calls"), **{"from": caller})
            check(f"{transport} {codec}: baresip hung up, the call is abandoned by the caller", bool(of(call, outcome="abandoned", ended_by="caller")), call)
            thread = of(daemon.export("threads"), number=caller, opened_by="missed_call")
            check(f"{transport} {codec}: and gets the missed-call text", len(thread) == 1, thread)
    finally:
        for phone in phones:
            phone.quit()
        if failures:
            daemon.last_words(phones)
