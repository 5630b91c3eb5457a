"""baresip as a telephone, steered by its console over UDP.

No sound card: its microphone is a file, its loudspeaker a bridge to nowhere, and what it decodes is written down.
"""
import array
import itertools
import math
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import wave

from checks import PATIENCE, stop, until
from clinic import ROOT

# By which rate a codec is heard and spoken to.
RATES = {"pcmu": 8000, "pcma": 8000, "g722": 16000}
# Each phone's first port for audio.
MEDIA = itertools.count(25200, 20)
# Each phone's console takes this port by UDP and by TCP: none of those that the system gives to connections.
CONSOLES = itertools.count(25000)


class Softphone:
    """One baresip. `account`: more parameters of its account; `tone`: what it says all the time, in Hz."""

    def __init__(self, box, user, at, transport, codec, sip_port=0, account="regint=0", tone=440, bridge="nowhere"):
        self.folder = box / user.strip("+")
        self.folder.mkdir()
        self.rate = RATES[codec]
        self.console = next(CONSOLES)
        rtp = next(MEDIA)
        modules = next(filter(pathlib.Path.is_dir, map(pathlib.Path, ["/usr/lib/baresip/modules", "/usr/lib64/baresip/modules", "/usr/local/lib/baresip/modules"])), None)
        if modules is None:
            stop("baresip's modules are not found; install Debian's package baresip")
        microphone = self.folder / "microphone.wav"
        with wave.open(str(microphone), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate)
            second = array.array("h", (round(4000 * math.sin(at * math.tau * tone / self.rate)) for at in range(self.rate)))
            file.writeframes(second.tobytes() * 60)
        (self.folder / "config").write_text(f"""
sip_listen 127.0.0.1:{sip_port}
audio_source aufile,{microphone}
audio_player aubridge,{bridge}
snd_path {self.folder}
audio_alert aufile,/dev/null
rtp_ports {rtp}-{rtp + 19}
module_path {modules}
module g711.so
module g722.so
module aufile.so
module aubridge.so
module sndfile.so
module cons.so
module_tmp account.so
module_app menu.so
cons_listen 127.0.0.1:{self.console}
""")
        account = f"<sip:{user}@127.0.0.1{at};transport={transport}>;{account};audio_codecs={codec}/{self.rate}/1;dtmfmode=rtpevent\n"
        (self.folder / "accounts").write_text(account)
        (self.folder / "contacts").touch()
        self.said = []
        # -n: the address that its SDP names. stdbuf: its words come line by line.
        self.process = subprocess.Popen(["stdbuf", "-oL", "baresip", "-4", "-n", "127.0.0.1", "-f", self.folder, "-v"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        threading.Thread(target=lambda: self.said.extend(iter(self.process.stdout.readline, "")), daemon=True).start()
        if not self.until("is ready", "baresip is ready"):
            print(*self.said, sep="", file=sys.stderr)
            stop("baresip did not start: its words are above")

    def until(self, what, words, after=0, patience=PATIENCE):
        """Whether it says so in time, and before it ends; `after`: not counting what it had said by then."""
        said = lambda: any(words in line for line in self.said[after:])
        until(f"baresip {self.folder.name} {what}", lambda: said() or self.process.poll() is not None, patience)
        return said()

    def type(self, text):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as console:
            console.sendto(text.encode(), ("127.0.0.1", self.console))

    def dial(self, uri):
        self.type(f"/dial {uri}\n")
        return self.until("is answered", "Call established")

    def samples(self):
        """What came out of the loudspeaker so far, in the latest call."""
        recordings = sorted(self.folder.glob("dump-*-dec.wav"), key=lambda file: file.stat().st_mtime_ns)
        data = recordings[-1].read_bytes()[44:] if recordings else b""
        return array.array("h", data[:len(data) & ~1])

    def strength(self, hz):
        """Which part of what was heard in the last 300 ms is this tone, by power."""
        last = self.samples()[-3 * self.rate // 10:]
        power = sum(sample * sample for sample in last)
        if len(last) < 3 * self.rate // 10 or power < 1e6:
            return 0
        turn = math.tau * hz / self.rate
        re = sum(sample * math.cos(at * turn) for at, sample in enumerate(last))
        im = sum(sample * math.sin(at * turn) for at, sample in enumerate(last))
        return 2 * (re * re + im * im) / (power * len(last))

    def loud(self):
        """Whether anything at all was heard in the last 300 ms."""
        last = self.samples()[-3 * self.rate // 10:]
        return sum(map(abs, last)) > 100 * max(len(last), 1)

    def quit(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()


def loudness(samples, rate):
    """Mean level of each 20 ms."""
    frame = rate // 50
    return [sum(map(abs, samples[at:at + frame])) / frame for at in range(0, len(samples) - frame + 1, frame)]


def likeness(heard, prompt):
    """The best correlation of the prompt's loudness over time with what was heard: 1 is the same."""
    def normal(values):
        mean = sum(values) / len(values)
        values = [value - mean for value in values]
        size = sum(value * value for value in values) ** 0.5
        return [value / size for value in values] if size else values

    prompt = normal(prompt)
    windows = (normal(heard[at:at + len(prompt)]) for at in range(len(heard) - len(prompt) + 1))
    return max((sum(a * b for a, b in zip(window, prompt)) for window in windows), default=0)


def prompt(name, seconds):
    with wave.open(str(ROOT / f"prompts/en/{name}.wav")) as file:
        samples = array.array("h", file.readframes(int(file.getframerate() * seconds)))
        return loudness(samples, file.getframerate())


def length(name):
    """How long a prompt is, in seconds."""
    with wave.open(str(ROOT / f"prompts/en/{name}.wav")) as file:
        return file.getnframes() / file.getframerate()
