"""Replaces names in log text by others of the same form: same length, same class of each character, same encoding.

A letter becomes another letter, a digit another digit, and everything else (slashes, blanks, quotes, control
characters) stays, because that is what trips parsers. What a character becomes depends on the secret salt and on the
letters and digits before it in its name: equal names become equal, different ones stay different, and a common prefix
stays one.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from string import ascii_lowercase, ascii_uppercase, digits

from harness.spelling import decoded, respelled, spelled

_HEX = re.compile(r"(?=.*[0-9])[0-9a-f-]{32,}")
_WORD = re.compile(r"[^\W_]+")
_SUFFIX = re.compile(r"((?:-[a-z]{2}(?:-[a-z]+)+-\d)?-an|--[a-z0-9-]+--x-s3|-s3alias|--ol-s3|\.mrap)$")
"""Ends of bucket and access point names that have a meaning (S3 User Guide, bucket naming rules)."""
_ACCOUNT = re.compile(r"(?<!\d)(\d{12})(?!\d)")
_ARN = re.compile(r"arn:aws[a-z-]*:([a-z0-9-]*):[a-z0-9-]*:(\d*|aws):")
_ARN_END = re.compile(r"[\s\"'<>,]|$")
_PART = re.compile(r"[^/:]+")
_TYPES = re.compile(r"([a-z-]+)[/:]")
_PATTERNS = (
    re.compile(r"(?<![A-Z0-9])A(?:KI|SI|ID|RO|GP|NP|CC|BI)A([A-Z0-9]{8,})(?![A-Z0-9])"),  # access key, principal
    re.compile(r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])"),  # canonical user id
    re.compile(r"(?<![a-z0-9])(?:vpce?|eni|subnet|sg|i)-([0-9a-f]{8,17})(?![0-9a-f])"),
    re.compile(r"\bos/[a-z]+#([^\s\]]+)"),  # the kernel of the machine, in an SDK's user agent
    re.compile(r"([\w.+-]+@[\w-]+\.[\w.-]+)"),
)
_IP = re.compile(
    r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:[\d.]{7,15})?)(?![\w:])"
)
_EXAMPLE_V4 = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15")
_EXAMPLE_V6 = "2001:db8::/32"
"""Addresses for examples and benchmarks (RFC 5737, 3849, 2544)."""

Span = tuple[int, int, str]


@lru_cache(maxsize=4096)
def _alphabet(character: str, is_hex: bool) -> str:
    """Return the characters of the same class, or ``""`` for one that stays."""
    for letters in ("abcdef" if is_hex else ascii_lowercase, ascii_uppercase, digits):
        if character in letters:
            return letters
    if character.isascii() or unicodedata.category(character)[0] not in "LMNS":
        return ""
    # 64 neighbours have the same length in UTF-8.
    start = ord(character) & ~0x3F
    sort = (unicodedata.category(character), unicodedata.bidirectional(character))
    near = (chr(code) for code in range(start, start + 64))
    found = "".join(c for c in near if (unicodedata.category(c), unicodedata.bidirectional(c)) == sort)
    return found if len(found) > 1 else ""


def addresses(text: str) -> Iterator[str]:
    """Yield the IP addresses in a text."""
    return (found[0] for found in _IP.finditer(text) if _version(found[0]))


def _version(text: str) -> int:
    """Return 4 or 6, or 0 for what is no IP address."""
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return 0


@dataclass(slots=True)
class Disguise:
    """Replaces names consistently.

    Args:
        salt: Secret bytes: with them a guessed name could be confirmed.
        taken: Addresses that must not be given as replacements, because they occur.
    """

    salt: bytes
    taken: frozenset[str] = frozenset()
    _names: dict[str, str] = field(default_factory=dict)
    _learnt: set[str] = field(default_factory=set)
    _known: dict[str, list[tuple[int, str, str]]] = field(default_factory=dict)
    _addresses: dict[str, str] = field(default_factory=dict)
    _free: dict[int, Iterator[object]] = field(default_factory=dict)

    def name(self, text: str) -> str:
        """Return another name of the same form, for a text that is decoded."""
        if text not in self._names:
            state = blake2b(key=self.salt[:64])
            is_hex = _HEX.fullmatch(text) is not None
            made = []
            for character in text:
                letters = _alphabet(character, is_hex)
                if letters:
                    turn = 1 + int.from_bytes(state.digest()[:4]) % (len(letters) - 1)
                    made.append(letters[(letters.index(character) + turn) % len(letters)])
                    state.update(character.encode())
                else:
                    made.append(character)
            self._names[text] = "".join(made)
        return self._names[text]

    def resource(self, text: str) -> str:
        """Return another name of a bucket, role or user; account ids and endings with a meaning stay what they are."""
        ending = _SUFFIX.search(text)
        stem = text[: ending.start()] if ending else text
        return "".join(map(self.name, _ACCOUNT.split(stem))) + (ending[0] if ending else "")

    def learn(self, text: str, *, is_resource: bool = False) -> None:
        """Replace a name wherever it stands as a word of its own in free text."""
        plain = decoded(text)
        first = _WORD.search(plain)
        if first and plain not in self._learnt:
            self._learnt.add(plain)
            entries = self._known.setdefault(first[0], [])
            entries.append((first.start(), plain, self.resource(plain) if is_resource else self.name(plain)))
            entries.sort(key=lambda each: -len(each[1]))

    def whole(self, text: str) -> str:
        """Return a text that is one name, in any spelling."""
        units = spelled(text)
        new = self.name("".join(character for character, _ in units))
        return "".join(respelled(n, old, spelling) for n, (old, spelling) in zip(new, units, strict=True))

    def address(self, text: str) -> str:
        """Return an example address for an IP address; other text stays."""
        version = _version(text)
        if not version:
            return text
        if text not in self._addresses:
            ranges = _EXAMPLE_V4 if version == 4 else (_EXAMPLE_V6,)
            free = self._free.setdefault(version, chain.from_iterable(ipaddress.ip_network(r).hosts() for r in ranges))
            self._addresses[text] = next(str(each) for each in free if str(each) not in self.taken)
        return self._addresses[text]

    def free(self, text: str) -> str:
        """Return free text with everything in it replaced that is known or has the form of a name."""
        units = spelled(text)
        plain = "".join(character for character, _ in units)
        covered: list[Span] = []
        # The longest wins: a key that is cut at a blank must not hide the whole key, nor a known word a longer name.
        for start, end, new in sorted(self._spans(plain), key=lambda span: span[0] - span[1]):
            if start < end and not any(start < other and end > begin for begin, other, _ in covered):
                covered.append((start, end, new))
        made, position = [], 0
        for start, end, new in sorted(covered):
            made += [spelling for _, spelling in units[position:start]]
            if len(new) == end - start:
                made += [respelled(n, *unit) for n, unit in zip(new, units[start:end], strict=True)]
            else:
                made.append(new)
            position = end
        return "".join([*made, *(spelling for _, spelling in units[position:])])

    def finds(self, text: str) -> list[str]:
        """Return which known names stand in a text as words of their own, in whatever spelling."""
        plain = decoded(text)
        return [plain[start:end] for start, end, _ in self._known_in(plain)]

    def _spans(self, plain: str) -> Iterable[Span]:
        for arn in _ARN.finditer(plain):
            yield from self._arn(plain, arn)
        yield from self._known_in(plain)
        for account in _ACCOUNT.finditer(plain):
            yield account.start(), account.end(), self.name(account[0])
        for found in (match for pattern in _PATTERNS for match in pattern.finditer(plain)):
            yield found.start(1), found.end(1), self.name(found[1])
        for found in _IP.finditer(plain):
            if _version(found[0]):
                yield found.start(), found.end(), self.address(found[0])

    def _arn(self, plain: str, arn: re.Match[str]) -> Iterator[Span]:
        """Yield account and names of an ARN; in free text it ends at a blank, a quote or a comma."""
        yield arn.start(2), arn.end(2), self.name(arn[2]) if arn[2].isdigit() else arn[2]
        start = arn.end()
        stop = _ARN_END.search(plain, start)
        end = stop.start() if stop and arn.start() else len(plain)
        if arn[1] == "s3" and not arn[2]:
            slash = plain.find("/", start, end)
            bucket_end = end if slash < 0 else slash
            yield start, bucket_end, self.resource(plain[start:bucket_end])
            if slash >= 0:
                yield slash + 1, end, self.name(plain[slash + 1 : end])
            return
        sort = _TYPES.match(plain, start, end)
        start = sort.end() if sort else start
        key = plain.find("/object/", start, end) if sort and sort[1] == "accesspoint" else -1
        if key >= 0:
            yield key + len("/object/"), end, self.name(plain[key + len("/object/") : end])
            end = key
        for part in _PART.finditer(plain, start, end):
            yield part.start(), part.end(), part[0] if part[0] == "root" else self.resource(part[0])

    def _known_in(self, plain: str) -> Iterator[Span]:
        for word in _WORD.finditer(plain):
            for offset, known, new in self._known.get(word[0], ()):
                start = word.start() - offset
                end = start + len(known)
                if start >= 0 and plain.startswith(known, start) and not plain[end : end + 1].isalnum():
                    yield start, end, new
                    break
