"""The front desk: baresip at both ends of a line, the box between them. Two phones of the clinic register with their
password, one speaks G.722 over UDP and one G.711 over TCP; patients wait for them.

Each party says a tone of its own, and what counts is which tone the other hears.
"""
import time

import ports
from checks import PATIENCE, check, failures, of, until
from clinic import NUMBER, Daemon
from softphone import Softphone

TREE = """start = "queue:front_desk"
[queue.front_desk]
ring = ["extension:201", "extension:202"]
strategy = "all"
music = "hold"
give_up_after = "8s"
when_unanswered = "voicemail:front_desk"
[voicemail.front_desk]
say = "goodbye"
shortest = "500ms"
reason = "voicemail"
then = "hangup"
"""
PASSWORD = "swordfish-17"
EXTENSIONS = "".join(f"""
[[extension]]
name = "{name}"
shown_as = "Phone {name}"
password = {{ file = "{name}.password" }}
""" for name in ("201", "202"))
PATIENT_SAYS, FIRST_SAYS, SECOND_SAYS = 440, 1000, 1300
HEARD, NOT_HEARD = 0.3, 0.05


def hears(phone, what, hz):
    return until(f"{what}: {hz} Hz is heard", lambda: phone.strength(hz) > HEARD)


def speak(what, patient, desk, tone):
    """Both ways."""
    both = hears(patient, f"{what}, by the patient", tone) and hears(desk, f"{what}, by the desk", PATIENT_SAYS)
    check(f"{what}: tones are heard both ways", both)


class Front:
    """The clinic with its two phones."""

    def __init__(self, daemon, box):
        self.daemon, self.box = daemon, box
        account = lambda name: f"auth_user={name};auth_pass={PASSWORD};regint=60"
        at = f":{daemon.sip}"
        self.first = Softphone(box, "201", at, "udp", "g722", account=account("201"), tone=FIRST_SAYS, bridge="first")
        self.second = Softphone(box, "202", at, "tcp", "pcma", account=account("202"), tone=SECOND_SAYS, bridge="second")
        self.phones = [self.first, self.second]
        self.patients = 0

    def calls(self, codec):
        """A patient calls, and both phones ring."""
        self.patients += 1
        marks = [len(phone.said) for phone in self.phones]
        patient = Softphone(self.box, f"+1212555016{self.patients}", "", "udp", codec, tone=PATIENT_SAYS, bridge="patient")
        self.phones.append(patient)
        patient.dial(f"sip:{NUMBER}@127.0.0.1:{self.daemon.sip}")
        for phone, mark in zip([self.first, self.second], marks):
            phone.until("rings", "Incoming call", mark)
        return patient

    def record(self, what, **fields):
        """The latest patient's call has ended so."""
        number = f"+1212555016{self.patients}"
        calls = lambda: of(self.daemon.export("calls"), **{"from": number})
        until(f"{what}: the call is over", lambda: any(call["ended_at"] for call in calls()))
        check(f"{what}: the record says {fields}", len(of(calls(), **fields)) == 1, calls())
        check(f"{what}: and how long they waited", calls()[0]["waited_ms"] > 0, calls())


def hold_and_transfer(front):
    first, second = front.first, front.second
    patient = front.calls("pcmu")
    rung = len(second.said)
    first.type("/accept\n")
    check("answer: the phone that was slower stops ringing", second.until("stops ringing", "session closed", rung))
    speak("G.711 to G.722", patient, first, FIRST_SAYS)

    first.type("/hold\n")
    held = lambda: patient.strength(FIRST_SAYS) < NOT_HEARD and patient.loud()
    check("hold: the patient hears music", until("hold: music is heard", held))
    first.type("/resume\n")
    speak("resume", patient, first, FIRST_SAYS)

    marks = len(first.said), len(second.said)
    first.type(f"/transfer sip:202@127.0.0.1:{front.daemon.sip}\n")
    second.until("rings", "Incoming call", marks[1])
    second.type("/accept\n")
    check("transfer: the phone that asked hears that it was picked up", first.until("has handed over", "terminated (duration", marks[0]))
    speak("transfer", patient, second, SECOND_SAYS)

    # Who hangs up sooner has served nobody, and phones ring again.
    time.sleep(2)
    mark = len(patient.said)
    second.type("/hangup\n")
    check("the desk hangs up: so is the patient", patient.until("is hung up on", "session closed", mark))
    front.record("the desk hangs up", outcome="served", ended_by="staff", answered_by="extension:202")


def busy_and_hang_up(front):
    first, second = front.first, front.second
    patient = front.calls("pcma")
    first.type("/hangup\n")
    second.type("/accept\n")
    speak("busy: the other phone answers", patient, second, SECOND_SAYS)
    mark = len(second.said)
    patient.type("/hangup\n")
    check("the patient hangs up: so is the desk", second.until("is hung up on", "session closed", mark))
    front.record("the patient hangs up", outcome="served", ended_by="caller", answered_by="extension:202")


def nobody_answers(front):
    # 201 was busy a moment ago and is left in peace.
    mark = len(front.second.said)
    front.patients += 1
    patient = Softphone(front.box, f"+1212555016{front.patients}", "", "tcp", "pcmu", tone=PATIENT_SAYS, bridge="patient")
    front.phones.append(patient)
    patient.dial(f"sip:{NUMBER}@127.0.0.1:{front.daemon.sip}")
    front.second.until("rings", "Incoming call", mark)
    check("no answer: the phone stops ringing", front.second.until("stops", "session closed", mark))
    log = front.box / "daemon.log"
    until("no answer: the tone comes", lambda: "message is recorded" in log.read_text())
    time.sleep(3)
    patient.type("/hangup\n")
    front.record("no answer", outcome="voicemail", ended_by="caller", answered_by=None)
    number = f"+1212555016{front.patients}"
    thread = of(front.daemon.export("threads"), number=number, reason="voicemail")
    check("no answer: the message opens a thread", len(thread) == 1, thread)


def run(binary, box):
    for name in ("201", "202"):
        (box / f"{name}.password").write_text(PASSWORD)
    [trunk] = ports.free()
    daemon = Daemon(binary, box, TREE, trunk, 24400, EXTENSIONS)
    front = None
    try:
        with daemon:
            front = Front(daemon, box)
            for phone in front.phones:
                check(f"{phone.folder.name} registers with its password", phone.until("registers", "200 OK", patience=100))
            hold_and_transfer(front)
            busy_and_hang_up(front)
            nobody_answers(front)
            [now] = daemon.ask("calls", "--json")
            free = all(phone["doing"] in ("free", "resting") for phone in now["phones"])
            check("nobody is left on the phone", not now["calls"] and free, now)
    finally:
        for phone in front.phones if front else []:
            phone.quit()
        if failures:
            daemon.last_words(front.phones if front else [])
