"""A clinic's box: the real daemon with a tree of the scenario's."""
import json
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

import ports
from checks import stop

ROOT = pathlib.Path(__file__).resolve().parents[2]
NUMBER = "+12125550100"


class Daemon:
    """Runs while it is entered. `more`: what else its settings say."""

    def __init__(self, binary, box, tree, trunk_port, rtp_port, more=""):
        self.binary, self.box = binary, box
        self.config = box / "threadline.toml"
        [self.sip, self.web] = ports.free(2)
        (box / "phone-tree.toml").write_text(tree)
        shutil.copy(ROOT / "config/messages.toml", box)
        (box / "store").mkdir()
        self.config.write_text(f"""
[clinic]
name = "Riverside Therapy"
timezone = "America/New_York"
country = "US"
language = "en"
response_target = "15 minutes"
phone_tree = "phone-tree.toml"
messages = "messages.toml"
prompts = "{ROOT}/prompts"
[sip]
listen = ["udp:127.0.0.1:{self.sip}", "tcp:127.0.0.1:{self.sip}"]
[[trunk]]
name = "baresip"
address = "127.0.0.1:{trunk_port}"
accept_from = ["127.0.0.1/32"]
[rtp]
ports = "{rtp_port}-{rtp_port + 99}"
[sms]
gateway = "sandbox"
from = "{NUMBER}"
[web]
listen = "127.0.0.1:{self.web}"
[store]
path = "{box}/store"
{more}""")

    def __enter__(self):
        self.log = open(self.box / "daemon.log", "w+")
        self.process = subprocess.Popen([self.binary, "serve", "--config", self.config], stdout=self.log, stderr=self.log)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.web}/healthz", timeout=1).close()
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        print((self.box / "daemon.log").read_text(), file=sys.stderr)
        self.process.kill()
        stop("the daemon did not come up in a minute: its words are above")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def ask(self, *words):
        """What `threadline` answers with the daemon's settings, a JSON document a line."""
        command = [self.binary, *words, "--config", self.config]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=30, check=True)
        return [json.loads(line) for line in run.stdout.splitlines() if line.strip()]

    def export(self, what):
        return self.ask("export", what)

    def last_words(self, phones):
        """What is worth reading after a failure."""
        print("--- the daemon said:", *(self.box / "daemon.log").read_text().splitlines()[-60:], sep="\n")
        for phone in phones:
            print(f"--- baresip {phone.folder.name} said:", *map(str.rstrip, phone.said[-40:]), sep="\n")
