#!/usr/bin/env python3
"""Verifies a log of supervision, knowing nothing but the page about its form (src/evidence/mod.rs).

    verify.py LOG

The key and the head are beside the log. Prints what is wrong, one finding a line: its class, the first entry concerned and the
last one. Exit 5 when there is anything but half a line at the end.
"""

import hashlib
import hmac
import json
import re
import sys


def mac(key, purpose, body):
    return hmac.new(key, b"wirechief evidence %s 1\n%s" % (purpose, body), hashlib.sha256).hexdigest().encode()


def sealed(key, purpose, name, text):
    """What a line says, if it was written with that key."""
    body, found, rest = text.rpartition(b',"%s":' % name)
    if not found or rest != b'"%s"}' % mac(key, purpose, body):
        return None
    return json.loads(body + b"}")


def claimed(line):
    found = re.match(rb'\{"seq":(\d+),', line)
    return int(found.group(1)) if found else None


class Check:
    def __init__(self, key, head):
        self.key, self.head = key, head
        self.top, self.tip = 0, "0" * 64
        self.seen, self.changed, self.strange = set(), set(), []
        self.findings = [] if head else [("head", None, None)]

    def line(self, line):
        entry = sealed(self.key, b"entry", b"hash", line)
        if entry is None:
            self.strange.append(line)
            return
        seq, own = entry["seq"], line[-66:-2].decode()
        if seq <= self.top:
            self.findings.append(("inserted" if seq in self.seen else "reordered", seq, None))
            self.seen.add(seq)
            return
        self.settle(seq)
        if seq == self.top + 1 and entry["prev"] != self.tip:
            self.findings.append(("inserted", seq, None))
        if self.head and self.head["seq"] == seq and self.head["hash"] != own:
            self.findings.append(("inserted", seq, None))
        if entry["event"] == "damaged":
            self.findings.append(("noted", seq, None))
        self.seen.add(seq)
        self.top, self.tip = seq, own

    def settle(self, end):
        """Lines that are not genuine stand for entries missing in their place; the others are of no entry."""
        free = set(range(self.top + 1, end))
        others = []
        for line in self.strange:
            if claimed(line) in free:
                free.remove(claimed(line))
                self.changed.add(claimed(line))
            else:
                others.append(line)
        for _ in others:
            if free:
                self.changed.add(min(free))
                free.remove(min(free))
            else:
                self.findings.append(("inserted", None, None))
        self.strange = []

    def finish(self, rest):
        end = max(self.top, self.head["seq"] if self.head else 0)
        self.settle(end + 1)
        self.findings += [("changed", seq, None) for seq in self.changed]
        runs = []
        for seq in range(1, end + 1):
            if seq in self.seen or seq in self.changed:
                continue
            kind = "cut-off" if seq > self.top else "removed"
            if runs and runs[-1][0] == kind and runs[-1][2] == seq - 1:
                runs[-1][2] = seq
            else:
                runs.append([kind, seq, seq])
        self.findings += [(kind, first, last if last > first else None) for kind, first, last in runs]
        if rest and all(kind != "cut-off" for kind, _, _ in runs):
            self.findings.append(("torn", None, None))
        return self.findings


def verify(path):
    with open(path + ".key", "rb") as file:
        key = bytes.fromhex(file.read().decode().strip())
    try:
        with open(path + ".head", "rb") as file:
            head = sealed(key, b"head", b"seal", file.read().rstrip(b"\n"))
    except FileNotFoundError:
        head = None
    with open(path, "rb") as file:
        *lines, rest = file.read().split(b"\n")
    check = Check(key, head)
    for line in lines:
        check.line(line)
    return check.finish(rest)


if __name__ == "__main__":
    found = verify(sys.argv[1])
    for finding in found:
        print(*[part for part in finding if part is not None])
    sys.exit(5 if any(finding[0] != "torn" for finding in found) else 0)
